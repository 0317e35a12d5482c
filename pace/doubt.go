package pace

import (
	"math"
	"time"
)

// A doubt asks whether the pace is to blame for rejects. A server that is half
// broken refuses a share of everything, however slowly it is asked, and each
// of its rejects looks like one that says "too fast".
//
// A limit on the rate rejects at the upper end of a climb. If rejects come at
// the lower end too, there is a trial: the pace goes up fourfold, and then
// fourfold again, as others may share the quota. A limit rejects most of that,
// and the trial is over after a few rejects. If the share of rejects stays as
// it was, it is the server's own; the pace stays up, and from then on only what
// exceeds that share counts against it.
type doubt struct {
	cuts   int   // since the last trial
	odd    int   // of them, those at the lower end of a climb
	low    share // what became of sends at the lower end
	failed int   // trials in a row that found the pace to blame

	trial int           // rounds still to go of the one under way
	pace  float64       // in this round
	need  float64       // sends that it takes
	began time.Duration // when it began
	from  uint64        // the number of the last send before it
	tried share         // what became of those since
	ended time.Duration // when the last trial was over

	own   share         // of rejects that is the server's own; none if it is not known
	until time.Duration // it is believed
	lasts time.Duration // and for how long in all
	since share         // what became of the sends since it was last measured
	score float64       // how far the rejects exceed it now, in rejects
	clear float64       // a pace at which they do not
	sure  bool          // since they last exceeded it, it was seen again at such a pace
}

// A share is how many of some sends were rejected.
type share struct{ n, bad float64 }

func (s *share) add(bad float64) {
	s.n++
	s.bad += bad
}

func (s share) of() float64 { return s.bad / max(s.n, 1) }

const (
	doubtCuts = 12 // before there may be a doubt, and twice as many after each trial that found the pace to blame
	oddShare  = 4  // one cut in so many at the lower end of its climb raises it,
	lowBad    = 6  // if so many sends were rejected there,
	lowSends  = 40 // of so many: less may be what a limit rejects while it is being learned

	trialRounds = 2           // each faster: others may share the quota, and one of many makes little difference
	trialFactor = 4           // times as fast as before
	trialBad    = 8           // rejects that a round takes if the pace is not to blame: enough to know a share by
	trialExcess = 5           // rejects more than that end it
	leastTaken  = 0.8         // of what was accepted before: less says that the pace is to blame
	trialLeast  = 6           // per second: less may be a limit that a trial hurts more than it can gain,
	slowTrial   = time.Minute // so that there is one so long after another only

	mostOwn     = 0.6              // a server that refuses more than this is not asked any faster
	leastOwn    = 0.001            // less is not worth a reckoning
	ownMargin   = 0.08             // above its own share, and no more than as much again, rejects count,
	ownExcess   = 5                // if so many more come than that: by chance once in hundreds of rejects,
	ownWild     = 5                // if the bound is so much higher for a share that varies more
	ownBlock    = 20               // rejects after which its own share is measured again,
	ownClear    = 0.9              // at so much of a pace that was too fast
	leastBelief = 15 * time.Second // that its own share is believed in: it may be a storm of others that passes,
	mostBelief  = 10 * time.Minute // and twice as long each time that it is seen again, but no longer than this
	downChance  = 1e-6             // that a run of its own rejects is as long as one that shows a host down
)

