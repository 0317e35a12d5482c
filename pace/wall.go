package pace

import "time"

// A wall is where the server last told everybody to stay away for long: as if
// a window's allowance was used up. If so, the next window ends after as many
// sends, and it is better to walk into that than to run.
type wall struct {
	from float64 // good sends before the present window
	took float64 // good sends in the one before; few if none has ended
	more float64 // that either may be more: what was in flight at the end, of which any may be the first refused
}

const (
	longPause = 3 * time.Second // that a bucket which sends several a second does not ask for
	nearWall  = 0.1             // of a window: sends this near to its end may be the last
	walking   = 2               // in flight there: one to meet the end, one on its way
)

// hit takes note of a reject that begins a pause, with so many good sends
// before it and so many sends in flight, and reports whether it was to be expected.
func (w *wall) hit(a answer, good float64, inFlight int) (expected bool) {
	if !a.asked || a.retryAfter <= longPause {
		return false
	}
	expected = w.near(good)
	w.from, w.took = good, max(good-w.from, 0)
	w.more = min(float64(inFlight), nearWall*w.took) // one that has grown must not be walked through for long
	return expected
}

// near reports whether the wall may be here.
func (w *wall) near(good float64) bool {
	past := good - w.from - w.took
	return w.took >= fewSends && past >= -nearWall*w.took && past <= nearWall*w.took+2*w.more
}
