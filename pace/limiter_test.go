package pace_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/pace"
)

const ms, second = time.Millisecond, time.Second

// limiterFunc is a limiter of one's own.
type limiterFunc func(context.Context) error

func (f limiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// taking lets everybody through, after d.
func taking(d time.Duration) limiterFunc {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// line has n callers queue in order and collects how they fared.
func line(n int, wait func(i int) error) (errs []error) {
	errs = make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = wait(i) })
		synctest.Wait() // it has its place
	}
	wg.Wait()
	return errs
}

// free reports whether q is let go of: a caller with no time to lose gets in.
func free(t *testing.T, q *pace.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	if err := q.Wait(ctx, limiterFunc(func(context.Context) error { return nil })); err != nil {
		t.Errorf("the queue is not free: %v", err)
	}
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q pace.Queue
		var order []int // a race, if two are in the limiter at once
		var inside, most int
		start := time.Now()
		errs := line(50, func(i int) error {
			return q.Wait(t.Context(), limiterFunc(func(ctx context.Context) error {
				order = append(order, i)
				inside++
				most = max(most, inside)
				defer func() { inside-- }()
				return taking(second)(ctx)
			}))
		})
		if err := errors.Join(errs...); err != nil || !slices.IsSorted(order) || len(order) != 50 {
			t.Errorf("order %v, %v", order, err)
		}
		if most != 1 {
			t.Errorf("%d in the limiter at once, want the head alone", most)
		}
		if took := time.Since(start); took != 50*second {
			t.Errorf("took %v, want 50 s", took)
		}
		free(t, &q)
	})
}

// Those who come while turns are handed on do not overtake.
func TestNobodyOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q pace.Queue
		l := rate.NewLimiter(100, 1)
		var order []int
		errs := line(90, func(i int) error {
			time.Sleep(time.Duration(i) * 3 * ms) // three come while one is let through
			return q.Wait(t.Context(), limiterFunc(func(ctx context.Context) error {
				order = append(order, i)
				return l.Wait(ctx)
			}))
		})
		if err := errors.Join(errs...); err != nil || !slices.IsSorted(order) || len(order) != 90 {
			t.Errorf("order %v, %v", order, err)
		}
	})
}

// On the limiter alone, 500 who give up leave it 494 tokens in debt, and the
// next caller waits for almost 5 s.
func TestCancelledWaitersLeaveNoDebt(t *testing.T) {
	for _, c := range []struct {
		name string
		quit func(i int) bool
	}{
		{"all but the head", func(i int) bool { return i > 0 }},
		{"the head", func(i int) bool { return i == 0 }},
		{"the middle", func(i int) bool { return i > 100 && i < 400 }},
		{"every other", func(i int) bool { return i%2 == 0 }},
		{"all", func(int) bool { return true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q pace.Queue
				l := rate.NewLimiter(100, 1)
				if !l.Allow() {
					t.Fatal("a full limiter has a token")
				}
				ctx, cancel := context.WithCancel(t.Context())
				stay := 0
				var through atomic.Int64
				var wg sync.WaitGroup
				start := time.Now()
				for i := range 500 {
					if !c.quit(i) {
						stay++
						wg.Go(func() {
							if err := q.Wait(t.Context(), l); err != nil {
								t.Error(err)
							}
							through.Store(int64(time.Since(start))) // they are let through 10 ms apart
						})
					} else {
						wg.Go(func() {
							if err := q.Wait(ctx, l); !errors.Is(err, context.Canceled) {
								t.Errorf("got %v", err)
							}
						})
					}
					synctest.Wait()
				}
				time.Sleep(5 * ms) // less than a token
				cancel()
				wg.Wait()
				if want := time.Duration(stay) * 10 * ms; time.Duration(through.Load()) != want {
					t.Errorf("%d were let through in %v, want %v", stay, time.Duration(through.Load()), want)
				}
				if tokens := l.Tokens(); tokens < 0 || tokens > 1 {
					t.Errorf("%v tokens, want from 0 to 1", tokens)
				}
				start = time.Now()
				if err := q.Wait(t.Context(), l); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > 10*ms {
					t.Errorf("the next lone caller waited %v", took)
				}
			})
		})
	}
}

// On the limiter alone, all 200 are through after a fifth of a second.
func TestLoweredLimitReachesThoseWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q pace.Queue
		l := rate.NewLimiter(1000, 1)
		start := time.Now()
		time.AfterFunc(20*ms+ms/2, func() { l.SetLimit(10) })
		at := make([]time.Duration, 200)
		line(len(at), func(i int) error {
			err := q.Wait(t.Context(), l)
			at[i] = time.Since(start)
			return err
		})
		if at[20] > 21*ms {
			t.Errorf("the first twenty took %v", at[20])
		}
		for i := 23; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 100*ms-1 || gap > 100*ms+1 {
				t.Fatalf("caller %d came %v after the one before, want 100ms", i, gap)
			}
		}
	})
}

