package pace

import (
	"math"
	"time"
)

// A doubt asks whether the pace is to blame for rejects. A server that is half
// broken refuses a share of everything, however slowly it is asked, and each
// of its rejects looks like one that says "too fast".
//
// If there is evidence that it is not, there is a trial. It begins with a burst:
// a limit that has just rejected has nothing left for it, whoever uses it
// besides. Then the pace goes up fourfold, or to what went through before, and
// fourfold again, as others may share the quota. A limit rejects most of that,
// and the trial is over after a few rejects. If the share of rejects stays as it
// was, it is the server's own; the pace stays up, and from then on only what
// exceeds that share counts against it.
type doubt struct {
	evidence
	failed int // trials in a row that found the pace to blame

	trial int           // rounds still to go of the one under way, its burst too; 0 if there is none
	known share         // what a round is compared with
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

const (
	doubtCuts = 12 // before the lower ends of climbs raise a doubt, and twice as many after each trial in vain,
	mostOften = 2  // so often: 48
	sinkCuts  = 3  // that contradict what went through before, which raises one too, and twice as many after each,
	mostSink  = 4  // so often: 48

	burstSends  = 8               // at once: more than what a limit saves up between a reject and its answer, mostly
	burstTaken  = 0.5             // of what was accepted before; less says that the pace is to blame
	leastBurst  = 2               // per second: slower, a limit in flight may be to blame, which a burst meets; and others hardly notice a trial
	trialRounds = 2               // each faster: others may share the quota, and one of many makes little difference
	trialFactor = 4               // times as fast as before
	trialFaster = 1.5             // times as fast as before, the sends of a round have to be in fact
	trialBad    = 8               // rejects that a round takes if the pace is not to blame: enough to know a small share by
	trialExcess = 5               // rejects more than that end it
	leastTaken  = 0.7             // of what was accepted before: less says that the pace is to blame
	trialLeast  = 6               // per second: less may be a limit that a trial hurts more than it can gain,
	longAgo     = 5 * time.Minute // after a trial in vain, a pace that has sunk is tried like the first: it may be so low that rejects hardly come
	slowTrial   = time.Minute     // so that there is one so long after another only

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
	if t.pace > 0 {
		d.answered(float64(t.pace), l.paced.base, bad)
	}
	if now > d.until {
		d.own = share{}
	}
	if d.trial > 0 {
		if t.seq <= d.from {
			return
		}
		d.tried.add(bad)
	}
	known := d.expected()
	if known.n == 0 {
		return
	}
	own := known.of()
	d.score = max(d.score+bad-own-min(own, ownMargin), 0)
	switch {
	case d.trial > 0 && d.score >= trialExcess*(1+own):
		d.conclude(l, false, now)
	case d.trial > 0 && d.tried.n >= d.need:
		d.judge(l, t, now)
	case d.trial == 0 && float64(t.pace) < d.clear:
		if d.since.add(bad); d.since.n*own >= ownBlock {
			d.measure(own)
		}
	}
}

// judge takes the outcome of a trial's round into account, t being the last of it.
func (d *doubt) judge(l *line, t Ticket, now time.Duration) {
	least := leastTaken
	if d.bursts() {
		least = burstTaken
	}
	same := 1-d.tried.of() >= least*(1-d.known.of())
	switch {
	case d.reached(t.at) < trialFaster*l.paced.base:
		d.end(l, l.paced.base, now) // callers who wait to retry, or few, show nothing
	case !same || d.trial == 1:
		d.conclude(l, same, now)
	default:
		d.trial--
		d.round(l, now)
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

// cut takes note of a cut at the pace cur, and begins a trial if one is due.
func (d *doubt) cut(l *line, cur float64, low, agrees bool, now time.Duration) {
	d.evidence.cut(cur, low, agrees)
	vain, sunk := min(d.failed, mostOften), min(d.failed, mostSink)
	if now-d.ended >= longAgo {
		sunk = 0
	}
	switch {
	case l.paced.pause > 0 || d.bunched():
	case d.sank(sinkCuts << sunk):
		d.try(l, d.all, d.shown/trialFactor, now)
	case d.cuts < doubtCuts<<vain:
	case !d.isOdd(l.paced.base):
		if d.cuts >= 2*doubtCuts<<vain {
			d.evidence = evidence{}
		}
	case d.low.n >= lowSends && (l.paced.base >= trialLeast || now-d.ended >= slowTrial<<vain):
		d.try(l, d.low, l.paced.base, now)
	}
}

// try begins a trial with a burst; its first round is trialFactor times as fast as pace.
func (d *doubt) try(l *line, known share, pace float64, now time.Duration) {
	d.trial, d.known, d.pace = trialRounds+1, known, pace
	d.need = burstSends
	d.begin(l, now)
}

// round begins a round of a trial. The more is rejected, the more sends it takes
// to tell.
func (d *doubt) round(l *line, now time.Duration) {
	taken := 1 - d.known.of()
	d.need = trialBad / (d.known.of() * taken * taken)
	d.pace *= trialFactor
	d.begin(l, now)
}

// begin begins to count.
func (d *doubt) begin(l *line, now time.Duration) {
	d.began, d.from, d.tried, d.score = now, l.sent(), share{}, 0
}

// bursts reports whether the burst of a trial is not answered yet.
func (d *doubt) bursts() bool { return d.trial > trialRounds }

// rate returns the pace, which is r but for a trial, and until its burst is answered.
func (d *doubt) rate(l *line, r float64) float64 {
	switch {
	case d.trial == 0:
		return r
	case !d.bursts():
		return min(d.pace, fastest)
	case l.sent() >= d.from+burstSends:
		return r
	case l.paced.base < leastBurst:
		return max(trialFactor*d.pace, walking/max(l.trip.mean, time.Millisecond).Seconds())
	}
	return burstSends / slack.Seconds()
}

// conclude ends a trial. If the pace is not to blame, it stays as high as it
// has really been.
func (d *doubt) conclude(l *line, own bool, now time.Duration) {
	base := l.paced.base
	if own {
		d.own, d.since = d.tried, share{}
		if d.tried.of() > d.known.of()/2 {
			d.own = share{d.known.n + d.tried.n, d.known.bad + d.tried.bad}
		}
		d.failed = 0
		d.lasts = min(max(2*d.lasts, leastBelief), mostBelief)
		d.until = now + d.lasts
		d.clear, d.sure = fastest, true
		base = max(base, min(d.pace, d.reached(now)))
	} else {
		d.failed++
		d.lasts = 0
	}
	d.end(l, base, now)
}

// end ends a trial, and goes on at base.
func (d *doubt) end(l *line, base float64, now time.Duration) {
	d.trial, d.score, d.ended = 0, 0, now
	d.evidence = evidence{}
	l.paced.set(l, base, now)
}

// reached returns how fast the sends of this round of a trial have been, up to
// some time.
func (d *doubt) reached(at time.Duration) float64 { return d.tried.n / (at - d.began).Seconds() }

// expected returns the share of rejects that the server is thought to have of
// its own: none if it is not known, and in a trial what that is compared with.
func (d *doubt) expected() share {
	if d.trial > 0 {
		return d.known
	}
	return d.own
}

// downRun returns how many rejects in a row show that nothing goes through.
func (d *doubt) downRun() int {
	known := d.expected()
	if known.n == 0 {
		return downRun
	}
	return max(downRun, int(math.Ceil(math.Log(downChance)/math.Log(known.of()))))
}
