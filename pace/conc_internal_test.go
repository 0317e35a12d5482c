package pace

import (
	"testing"
	"time"
)

// A limit in flight that turns out not to be one was about the rate, and what
// was known of that holds.
func TestUncapped(t *testing.T) {
	for _, known := range []float64{0, 50} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		if known > 0 {
			l.paced.begin(l, known, time.Second)
		}
		d := l.addDataset("abcd-1234")
		d.limit = 20
		l.caps = 1
		l.uncap(d, 2*time.Second)
		if paced := l.state == &l.paced; l.caps != 0 || paced != (known > 0) || paced && l.paced.base != known {
			t.Errorf("knew %v/s: now %v at %v/s", known, l.mode(), l.state.rate(2*time.Second))
		}
		l.mu.Unlock()
	}
}

// Two sends of one moment may reach the server in the other order: it is the
// number in flight that was too much.
func TestCrossedSends(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	defer l.mu.Unlock()
	d := l.addDataset("abcd-1234")
	d.limit, d.belief, d.inFlight = 16, 1, 15 // the sixteenth, and the others
	d.took[1], d.took[15] = 10, 60
	l.caps = 1
	if !l.blames(Ticket{line: l, cap: d, n: 15}, time.Second) || d.limit != 15 {
		t.Errorf("the limit is %d", d.limit)
	}
}

// What counts as sent since a row of rejects began is the number of the send.
func TestAccept(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	defer l.mu.Unlock()
	for _, seq := range []uint64{7, 3, 9, 2, 8, 1} {
		l.accept(Ticket{seq: seq})
	}
	if l.newest != [elsewhere]uint64{7, 8, 9} {
		t.Errorf("the last sent are %v", l.newest)
	}
}

// A dataset is set apart whether or not anybody has had to wait so far, and one
// word said by many is obeyed once.
func TestSetApartAtOnce(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	defer l.mu.Unlock()
	d := l.addDataset("abcd-1234")
	d.row, l.newest = downRun-1, [elsewhere]uint64{1, 2, 3}
	asks := func(s time.Duration, at time.Duration) time.Duration {
		if !l.ownFault(Ticket{line: l, cap: d, at: at - time.Second}, answer{status: 429, retryAfter: s, asked: true}, at) {
			t.Error("it is not its own fault")
		}
		return d.wakes
	}
	if until := asks(time.Minute, time.Second); until != 61*time.Second || l.word.Load()&gate == 0 || l.caps != 1 {
		t.Errorf("held until %v, %d limits, gate %v", until, l.caps, l.word.Load()&gate)
	}
	if until := asks(time.Minute, 2*time.Second); until != 61*time.Second {
		t.Errorf("the same word again holds until %v", until)
	}
	if until := asks(2*time.Minute, 3*time.Second); until != 123*time.Second {
		t.Errorf("a longer pause holds until %v", until)
	}
	d.timer.Stop()
}
