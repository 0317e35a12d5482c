package pace

import (
	"math"
	"time"
)

// A wall is where the server last told everybody to stay away for long: as if
// a window's allowance was used up. If so, the next window ends after as many
// sends, and it is better to walk into that than to run.
type wall struct {
	from float64 // good sends before the present window
	took float64 // good sends in the one before; few if none has ended
}

const (
	longPause = 3 * time.Second // that a bucket which sends several a second does not ask for
	nearWall  = 0.1             // of a window: sends this near to its end may be the last
	walking   = 2               // in flight there: one to meet the end, one on its way
)

// hit takes note of a reject that begins a pause, with so many good sends
// before it, and reports whether it was to be expected.
func (w *wall) hit(a answer, good float64) (expected bool) {
	if !a.asked || a.retryAfter <= longPause {
		return false
	}
	expected = w.near(good)
	w.from, w.took = good, max(good-w.from, 0)
	return expected
}

// near reports whether the wall may be here.
func (w *wall) near(good float64) bool {
	return w.took >= fewSends && math.Abs(good-w.from-w.took) <= nearWall*w.took
}
