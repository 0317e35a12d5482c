package pace

import (
	"testing"
	"testing/synctest"
	"time"
)

// A window opens somewhere between a probe that is refused and the next: its
// rate is neither always too low nor always too high.
func TestRateOfWindow(t *testing.T) {
	const windows, sends = 40, 300
	mean := 0.0 // of what is measured, as a share of the rate
	for i := range windows {
		synctest.Test(t, func(t *testing.T) {
			var p Pacer
			l := p.line(hostKey(0).quota)
			window := 30*time.Second - time.Duration(i)*100*time.Millisecond // probes meet its end anywhere
			rate := sends / window.Seconds()
			left := sends
			for l.now() < window+5*time.Second {
				ticket, err := p.Wait(t.Context(), hostKey(0), false)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
				if left--; left < 0 && l.now() < window {
					p.Done(ticket, tooMany, 0, false)
				} else {
					p.Done(ticket, served, 0, false)
				}
			}
			mean += l.paced.base / rate / windows
		})
	}
	if mean < 0.98 || mean > 1.02 {
		t.Errorf("measured %.3f of the rate", mean)
	}
}

// After a window that was found at its end the base is held for less long, and
// no longer if it was too high from the first.
func TestNarrow(t *testing.T) {
	for _, c := range []struct{ climb, wide, want time.Duration }{
		{29 * time.Second, 30 * time.Second, 15 * time.Second},
		{14 * time.Second, 30 * time.Second, 0},
		{time.Second, 0, 0},
	} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		s := &l.paced
		s.begin(l, 10, 0)
		s.climb, s.wide = c.climb, c.wide
		s.decrease(l, Ticket{line: l, seq: 300, at: time.Minute}, mark{at: time.Minute, good: 300, seq: 300}, time.Minute)
		if s.wide != c.want {
			t.Errorf("%v of %v: held for %v more, want %v", c.climb, c.wide, s.wide, c.want)
		}
		l.mu.Unlock()
	}
}

// Rejects in a row at the end of a window do not slow the next one down.
func TestEndOfWindow(t *testing.T) {
	for _, c := range []struct {
		wide time.Duration
		good float64 // sends since the cut
		kept bool
	}{
		{15 * time.Second, 0, true},
		{15 * time.Second, 1, false},
		{0, 0, false},
	} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		s := paced{base: 10, wide: c.wide, proven: true}
		s.mark(mark{at: time.Second, good: 300, seq: 300})
		base, guess := s.further(l, 9.5, mark{at: 1100 * time.Millisecond, good: 300 + c.good, seq: 310})
		if kept := base == s.base && s.again == 0; kept != c.kept || guess {
			t.Errorf("%+v: base %v, guess %v", c, base, guess)
		}
		l.mu.Unlock()
	}
}

// A window that says when it opens is taken at its word, and what another one
// refused long ago says nothing about it.
func TestWindowOpened(t *testing.T) {
	for _, c := range []struct {
		what                        string
		refused, resume, sent, want time.Duration
	}{
		{"no pause", 50 * time.Second, 0, 54 * time.Second, 52 * time.Second},
		{"a pause", 2 * time.Second, 60 * time.Second, 60 * time.Second, 60 * time.Second},
		{"a pause that began before", 50 * time.Second, 20 * time.Second, 54 * time.Second, 52 * time.Second},
		{"crossed", 50 * time.Second, 0, 49 * time.Second, 50 * time.Second},
	} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		l.closed.refused = time.Second // in the window before
		l.run.to = c.refused
		l.close(answer{status: 429}, c.refused)
		l.resume = c.resume
		if got := l.closed.opened(l, Ticket{at: c.sent}, time.Minute); got != c.want {
			t.Errorf("%s: opened at %v, want %v", c.what, got, c.want)
		}
		l.mu.Unlock()
	}
}