func TestWait(t *testing.T) {
	errLimiter, errCause := errors.New("limiter is out of order"), errors.New("the user left")
	type limiter = interface{ Wait(context.Context) error }
	full := func(r rate.Limit, burst int) func() limiter {
		return func() limiter { return rate.NewLimiter(r, burst) }
	}
	empty := func(r rate.Limit) func() limiter {
		return func() limiter {
			l := rate.NewLimiter(r, 1)
			l.Allow()
			return l
		}
	}
	failing := func() limiter { return limiterFunc(func(context.Context) error { return errLimiter }) }
	for _, c := range []struct {
		name    string
		limiter func() limiter
		timeout time.Duration // of the context, if any
		cancel  time.Duration // when it is cancelled, if at all; negative means before
		is      []error
		not     []error
		text    string
		took    time.Duration
	}{
		{"a token at hand", full(1, 1), 0, 0, nil, nil, "", 0},
		{"a token to come", empty(1), 0, 0, nil, nil, "", second},
		{"no limit", full(rate.Inf, 0), 0, 0, nil, nil, "", 0},
		{"a token just before the deadline", empty(1), second + 1, 0, nil, nil, "", second}, // at one instant, either may come first
		{"a token after the deadline", empty(1), second - 1, 0, []error{context.DeadlineExceeded}, nil, "rate: Wait(n=1) would exceed context deadline: context deadline exceeded", 0},
		{"never a token, and a deadline", empty(0), second, 0, []error{context.DeadlineExceeded}, nil, "rate: Wait(n=1) would exceed context deadline: context deadline exceeded", 0},
		{"no burst", full(1, 0), 0, 0, nil, []error{context.DeadlineExceeded, context.Canceled}, "rate: Wait(n=1) exceeds limiter's burst 0", 0},
		{"no burst, and a deadline", full(1, 0), second, 0, nil, []error{context.DeadlineExceeded}, "rate: Wait(n=1) exceeds limiter's burst 0", 0},
		{"less than no burst, and a deadline", full(1, -1), second, 0, nil, []error{context.DeadlineExceeded}, "rate: Wait(n=1) exceeds limiter's burst -1", 0},
		{"a context that has ended", full(1, 1), 0, -1, []error{context.Canceled, errCause}, nil, "context canceled: the user left", 0},
		{"a context that ends", empty(.1), 0, second, []error{context.Canceled, errCause}, nil, "context canceled: the user left", second},
		{"a limiter of one's own fails", failing, 0, 0, []error{errLimiter}, nil, "limiter is out of order", 0},
		{"a limiter of one's own fails under a deadline", failing, second, 0, []error{errLimiter}, []error{context.DeadlineExceeded}, "limiter is out of order", 0},
		{"a limiter of one's own is not asked when the context has ended", failing, 0, -1, []error{context.Canceled, errCause}, []error{errLimiter}, "context canceled: the user left", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				defer end(nil)
				if c.timeout > 0 {
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, c.timeout)
					defer stop()
				}
				switch {
				case c.cancel < 0:
					end(errCause)
				case c.cancel > 0:
					time.AfterFunc(c.cancel, func() { end(errCause) })
				}
				var q pace.Queue
				l, start := c.limiter(), time.Now()
				err := q.Wait(ctx, l)
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if got := fmt.Sprint(err); err == nil && c.text != "" || err != nil && got != c.text {
					t.Errorf("got %v, want %q", err, c.text)
				}
				for _, target := range c.is {
					if !errors.Is(err, target) {
						t.Errorf("%v is not %v", err, target)
					}
				}
				for _, target := range c.not {
					if errors.Is(err, target) {
						t.Errorf("%v is %v", err, target)
					}
				}
				free(t, &q)
			})
		})
	}
}

// Whatever becomes of the head, the next has its turn at once.
func TestTheTurnIsHandedOn(t *testing.T) {
	errLimiter := errors.New("limiter is out of order")
	for _, c := range []struct {
		name string
		head limiterFunc
		want string
	}{
		{"after a wait", func(context.Context) error { return nil }, "<nil>"},
		{"after an error", func(context.Context) error { return errLimiter }, "limiter is out of order"},
		{"after a panic", func(context.Context) error { panic("limiter") }, "panic: limiter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q pace.Queue
				start := time.Now()
				errs := line(3, func(i int) (err error) {
					defer func() {
						if p := recover(); p != nil {
							err = fmt.Errorf("panic: %v", p)
						}
					}()
					if i > 0 {
						return q.Wait(t.Context(), taking(0))
					}
					return q.Wait(t.Context(), limiterFunc(func(ctx context.Context) error {
						time.Sleep(second)
						return c.head(ctx)
					}))
				})
				if got := fmt.Sprint(errs[0]); got != c.want || errs[1] != nil || errs[2] != nil {
					t.Errorf("got %v, want %s and no errors", errs, c.want)
				}
				if took := time.Since(start); took != second {
					t.Errorf("took %v", took)
				}
				free(t, &q)
			})
		})
	}
}

