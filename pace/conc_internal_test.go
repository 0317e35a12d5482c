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
