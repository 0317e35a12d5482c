package pace

import (
	"testing"
	"time"
)

// While each cut comes below base, the pace has been too fast since the reject
// before the first, and what was accepted since then is what the server gives.
func TestBetweenLowCuts(t *testing.T) {
	over := mark{at: time.Second, good: 104, seq: 110}
	m := mark{at: 6 * time.Second, good: 148, seq: 160}
	for _, c := range []struct {
		what     string
		cur      float64
		pause    time.Duration
		over     mark
		dev      time.Duration
		low, top float64
		forgets  bool
	}{
		{"low", 9.6, 0, over, 0, 8.99, 9.01, false},
		{"low, of answers that take their time", 9.6, 0, over, 100 * time.Millisecond, 9.37, 9.38, false},
		{"low, but there is nothing to compare with", 9.6, 0, mark{}, 0, 9.4, 9.6, true},
		{"low, after a pause", 9.6, time.Second, over, 0, 9.4, 9.6, true},
		{"above base", 10.2, 0, over, 0, 9.4, 10.2, true},
		{"out of order", 9.6, 0, mark{at: m.at + time.Millisecond, good: 148, seq: 159}, 0, 9.4, 9.6, false},
	} {
		s := paced{base: 10, noise: mostStep, trust: 1, climb: time.Second, sentAt: m.at, saved: 0, pause: c.pause, over: c.over}
		s.mark(mark{at: 5 * time.Second, good: 140, seq: 151})
		if got := s.between(c.cur, m, c.dev); got < c.low || got > c.top {
			t.Errorf("%s: %.3f, want %v to %v", c.what, got, c.low, c.top)
		}
		if got := s.over == m; got != c.forgets {
			t.Errorf("%s: what is compared with is %+v", c.what, s.over)
		}
	}
}

// However little was accepted, one cut halves the pace at most.
func TestBetweenHalves(t *testing.T) {
	s := paced{base: 10, noise: mostStep, trust: 1, climb: time.Second, sentAt: 6 * time.Second, over: mark{at: time.Second, good: 147, seq: 110}}
	s.mark(mark{at: 5 * time.Second, good: 147, seq: 151})
	if got := s.between(9.6, mark{at: 6 * time.Second, good: 148, seq: 160}, 0); got != 4.8 {
		t.Errorf("got %v, want 4.8", got)
	}
}

// Where nobody was there to send, and after a pause, the server has saved up.
func TestSavedUpMeanwhile(t *testing.T) {
	for _, c := range []struct {
		gap   time.Duration
		pause bool
		kept  bool
	}{{100 * time.Millisecond, false, true}, {150 * time.Millisecond, false, false}, {100 * time.Millisecond, true, false}} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		s, now := &l.paced, time.Minute
		l.state = s
		l.enter()
		s.begin(l, 10, now)
		s.over = *s.cut()
		s.skip() // to a step above base, where a send takes 95 ms
		s.ramp = 0
		for range 3 {
			now = s.turn(l, now)
			l.send("", true, now)
		}
		if now += c.gap; s.turn(l, now) > now {
			t.Fatal("the token is not there yet")
		}
		last := l.send("", false, now)
		if c.pause {
			s.rest = true
			s.decrease(l, last, mark{at: now, good: l.good(last), seq: last.seq}, now)
		}
		if kept := s.over.seq != 0; kept != c.kept {
			t.Errorf("%+v: %+v", c, s.over)
		}
		l.mu.Unlock()
	}
}

// Another reject of the same round trip, sent before it, was no accepted send.
func TestRefineOver(t *testing.T) {
	s := paced{over: mark{good: 100, seq: 110}}
	s.mark(mark{good: 100, seq: 110})
	s.refine(mark{seq: 109})
	s.refine(mark{seq: 111})
	if s.over.good != 99 {
		t.Errorf("%v were accepted before, want 99", s.over.good)
	}
}
