package pace

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// TooLate is the error of a Wait whose turn would come after the deadline of its
// context, which may be nearer than the caller's own: a Transport has its policy
// in there too. It is a [context.DeadlineExceeded] that comes before the
// deadline does.
type TooLate struct {
	Wait time.Duration // until its turn
	Turn time.Time     // when that would be
}

// Error tells how long the wait would be, and when it would end.
func (e *TooLate) Error() string {
	return fmt.Sprintf("pace: its turn would come in %v, at %s, which is too late", e.Wait.Round(time.Millisecond), e.Turn.Format(time.RFC3339))
}

// Unwrap returns [context.DeadlineExceeded].
func (e *TooLate) Unwrap() error { return context.DeadlineExceeded }

// Timeout returns true.
func (e *TooLate) Timeout() bool { return true }

// errRetired says that a line was evicted between its look-up and its lock.
var errRetired = errors.New("pace: line retired")
