package pace

import (
	"strings"
	"time"
)

// A dataset counts what is in flight to one dataset and judges whether the
// server limits that. A limit on concurrency rejects nearly all that is sent
// with so many in flight and nearly nothing below, which no limit on the rate
// does. Once that is believed, the dataset has a limit in flight of its own,
// and its rejects say nothing about the rate.
type dataset struct {
	inFlight int
	sent     uint64          // the number of the last send to it
	took     [levels]float32 // sends accepted by how many were in flight, fading
	refused  [levels]float32
	fresh    int     // accepted since the numbers last faded
	belief   float64 // share of sends rejected at the level of rejects and above, smoothed
	seen     int     // rejects judged since the last change of mind
	doubts   int     // times that a limit turned out not to be one

	limit  int     // in flight; 0 means there is none
	needed int     // accepts at the limit that a step up takes
	have   int     // of them so far
	tried  bool    // the last change of limit was a step up
	shed   float64 // share of sends rejected while limited, smoothed

	fault
}

const (
	levels     = 64   // of in-flight counts told apart; more are counted as the last
	fadeAfter  = 64   // accepts, after which old numbers count half
	enoughLow  = 3    // accepts below a level before rejects at it mean anything
	capped     = 0.55 // belief at which there is a limit
	uncapped   = 0.25 // and at which there is none
	believeIn  = 4    // rejects that a belief takes to follow, while there is no limit
	doubtIn    = 10   // and while there is one
	judged     = 4    // rejects to judge before the first limit, and again as many for each doubt
	leastLevel = 2    // in flight: one alone that is rejected is a matter of rate
	othersTook = 12   // accepted of others, and so small a share rejected,
	othersMost = 0.1  // show that a dataset takes one at a time
	shedMost   = 0.35 // share rejected at which a limit is of no use
	maxBackoff = 32   // times the limit, in accepts, between steps up that fail
	maxTracked = 256  // datasets of one quota
)

// track counts a send to a dataset, if it can be known by name.
func (l *line) track(name string, t *Ticket) {
	if l.state == &l.open && l.caps == 0 {
		return
	}
	d := l.datasets[name]
	if d == nil {
		if d = l.addDataset(name); d == nil {
			return
		}
	}
	d.inFlight++
	d.sent = t.seq
	t.cap, t.n = d, int32(d.inFlight)
	if d.broken {
		l.wake(d, t.at+patience, t.at)
	}
}

// addDataset makes room for a dataset, and returns nil if there is none.
func (l *line) addDataset(name string) *dataset {
	if l.datasets == nil {
		l.datasets = map[string]*dataset{}
	}
	if len(l.datasets) >= maxTracked {
		for n, d := range l.datasets {
			if d.inFlight == 0 && d.limit == 0 {
				delete(l.datasets, n)
			}
		}
		if len(l.datasets) >= maxTracked {
			return nil
		}
	}
	d := &dataset{}
	l.datasets[strings.Clone(name)] = d // it is a piece of a URL, which may be long, and have secrets
	return d
}

// uncount takes t out of its dataset's count.
func (l *line) uncount(t Ticket) {
	if t.cap != nil {
		t.cap.inFlight--
	}
}

// full reports whether a dataset has as many in flight as it may.
func (l *line) full(name string) bool {
	if l.caps == 0 {
		return false
	}
	d := l.datasets[name]
	return d != nil && d.room() == 0
}

// room returns how many more of d may be in flight.
func (d *dataset) room() int {
	switch {
	case d.limit == 0:
		return flying
	case d.held:
		return 0
	}
	return max(d.limit-d.inFlight, 0)
}

// passed takes an accepted send into account.
func (d *dataset) passed(t Ticket) {
	d.took[level(t)]++
	if d.fresh++; d.fresh >= fadeAfter {
		d.fresh = 0
		for i := range levels {
			d.took[i] /= 2
			d.refused[i] /= 2
		}
	}
	d.shed -= d.shed / fadeAfter
	if d.limit == 0 || int(t.n) < d.limit {
		return
	}
	if d.have++; d.have >= d.needed {
		if d.tried {
			d.needed /= 2
		}
		d.limit++
		d.needed = max(d.needed, d.limit/2)
		d.have, d.tried = 0, true
	}
}

// blames reports whether t was rejected because of its dataset's concurrency,
// and if so answers that.
func (l *line) blames(t Ticket, now time.Duration) bool {
	d := t.cap
	if d == nil {
		return false
	}
	if d.limit > 0 {
		t.n = max(t.n, int32(d.inFlight)+1) // what was sent a moment later may have come before it
	}
	d.refused[level(t)]++
	v, ok := d.shareFrom(level(t))
	if d.limit == 0 {
		if !ok || !l.isNews(t) {
			return false
		}
		d.seen++
		d.belief += (v - d.belief) / believeIn
		if d.belief <= capped || d.seen < judged*(1+d.doubts) || l.isFew(t) {
			return false
		}
		l.cap(d, t, now)
		return true
	}
	d.belief += (v - d.belief) / doubtIn
	d.shed += (1 - d.shed) / fadeAfter
	if l.isFew(t) || d.belief < uncapped || d.shed > shedMost {
		l.uncap(d, now)
		return false
	}
	d.lower(t)
	return true
}

// lower answers a reject under the limit: it says exactly where the limit is.
func (d *dataset) lower(t Ticket) {
	if int(t.n) <= d.limit {
		d.limit = max(int(t.n)-1, 1)
		if d.tried {
			d.needed = min(2*d.needed, maxBackoff*d.limit)
		}
		d.have, d.tried = 0, false
	}
}

// isFew reports whether so few were in flight with t, which was rejected, that
// it is a matter of rate: it was alone, or one of two and others of the quota
// are rejected too, or too few to tell.
func (l *line) isFew(t Ticket) bool {
	if t.n != leastLevel {
		return t.n < leastLevel
	}
	var took, refused float32
	for _, other := range l.datasets {
		if other == t.cap {
			continue
		}
		for i := range levels {
			took += other.took[i]
			refused += other.refused[i]
		}
	}
	return took < othersTook || refused > othersMost*took
}

// shareFrom returns the share of sends rejected with n and more in flight. It
// is not ok if too little was accepted with fewer.
func (d *dataset) shareFrom(n int) (share float64, ok bool) {
	var low, took, refused float32
	for i := range levels {
		if i < n {
			low += d.took[i]
		} else {
			took += d.took[i]
			refused += d.refused[i]
		}
	}
	return float64(refused / (took + refused)), low >= enoughLow
}

func level(t Ticket) int { return min(int(t.n), levels-1) }

// cap begins to limit d instead of the rate.
func (l *line) cap(d *dataset, t Ticket, now time.Duration) {
	d.limit = int(t.n) - 1
	d.needed, d.have, d.tried = d.limit, 0, false
	d.shed = 0
	l.caps++
	l.cutAt, l.cutSeq = now, l.sent()
	l.allow.Store(max(l.allow.Load(), uint32(l.inFlight()+1)))
	l.enterState(&l.open, now)
}

// uncap takes the limit of d back.
func (l *line) uncap(d *dataset, now time.Duration) {
	d.limit, d.seen, d.belief = 0, 0, 0
	d.doubts++
	l.caps--
	if l.state == &l.open && l.paced.lim != nil { // it was about the rate after all
		l.paced.begin(l, l.paced.base, now)
		l.enterState(&l.paced, now)
		return
	}
	l.tell(Event{Kind: ModeChanged}, now)
}
