package pace

import "time"

// A fault is what speaks for a dataset that refuses everything by itself. While
// others of its quota are accepted, that says nothing about them. Requests for
// such a dataset are sent one at a time, so that nobody waits for theirs, until
// one is accepted.
type fault struct {
	row      int     // rejects in a row
	rowSeq   uint64  // the number of the last send before the first of them came
	baseThen float64 // the rate that was believed in
	before   int     // and the dataset's limit; 0 if it had none

	broken bool          // it refuses everything, and others do not
	held   bool          // nothing is sent until wakes, since it asked for that
	asked  time.Duration // the Retry-After that was
	timer  *time.Timer   // until it is sent to again, whatever comes
	wakes  time.Duration // when that is
}

// elsewhere is how many have to be accepted of others, that were sent after the
// first reject of a dataset came: then the rejects are its own fault.
const elsewhere = 3

// ownFault reports whether a reject is of a dataset that refuses everything by
// itself. What it asks for holds that dataset alone.
func (l *line) ownFault(t Ticket, a answer, now time.Duration) bool {
	d := t.cap
	if d == nil {
		return false
	}
	if d.row++; d.row == 1 {
		d.rowSeq, d.baseThen, d.before = l.sent(), l.paced.base, d.limit
	}
	if !d.broken && (d.row < l.doubt.downRun() || l.newest[0] <= d.rowSeq) {
		return false
	}
	if !d.broken {
		l.setApart(d, now)
	} else if now-t.at >= patience && d.limit > 1 {
		d.limit-- // it was given up
	}
	if a.asked && a.retryAfter > 0 && !(d.held && a.retryAfter <= d.asked) { // else the same word again
		d.held, d.asked = true, a.retryAfter
		l.wake(d, now+l.pauseOf(a), now)
		l.refuseAllLate(now)
	}
	return true
}

// setApart has requests for d sent one at a time.
func (l *line) setApart(d *dataset, now time.Duration) {
	if d.limit == 0 {
		l.caps++
	}
	d.broken, d.limit = true, 1
	l.shut()
	l.wake(d, now+patience, now)
	if l.state == &l.paced && d.baseThen > l.paced.base { // the cuts were for nothing
		l.paced.set(l, d.baseThen, now)
		l.paced.skip()
	}
	l.tell(Event{Kind: ModeChanged}, now)
}

// rejoin is for a dataset that answers again. What was known of its limit is as
// good as before.
func (l *line) rejoin(d *dataset, now time.Duration) {
	d.timer.Stop()
	belief := 1.0
	if d.before == 0 {
		belief = 0
		l.caps--
	}
	*d = dataset{inFlight: d.inFlight, sent: d.sent, doubts: d.doubts, limit: d.before, needed: d.before, belief: belief}
	l.tell(Event{Kind: ModeChanged}, now)
}

// wake has d sent to again at a time: when it may be, as it asked to be left
// alone, or because an answer that is so late may never come.
func (l *line) wake(d *dataset, at, now time.Duration) {
	d.wakes = at
	if d.timer != nil {
		d.timer.Reset(at - now)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(at-now, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if d.timer != timer || l.now() < d.wakes {
			return // it was late, and has been set anew
		}
		if !d.held {
			d.limit = max(d.limit, d.inFlight+1)
		}
		d.held = false
		l.dispatch(l.now())
	})
	d.timer = timer
}
