package pace

import "time"

// Evidence is what speaks for a doubt: rejects where a limit on the rate does
// not reject. A limit rejects at the upper end of a climb, and so a share of
// the cuts at the lower end is odd. It lets through as much as it did before,
// and so rejects at a small part of that are odd too.
type evidence struct {
	all  share // what became of sends at a pace
	low  share // and at the lower end of a climb
	next share // and of those that were answered soon after a reject
	soon int   // answers still to come that are

	cuts int
	odd  int // of them, those at the lower end

	shown float64 // the fastest that the server let through between two rejects
	sunk  int     // cuts at so much less that no limit explains both
}

// A share is how many of some sends were rejected.
type share struct{ n, bad float64 }

func (s *share) add(bad float64) {
	s.n++
	s.bad += bad
}

func (s *share) halve() { s.n, s.bad = s.n/2, s.bad/2 }

func (s share) of() float64 { return s.bad / max(s.n, 1) }

const (
	oddShare = 4   // one cut in so many is enough at the lower end,
	lowBad   = 6   // if so many sends were rejected there,
	driven   = 1.4 // times the base has gone through: a limit whose callers are many stays where it is
	muchBad  = 0.3 // refused, or more: so little goes through in a row that it shows no rate
	lowSends = 40  // of so many: less may be what a limit rejects while it is being learned

	shownSends  = 4    // that show a rate if they went through
	contradicts = 5    // a reject at a pace so many times slower contradicts it; others on the quota explain less
	sunkSends   = 16   // that show a share,
	sunkBad     = 4    // if so many were rejected
	bunchSends  = 4    // answered after a reject are rejected too,
	bunch       = 1.25 // times as often as any other: by chance, but no more
	bunchFades  = 128  // of them, after which old ones count half

	mostOwn = 0.7 // a server that refuses more than this is not asked any faster
)

// answered takes note of what became of a send: bad is 1 if it was rejected.
func (e *evidence) answered(pace, base, bad float64) {
	if e.soon > 0 {
		e.soon--
		if e.next.add(bad); e.next.n >= bunchFades {
			e.next.halve()
		}
	}
	if bad > 0 {
		e.soon = bunchSends
	}
	e.all.add(bad)
	if pace < base {
		e.low.add(bad)
	}
}

// show takes note of what the server let through between the last reject and
// others before: a limit cannot be less.
func (e *evidence) show(rejects []mark, last mark, dev time.Duration) {
	for _, m := range rejects {
		if took := last.good - m.good - 1; took >= shownSends {
			e.shown = max(e.shown, took/(last.at-m.at+2*dev).Seconds())
		}
	}
}

// cut takes note of a cut at a pace: whether that was at the lower end of a
// climb, and whether it agrees with the cut before.
func (e *evidence) cut(pace float64, low, agrees bool) {
	e.cuts++
	sunk := contradicts*pace < e.shown
	if sunk {
		e.sunk++
	}
	if low {
		e.odd++
	} else if agrees && !sunk { // a limit has shown itself: what was seen so far counts half
		e.cuts, e.odd = e.cuts/2, e.odd/2
		e.low.halve()
		e.next.halve()
		e.sunk = 0
	}
}

// isOdd reports whether enough was rejected at the lower ends of climbs, and
// has driven base down by it, as far as can be told.
func (e *evidence) isOdd(base float64) bool {
	return e.odd*oddShare >= e.cuts && e.low.bad >= lowBad && e.low.of() <= mostOwn &&
		(e.shown >= driven*base || e.low.of() >= muchBad)
}

// sank reports whether so many cuts contradict what went through before.
func (e *evidence) sank(cuts int) bool {
	return e.sunk >= cuts && e.all.n >= sunkSends && e.all.bad >= sunkBad && e.all.of() <= mostOwn
}

// bunched reports whether a reject makes it likely that one of the next sends
// is rejected too. That is a limit's, when nothing is left or others take it.
func (e *evidence) bunched() bool { return e.next.bad > 1+bunch*e.all.of()*e.next.n }
