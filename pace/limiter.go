package pace

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/time/rate"
)

// A Queue lets callers through a limiter one at a time, first in, first out.
// Only the head of the queue waits on the limiter itself: a caller that gives
// up leaves no debt behind, and a limit that is changed reaches all who are
// queued behind the head, whose own wait on the limiter has begun. The zero
// Queue is empty and ready for use, by any number of goroutines.
type Queue struct {
	mu      sync.Mutex
	busy    bool // somebody is at the head
	waiting list // behind the head
}

// Wait returns nil when it is the caller's turn and l lets it through, and
// otherwise why ctx ended, as [Cause] tells it, or the error of l. When a
// *rate.Limiter refuses the head because its wait would outlast ctx's deadline,
// the error is context.DeadlineExceeded too. All callers of one Queue should
// pass the same l.
func (q *Queue) Wait(ctx context.Context, l interface{ Wait(context.Context) error }) error {
	if err := q.head(ctx); err != nil {
		return err
	}
	defer q.next() // also if l panics
	if ctx.Err() != nil {
		return Cause(ctx)
	}
	err := l.Wait(ctx)
	switch lim, ok := l.(*rate.Limiter); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return Cause(ctx)
	case ok && lim.Burst() > 0: // with no burst it refuses everything
		if _, limited := ctx.Deadline(); limited {
			return fmt.Errorf("%w: %w", err, context.DeadlineExceeded)
		}
	}
	return err
}

// head returns nil when the caller is the head of the queue.
func (q *Queue) head(ctx context.Context) error {
	q.mu.Lock()
	if !q.busy {
		q.busy = true
		q.mu.Unlock()
		return nil
	}
	w := &waiter{ready: make(chan struct{})}
	q.waiting.push(w)
	q.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	isHead := w.list == nil // both at once: the turn goes to the next
	if !isHead {
		q.waiting.remove(w)
	}
	q.mu.Unlock()
	if isHead {
		q.next()
	}
	return Cause(ctx)
}

// next gives the head of the queue to the one behind.
func (q *Queue) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.waiting.front
	if w == nil {
		q.busy = false
		return
	}
	q.waiting.remove(w)
	close(w.ready)
}

// Cause returns why ctx ended: its cause, and its error too unless the cause
// wraps that, so that errors.Is finds both. It returns nil while ctx goes on.
func Cause(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
