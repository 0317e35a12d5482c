package pace

import (
	"math"
	"testing"
	"time"
)

// A server that counts by time cannot have given more before a flight than was
// sent.
func TestBurstOfFlight(t *testing.T) {
	s := paced{saved: -1, first: mark{at: 180 * time.Millisecond, good: 38}}
	for _, c := range []struct{ before, want float64 }{{math.Inf(1), 10}, {18, 19}} {
		if s.before = c.before; s.burst(150) != c.want {
			t.Errorf("%v before: %v, want %v", c.before, s.burst(150), c.want)
		}
	}
}

// The first reject tells what was sent before its flight, if it asks for a pause.
func TestFlightOfReject(t *testing.T) {
	pause := answer{status: 429, retryAfter: time.Second, asked: true}
	for _, c := range []struct {
		what   string
		number int // of the rejected send; there are three flights, of 6, 12 and 24
		first  bool
		a      answer
		want   float64
	}{
		{"in the second flight", 10, false, pause, 6},
		{"the first of the third to be answered", 20, true, pause, 18},
		{"another of the third", 20, false, pause, 18},
		{"without a pause", 20, true, answer{status: 429}, math.Inf(1)},
	} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		var sent []Ticket
		flight := func(n int, answered bool) {
			for range n {
				sent = append(sent, l.send("", true, time.Second))
			}
			if answered {
				l.open.accepted(l, sent[len(sent)-1], time.Second)
			}
		}
		flight(6, true)
		flight(12, true)
		if c.number > 18 {
			flight(24, !c.first)
		}
		l.open.rejected(l, sent[c.number-1], c.a, time.Second)
		if l.paced.before != c.want {
			t.Errorf("%s: %v sent before the flight, want %v", c.what, l.paced.before, c.want)
		}
		l.disarm()
		l.mu.Unlock()
	}
}

// A first guess is left at once, as the pause that follows it makes climbs
// long, and no measurement confirms it.
func TestGuess(t *testing.T) {
	for _, a := range []answer{{status: 429}, {status: 429, retryAfter: time.Second, asked: true}} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		var last Ticket
		for range 4 {
			last = l.send("", true, time.Second)
		}
		l.trip.observe(80 * time.Millisecond)
		l.open.rejected(l, last, a, time.Second)
		s := &l.paced
		if s.over.seq != last.seq {
			t.Errorf("%+v: compared with %+v later", a, s.over)
		}
		if s.climb != s.began || a.asked != (s.climb == s.climbTime()) {
			t.Errorf("%+v: climb is %v from %v, all of it takes %v", a, s.climb, s.began, s.climbTime())
		}
		if s.confirm(s.base) || s.trust > minTrust {
			t.Errorf("%+v: the guess was confirmed, trust is %v", a, s.trust)
		}
		l.disarm()
		l.mu.Unlock()
	}
}

// A guess begins at the end of a climb as it is now: one that a pause made long
// is over long ago if no pause follows.
func TestGuessWithoutPause(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	l.trip.observe(80 * time.Millisecond)
	l.open.rejected(l, l.send("", true, time.Second), answer{status: 429, retryAfter: time.Second, asked: true}, time.Second)
	s := &l.paced
	s.rejected(l, l.send("", true, 2100*time.Millisecond), answer{status: 429}, 2100*time.Millisecond)
	if s.climb == 0 || s.climb != s.climbTime() || s.rate(0) > 2*s.base {
		t.Errorf("climb is %v of %v, and the pace %v around %v", s.climb, s.climbTime(), s.rate(0), s.base)
	}
	l.disarm()
	l.mu.Unlock()
}

// A pace that was cut for nothing begins at the end of a climb too, and only
// what follows is looked at for the rate.
func TestCutForNothing(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	defer l.mu.Unlock()
	l.trip.observe(80 * time.Millisecond)
	l.open.rejected(l, l.send("", true, time.Second), answer{status: 429}, time.Second)
	d := l.addDataset("abcd-1234")
	d.baseThen = 2 * l.paced.base
	l.setApart(d, time.Second)
	if s := &l.paced; s.climb != s.climbTime() || s.rise(never).from != s.climb.Seconds() {
		t.Errorf("climb is %v of %v, looked at from %v s", s.climb, s.climbTime(), s.rise(never).from)
	}
	d.timer.Stop()
	l.disarm()
}
