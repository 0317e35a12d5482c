package pace_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

var (
	narrow = "https://a.example/resource/abcd-1234.json" // of a dataset that takes two at once
	wide   = "https://a.example/resource/wxyz-9876.json" // of one that has no limit
)

// narrowed returns a Pacer that has learned the limit of narrow, and a rate if
// it is not 0, and whose two sends to narrow are in flight.
func narrowed(t testing.TB, rate float64) (p *pace.Pacer, flight [2]pace.Ticket) {
	t.Helper()
	p = new(pace.Pacer)
	state := fmt.Sprintf(`{"version":1,"quotas":[{"scheme":"https","host":"a.example","rate":%v,"datasets":{"abcd-1234":2}}]}`, rate)
	if err := p.UnmarshalJSON([]byte(state)); err != nil {
		t.Fatal(err)
	}
	for i := range flight {
		ticket, err := p.Wait(context.Background(), pace.KeyOf(request(t, narrow)), false)
		if err != nil {
			t.Fatal(err)
		}
		flight[i] = ticket
	}
	return p, flight
}

// crowd has n callers wait for url until the function it returns is called.
func crowd(t testing.TB, p *pace.Pacer, url string, n int) (leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	k := pace.KeyOf(request(t, url))
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if ticket, err := p.Wait(ctx, k, false); err == nil {
				p.Abandon(ticket)
			}
		})
	}
	for p.Snapshot()[0].Waiting < n {
		runtime.Gosched()
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// Those who wait for their dataset take no turns: a caller for another one is
// not refused because of them.
func TestFullDatasetTakesNoTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _ := narrowed(t, 10)
		leave := crowd(t, p, narrow, 1000)
		defer leave()
		if turn := p.Turn(pace.KeyOf(request(t, wide))); turn > 200*time.Millisecond {
			t.Errorf("the turn of a retry is said to come in %v", turn)
		}
		if turn := p.Turn(pace.KeyOf(request(t, narrow))); turn > 200*time.Millisecond {
			t.Errorf("the turn of a retry, which goes first, is said to come in %v", turn)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		ticket, err := p.Wait(ctx, pace.KeyOf(request(t, wide)), false)
		if took := time.Since(begin); err != nil || took > 200*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		p.Done(ticket, good, 0, false)
		var late *pace.TooLate
		if _, err := p.Wait(ctx, pace.KeyOf(request(t, narrow)), false); !errors.As(err, &late) || late.Wait < 90*time.Second {
			t.Errorf("behind a thousand of his own dataset: %v", err)
		}
	})
}

// Nor is he when a pause begins that he can outlast.
func TestFullDatasetTakesNoTurnsAfterAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _ := narrowed(t, 10)
		leave := crowd(t, p, narrow, 1000)
		defer leave()
		k := pace.KeyOf(request(t, wide))
		first := wait(t, p, k)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		done := make(chan error)
		go func() {
			_, err := p.Wait(ctx, k, false)
			done <- err
		}()
		synctest.Wait()
		p.Done(first, throttled, 3*time.Second, true)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A dataset with room again gets it before those who came later, whatever they
// want, and after those who came earlier.
func TestTurnsAreByArrivalAcrossDatasets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, flight := narrowed(t, 10)
		wait(t, p, pace.KeyOf(request(t, wide)))
		var (
			mu    sync.Mutex
			order []int
			wg    sync.WaitGroup
		)
		for i, url := range []string{wide, narrow, wide, narrow, narrow, wide, narrow} {
			wg.Go(func() {
				ticket, err := p.Wait(context.Background(), pace.KeyOf(request(t, url)), i >= 4)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				p.Done(ticket, good, 0, false)
			})
			synctest.Wait()
		}
		for _, ticket := range flight {
			p.Done(ticket, good, 0, false)
		}
		wg.Wait()
		if want := []int{4, 5, 6, 0, 1, 2, 3}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
	})
}

// The limit that is given up lets those go who waited for it.
func TestLimitGivenUpWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, flight := narrowed(t, 0)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ticket, err := p.Wait(context.Background(), pace.KeyOf(request(t, narrow)), false)
				if err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Millisecond)
				p.Done(ticket, good, 0, false)
			})
		}
		synctest.Wait()
		p.Done(flight[0], throttled, 0, false) // fewer than a limit can be
		if s := p.Snapshot()[0]; s.Datasets != nil {
			t.Fatalf("%+v, want no limit", s)
		}
		p.Done(flight[1], good, 0, false)
		wg.Wait()
		if s := p.Snapshot()[0]; s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Nobody who need not wait costs an allocation, whoever waits for a dataset
// that is not his.
func TestAllocatesNothingBesideWaiters(t *testing.T) {
	p, _ := narrowed(t, 0)
	leave := crowd(t, p, narrow, 10)
	defer leave()
	k, ctx := pace.KeyOf(request(t, wide)), context.Background()
	if n := testing.AllocsPerRun(100, func() {
		ticket, _ := p.Wait(ctx, k, false)
		p.Done(ticket, good, 0, false)
	}); n != 0 {
		t.Errorf("%v allocations for each send, want none", n)
	}
}
