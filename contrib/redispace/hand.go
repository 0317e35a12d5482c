package redispace

import (
	"context"
	"time"
)

// A hand holds the turns that were taken ahead. Only the head of the queue
// touches it.
type hand struct {
	turns   []time.Time // the earliest time of each, in order
	n       int         // how many were last asked for
	last    time.Time   // when the last caller was let through
	checked time.Time   // when Redis was last asked for a pause
	asked   time.Time   // when Redis last answered
	again   time.Time   // when there will be turns, if there were none
}

const (
	ahead   = 20 * time.Millisecond // the time whose turns may be taken at once, and for which a pause may go unseen
	mostGet = 256                   // turns in a round trip

	// askEvery is how long an answer that nobody may send is believed: what
	// Redis says may be wrong, or be taken back.
	askEvery = time.Second
)

// together waits for the next of the turns that all share. It reports false if
// a pause came between, or Redis went.
func (l *Limiter) together(ctx context.Context) (went bool, err error) {
	if l.limited() {
		if err := sleep(ctx, l.hand.again, l.hand.asked.Add(askEvery)); err != nil {
			return false, err
		}
		if l.discard(); len(l.hand.turns) == 0 && !l.draw() {
			return false, nil
		}
		// Whoever was sleeping is as punctual as can be, and uses the turn,
		// whatever the time is now: on a slow machine there would be no end.
		if err := sleepUntil(ctx, l.hand.turns[0]); err != nil {
			return false, err
		}
	}
	if time.Since(l.hand.checked) > ahead && !l.check() {
		return false, nil
	}
	if l.limited() {
		l.hand.turns = l.hand.turns[1:]
	}
	return true, nil
}

// discard throws away what is too old.
func (l *Limiter) discard() {
	now, h := time.Now(), &l.hand
	for len(h.turns) > 0 && now.Sub(h.turns[0]) > l.late() {
		h.turns = h.turns[1:]
	}
}

// late is how late a turn may be used. As many requests more than Redis allows
// may then come at once as are due in that time.
func (l *Limiter) late() time.Duration {
	return max(time.Duration(l.burst()-l.sharedBurst()), 1) * l.interval()
}

// sharedBurst is the part of Burst that Redis gives away.
func (l *Limiter) sharedBurst() int { return (l.burst() + 1) / 2 }

// draw takes turns from Redis. It reports false if there are none to be had: in
// a pause, if too many wait, or if Redis does not answer.
func (l *Limiter) draw() bool {
	h := &l.hand
	n := 1
	if time.Since(h.last) < l.interval() {
		n = max(min(2*h.n, int(l.Rate*ahead.Seconds()), mostGet), 1)
	}
	h.n = n
	g, err := ask(l, func(ctx context.Context) (grant, error) { return l.store.take(ctx, n) })
	now := time.Now()
	h.asked = now
	switch {
	case err != nil:
		l.wentDown(err)
		return false
	case g.pause > 0:
		l.hold(now.Add(g.pause))
		return false
	case g.none > 0:
		h.again = now.Add(g.none)
		return false
	}
	h.checked = now
	for i := range n {
		at := g.first + time.Duration(i)*l.interval()
		h.turns = append(h.turns, now.Add(max(at, 0)))
	}
	return true
}

// check asks Redis whether there is a pause, and reports false if there is, or
// no answer.
func (l *Limiter) check() bool {
	seen := l.pausesMade()
	left, err := ask(l, l.store.left)
	now := time.Now()
	l.hand.asked = now
	switch {
	case err != nil:
		l.wentDown(err)
		return false
	case left > 0:
		l.believe(now.Add(left), seen)
		return false
	}
	l.believe(time.Time{}, seen)
	l.hand.checked = now
	return true
}