// settled takes the outcome of a send into account.
func (d *doubt) settled(l *line, t Ticket, bad float64, now time.Duration) {
	if t.pace > 0 && float64(t.pace) < l.paced.base {
		d.low.add(bad)
	}
	if now > d.until {
		d.own = share{}
	}
	known := d.own
	if d.trial > 0 {
		if t.seq <= d.from {
			return
		}
		d.tried.add(bad)
		known = d.low
	}
	if known.n == 0 {
		return
	}
	own := known.of()
	d.score = max(d.score+bad-own-min(own, ownMargin), 0)
	switch {
	case d.trial > 0 && d.score >= trialExcess*(1+own):
		d.conclude(l, false, now)
	case d.trial > 0 && d.tried.n >= d.need:
		same := 1-d.tried.of() >= leastTaken*(1-own)
		if d.trial--; same && d.trial > 0 {
			d.round(l, now)
		} else {
			d.conclude(l, same, now)
		}
	case d.trial == 0 && float64(t.pace) < d.clear:
		if d.since.add(bad); d.since.n*own >= ownBlock {
			d.measure(own)
		}
	}
}

// exceeds reports whether more was rejected than the server's own share.
func (d *doubt) exceeds(own float64) bool { return d.score >= ownExcess*(1+ownWild*own) }

// measure compares a block of sends at a safe pace with the server's own share.
func (d *doubt) measure(own float64) {
	d.sure = true
	if d.since.of() < own/2 {
		if d.own = d.since; d.own.of() < leastOwn {
			d.own = share{}
		}
	}
	d.since = share{}
}

// excuses reports whether the reject of t says nothing about the pace.
func (d *doubt) excuses(t Ticket) bool {
	if d.trial > 0 {
		return true
	}
	if d.own.n == 0 {
		return false
	}
	if !d.exceeds(d.own.of()) {
		return true
	}
	d.score, d.clear, d.sure = 0, ownClear*float64(t.pace), false
	return false
}

// cut takes note of a cut, and begins a trial if one is due.
func (d *doubt) cut(l *line, low, agrees bool, now time.Duration) {
	d.cuts++
	if low {
		d.odd++
	} else if agrees {
		d.fade()
	}
	wait := min(d.failed, 2)
	switch {
	case d.cuts < doubtCuts<<wait:
	case d.odd*oddShare < d.cuts || d.low.bad < lowBad || d.low.of() > mostOwn:
		if d.cuts >= 2*doubtCuts<<wait {
			d.forget()
		}
	case l.paced.pause == 0 && d.low.n >= lowSends && (l.paced.base >= trialLeast || now-d.ended >= slowTrial<<wait):
		d.trial, d.pace, d.need = trialRounds, l.paced.base, trialBad/d.low.of()
		d.round(l, now)
	}
}

// round begins a round of a trial.
func (d *doubt) round(l *line, now time.Duration) {
	d.pace *= trialFactor
	d.began, d.from, d.tried, d.score = now, l.sent(), share{}, 0
}

// conclude ends a trial. If the pace is not to blame, it stays as high as it
// has really been.
func (d *doubt) conclude(l *line, own bool, now time.Duration) {
	base := l.paced.base
	d.trial, d.score, d.ended = 0, 0, now
	if own {
		d.own, d.since = d.tried, share{}
		if d.tried.of() > d.low.of()/2 {
			d.own = share{d.low.n + d.tried.n, d.low.bad + d.tried.bad}
		}
		d.failed = 0
		d.lasts = min(max(2*d.lasts, leastBelief), mostBelief)
		d.until = now + d.lasts
		d.clear, d.sure = fastest, true
		base = max(base, min(d.pace, d.tried.n/(now-d.began).Seconds()))
	} else {
		d.failed++
		d.lasts = 0
	}
	d.forget()
	l.paced.set(l, base, now)
}

// fade lets what was seen so far count half: a limit on the rate has shown itself.
func (d *doubt) fade() {
	d.cuts, d.odd = d.cuts/2, d.odd/2
	d.low.n, d.low.bad = d.low.n/2, d.low.bad/2
}

func (d *doubt) forget() { d.cuts, d.odd, d.low = 0, 0, share{} }

// downRun returns how many rejects in a row show that nothing goes through.
func (d *doubt) downRun() int {
	if d.own.n == 0 {
		return downRun
	}
	return max(downRun, int(math.Ceil(math.Log(downChance)/math.Log(d.own.of()))))
}
