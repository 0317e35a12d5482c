package redispace

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// A fleet is some processes that share a fake Redis, and the times at which they
// send.
type fleet struct {
	fake     *fakeRedis
	limiters []*Limiter
	every    time.Duration // what a caller does between two sends

	mu   sync.Mutex
	sent []time.Time
	errs []error
}

func newFleet(n int, like *Limiter) *fleet {
	fl := &fleet{}
	for range n {
		l := &Limiter{Rate: like.Rate, Burst: like.Burst, FailClosed: like.FailClosed, Share: like.Share, MaxPause: like.MaxPause, OnRedis: like.OnRedis}
		if fl.fake == nil {
			fl.fake = newFake(l.Rate, l.sharedBurst())
		}
		l.store = fl.fake
		fl.limiters = append(fl.limiters, l)
	}
	return fl
}

// send has each limiter used by some greedy callers, for a while.
func (fl *fleet) send(t *testing.T, callers int, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range fl.limiters {
		for range callers {
			wg.Go(func() {
				for ctx.Err() == nil {
					err := l.Wait(ctx)
					if errors.Is(err, context.DeadlineExceeded) {
						return
					}
					fl.note(err)
					time.Sleep(fl.every)
					if err != nil {
						time.Sleep(10 * time.Millisecond)
					}
				}
			})
		}
	}
	wg.Wait()
	time.Sleep(time.Second) // for a probe that is under way
}

func (fl *fleet) note(err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if err != nil {
		fl.errs = append(fl.errs, err)
		return
	}
	fl.sent = append(fl.sent, time.Now())
}

// most returns by how much what was sent ever exceeded rate.
func most(sent []time.Time, rate float64) float64 {
	level, over := 0.0, 0.0
	for i, at := range sent {
		if i > 0 {
			level = max(level-at.Sub(sent[i-1]).Seconds()*rate, 0)
		}
		level++
		over = max(over, level)
	}
	return over
}

// between returns how many of sent are in the time from start+from to start+to.
func between(sent []time.Time, start time.Time, from, to time.Duration) (n int) {
	for _, at := range sent {
		if d := at.Sub(start); d >= from && d < to {
			n++
		}
	}
	return n
}

func TestRateAndBurst(t *testing.T) {
	for _, row := range []struct {
		rate      float64
		burst     int // 0: default
		processes int
		most      float64 // at once
		takes     float64 // round trips for a send, at most
	}{
		{0.5, 1, 3, 1, 1.01},
		{10, 0, 4, 2, 1.01}, // a burst of 1 and its neighbour: turns may be late by one
		{100, 10, 4, 10, 0.6},
		{100, 10, 50, 10, 0.6},
		{1000, 0, 1, 100, 0.06},
		{1000, 100, 4, 100, 0.06},
		{1000, 2, 4, 2, 0.08},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := time.Duration(400/row.rate*1e9) + 5*time.Second
			fl := newFleet(row.processes, &Limiter{Rate: row.rate, Burst: row.burst})
			fl.send(t, 3, d)
			want := row.rate * d.Seconds()
			n := float64(len(fl.sent))
			if n < 0.98*want || n > want+row.most+float64(row.processes) {
				t.Errorf("%+v: sent %v in %v, want %v", row, n, d, want)
			}
			if over := most(fl.sent, row.rate); over > row.most+0.01 {
				t.Errorf("%+v: %v at once", row, over)
			}
			if takes := float64(fl.fake.takes); takes > row.takes*n+10 {
				t.Errorf("%+v: %v round trips for %v sends", row, takes, n)
			}
		})
	}
}

// TestTurnsGoRound: no process gets more than another.
func TestTurnsGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(4, &Limiter{Rate: 1000})
		counts := make([]int, len(fl.limiters))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for i, l := range fl.limiters {
			wg.Go(func() {
				for l.Wait(ctx) == nil {
					counts[i]++
				}
			})
		}
		wg.Wait()
		if least, most := slices.Min(counts), slices.Max(counts); least < most*9/10 {
			t.Errorf("unequal parts: %v", counts)
		}
	})
}

// TestFewTakeNothingAhead: a process that sends now and then takes one turn at a
// time, and leaves the others to those who need them.
func TestFewTakeNothingAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 1000})
		for range 100 {
			if err := fl.limiters[0].Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if fl.fake.taken != 100 {
			t.Errorf("%d turns taken for 100 sends", fl.fake.taken)
		}
	})
}

// TestOldTurnsAreLost: what was taken ahead and not used is no burst later.
func TestOldTurnsAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 1000, Burst: 2})
		l := fl.limiters[0]
		send := func(n int) {
			for range n {
				if err := l.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		send(40)
		if len(l.hand.turns) == 0 {
			t.Fatal("nothing was taken ahead")
		}
		time.Sleep(time.Second)
		start := time.Now()
		send(20)
		if took := time.Since(start); took < 18*time.Millisecond {
			t.Errorf("20 requests in %v", took)
		}
	})
}

func TestManyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 10})
		start := time.Now()
		fl.fake.fullUntil = start.Add(3 * time.Second)
		if err := fl.limiters[0].Wait(t.Context()); err != nil || time.Since(start) < 3*time.Second {
			t.Errorf("waited %v: %v", time.Since(start), err)
		}
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 0.1, Burst: 1})
		l := fl.limiters[0]
		start := time.Now()
		for i, want := range []time.Duration{0, 10 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			err := l.Wait(ctx)
			cancel()
			var late *pace.TooLate
			switch {
			case i == 0 && err != nil:
				t.Fatal(err)
			case i == 1 && !errors.As(err, &late):
				t.Fatalf("got %v", err)
			case i == 1 && (late.Turn.Sub(start) < want || time.Since(start) > time.Second):
				t.Errorf("turn at %v, said after %v", late.Turn.Sub(start), time.Since(start))
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errGone) })
		if err := l.Wait(ctx); !errors.Is(err, errGone) || !errors.Is(err, context.Canceled) || time.Since(start) > 2*time.Second {
			t.Errorf("cancelled: %v after %v", err, time.Since(start))
		}
		// Neither has taken the turn of the next.
		if err := l.Wait(t.Context()); err != nil || time.Since(start) > 11*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestZeroValue: nothing is limited, and a pause holds.
func TestZeroValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		start := time.Now()
		for range 1000 {
			if err := l.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
		if err := l.Pause(time.Second); err != nil {
			t.Error(err)
		}
		if err := l.Wait(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestAlone has no Redis, and a limit.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Limiter{Rate: 100, Burst: 5}
		start := time.Now()
		for range 105 {
			if err := l.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 990*time.Millisecond || took > 1010*time.Millisecond {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := l.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := l.Wait(t.Context()); err != nil || time.Since(start) > 1010*time.Millisecond {
			t.Errorf("the next got a turn after %v, %v", time.Since(start), err)
		}
	})
}
