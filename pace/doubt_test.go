package pace_test

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

const unlimited = 1e9

// A server that refuses a share of everything is not asked ever more slowly
// for it, whether it has a limit besides or not.
func TestRefusalsAtAnyPace(t *testing.T) {
	for _, c := range []struct{ share, rate, least float64 }{
		{0.01, unlimited, 250}, // of 800 that the workers could send
		{0.05, unlimited, 250},
		{0.2, unlimited, 100},
		{0.02, 50, 20},
	} {
		t.Run(fmt.Sprint(c.share, " of ", c.rate), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var p pace.Pacer
				s := &server{rate: c.rate, burst: c.rate / 5, reject: busy, flaky: c.share, dice: rand.New(rand.NewPCG(1, 2))}
				k := key(t, "a.example")
				best := 0.0 // chance may have it take some minutes
				for range 30 {
					if best = max(best, float64(s.work(&p, k, 64, time.Minute))/60); best >= c.least {
						return
					}
				}
				t.Errorf("at most %.0f/s got through, want %.0f", best, c.least)
			})
		})
	}
}

// What is believed about a server that recovers and then has a limit does not
// cost it more than learning that limit.
func TestLimitAfterRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		s := &server{rate: unlimited, burst: unlimited, reject: busy, flaky: 0.05, dice: rand.New(rand.NewPCG(3, 4))}
		k := key(t, "a.example")
		s.work(&p, k, 64, time.Minute)
		s.mu.Lock()
		s.rate, s.burst, s.tokens, s.flaky, s.sent, s.bad = 50, 10, 10, 0, 0, 0
		s.mu.Unlock()
		s.work(&p, k, 64, time.Minute)
		if s.bad > s.sent/5 {
			t.Errorf("%d of %d rejected in the first minute of the limit", s.bad, s.sent)
		}
		s.mu.Lock()
		s.sent, s.bad = 0, 0
		s.mu.Unlock()
		n := s.work(&p, k, 64, time.Minute)
		if n < 45*60 || float64(s.bad) > 0.05*float64(s.sent) {
			t.Errorf("%d got through in a minute, %d of %d rejected", n, s.bad, s.sent)
		}
	})
}

// Requests that take long do not keep all others from a host.
func TestSlowAnswersDoNotHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		begin := time.Now()
		for i := range 200 {
			wait(t, &p, k)
			rounds := bits.Len(uint(i / 6)) // six at once, and twice as many after each wait
			if d := time.Since(begin); d != time.Duration(rounds)*500*time.Millisecond {
				t.Fatalf("number %d was sent after %v", i+1, d)
			}
		}
	})
}

// Waiting for a dataset's own limit is no reason to raise the quota's rate.
func TestDatasetLimitIsNoClimb(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		err := p.UnmarshalJSON([]byte(`{"version":1,"quotas":[{"scheme":"https","host":"a.example","rate":50,"trust":1,"datasets":{"abcd-1234":2}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		k := key(t, "a.example")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					ticket, err := p.Wait(ctx, k, false)
					if err != nil {
						return
					}
					time.Sleep(time.Second)
					p.Done(ticket, good, 0, false)
				}
			})
		}
		wg.Wait()
		if r := rateNow(&p); r > 60 {
			t.Errorf("two requests a second have raised the rate to %.0f", r)
		}
	})
}

// All that a lost connection takes with it may be sent once more.
func TestBudgetCoversWhatIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		for range 20 {
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					ticket := wait(t, &p, k)
					time.Sleep(time.Millisecond)
					p.Done(ticket, good, 0, false)
				})
			}
			wg.Wait()
		}
		n := 0
		for n < 1000 && p.Retry(k) {
			n++
		}
		if n < 60 || n > 70 {
			t.Errorf("%d retries after 64 in flight", n)
		}
	})
}