// Those whose time runs out in the queue leave at that time, and those behind
// them do not wait for them.
func TestDeadlineInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q pace.Queue
		start := time.Now()
		took := make([]time.Duration, 4)
		errs := line(4, func(i int) error {
			ctx := t.Context()
			if i == 1 || i == 2 {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeoutCause(ctx, time.Duration(i)*second, errors.New("lunch"))
				defer stop()
			}
			err := q.Wait(ctx, taking(10*second))
			took[i] = time.Since(start)
			return err
		})
		if want := []time.Duration{10 * second, 1 * second, 2 * second, 20 * second}; !slices.Equal(took, want) {
			t.Errorf("took %v, want %v", took, want)
		}
		for i, err := range errs {
			if i == 1 || i == 2 {
				if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "context deadline exceeded: lunch" {
					t.Errorf("caller %d: %v", i, err)
				}
			} else if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		}
	})
}

// A caller whose turn comes as its context ends passes the turn on, and the
// limiter is not asked for it.
func TestTurnAndEndAtOnce(t *testing.T) {
	for range 200 { // the choice is the scheduler's
		synctest.Test(t, func(t *testing.T) {
			var q pace.Queue
			asked := 0
			ctx, cancel := context.WithCancel(t.Context())
			errs := line(3, func(i int) error {
				switch i {
				case 0:
					return q.Wait(t.Context(), limiterFunc(func(context.Context) error {
						time.Sleep(second)
						cancel() // before the turn is handed on, in the same breath
						return nil
					}))
				case 1:
					return q.Wait(ctx, limiterFunc(func(context.Context) error { asked++; return nil }))
				}
				return q.Wait(t.Context(), taking(0))
			})
			if errs[0] != nil || errs[1] != context.Canceled || errs[2] != nil || asked != 0 {
				t.Errorf("got %v, asked %d times", errs, asked)
			}
			free(t, &q)
		})
	}
}

// Callers come and go on real threads; the head stays alone, and in the end the
// queue is empty.
func TestStress(t *testing.T) {
	var q pace.Queue
	var inside, through, left atomic.Int32
	l := limiterFunc(func(context.Context) error {
		if inside.Add(1) != 1 {
			t.Error("two in the limiter")
		}
		inside.Add(-1)
		return nil
	})
	const workers, rounds = 16, 500
	cancels := make(chan context.CancelFunc, 4)
	var wg, cancelling sync.WaitGroup
	cancelling.Go(func() {
		for cancel := range cancels {
			cancel()
		}
	})
	for range workers {
		wg.Go(func() {
			for range rounds {
				ctx, cancel := context.WithCancel(context.Background())
				cancels <- cancel
				switch err := q.Wait(ctx, l); err {
				case nil:
					through.Add(1)
				case context.Canceled:
					left.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(cancels)
	cancelling.Wait()
	if n := through.Load() + left.Load(); n != workers*rounds || left.Load() == 0 {
		t.Errorf("%d through, %d left", through.Load(), left.Load())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*second)
	defer cancel()
	if err := q.Wait(ctx, l); err != nil {
		t.Errorf("the queue is locked: %v", err)
	}
}

// odd is an error that cannot be compared.
type odd []string

func (o odd) Error() string { return strings.Join(o, " ") }

func TestCause(t *testing.T) {
	because := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		return ctx
	}
	late, cancel := context.WithDeadlineCause(context.Background(), time.Time{}, errors.New("closed"))
	defer cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		is   error
		text string
	}{
		{"none while it goes on", context.Background(), nil, "<nil>"},
		{"no cause given", because(nil), context.Canceled, "context canceled"},
		{"a cause", because(errors.New("enough")), context.Canceled, "context canceled: enough"},
		{"a cause that says it all", because(fmt.Errorf("enough: %w", context.Canceled)), context.Canceled, "enough: context canceled"},
		{"a cause of another kind", because(context.DeadlineExceeded), context.Canceled, "context canceled: context deadline exceeded"},
		{"a cause that cannot be compared", because(odd{"much", "too", "odd"}), context.Canceled, "context canceled: much too odd"},
		{"a deadline with a cause", late, context.DeadlineExceeded, "context deadline exceeded: closed"},
	} {
		err, cause := pace.Cause(c.ctx), context.Cause(c.ctx)
		if !errors.Is(err, c.is) {
			t.Errorf("%s: %v is not %v", c.name, err, c.is)
		}
		if (cause == nil || reflect.TypeOf(cause).Comparable()) && !errors.Is(err, cause) {
			t.Errorf("%s: %v is not %v", c.name, err, cause)
		}
		if got := fmt.Sprint(err); got != c.text {
			t.Errorf("%s: got %q, want %q", c.name, got, c.text)
		}
	}
}
