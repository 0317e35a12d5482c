package pace_test

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

const unlimited = 1e9

// A server that refuses a share of everything is not asked ever more slowly
// for it, whether it has a limit besides or not. Chance may have that take some
// minutes, and so it is the sum of a few servers that counts.
func TestRefusalsAtAnyPace(t *testing.T) {
	const servers = 4
	for _, c := range []struct {
		share, rate, least float64
		minutes            int
	}{
		{0.01, unlimited, 250, 12}, // of 800 that the workers could send
		{0.05, unlimited, 250, 14},
		{0.2, unlimited, 100, 12},
		{0.5, unlimited, 100, 22},
		{0.02, 50, 20, 8},
		{0.2, 50, 10, 30},
	} {
		t.Run(fmt.Sprint(c.share, " of ", c.rate), func(t *testing.T) {
			minutes := 0
			for seed := range uint64(servers) {
				bubble(t, func(t *testing.T) {
					var p pace.Pacer
					s := &server{rate: c.rate, burst: c.rate / 5, reject: busy, flaky: c.share, dice: rand.New(rand.NewPCG(1, seed))}
					k := key(t, "a.example")
					for n := 0.0; n < c.least && minutes <= c.minutes; minutes++ {
						n = float64(s.work(&p, k, 64, time.Minute)) / 60
					}
				})
			}
			if minutes > c.minutes {
				t.Errorf("less than %.0f/s got through at %d servers in %d minutes, want %d at most", c.least, servers, minutes, c.minutes)
			}
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
			rounds := bits.Len(uint(i / 4)) // four at once, and twice as many after each wait
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

// A pace that is far too low is outgrown by what is sent, not by the hour.
func TestOutgrowsLowPace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		if err := p.UnmarshalJSON([]byte(`{"version":1,"quotas":[{"scheme":"https","host":"a.example","rate":1,"trust":1}]}`)); err != nil {
			t.Fatal(err)
		}
		s := &server{rate: 100, burst: 20, reject: throttled}
		k := key(t, "a.example")
		s.work(&p, k, 64, time.Minute)
		if n := s.work(&p, k, 64, time.Minute); n < 5000 {
			t.Errorf("%d of 6000 got through in the second minute", n)
		}
	})
}

// A limit that falls is found again, and the mean of the better time before is
// not tried again and again.
func TestLimitFalls(t *testing.T) {
	for _, reject := range []classify.Outcome{throttled, busy} {
		bubble(t, func(t *testing.T) {
			var p pace.Pacer
			s := &server{rate: 500, burst: 50, reject: reject}
			k := key(t, "a.example")
			s.work(&p, k, 64, time.Minute)
			s.mu.Lock()
			s.rate, s.burst, s.tokens, s.sent, s.bad = 20, 5, 0, 0, 0
			s.mu.Unlock()
			n := s.work(&p, k, 64, 2*time.Minute)
			if n < 2300 || s.bad > 140 { // 64 were in flight
				t.Errorf("%d of 2400 got through, %d were rejected", n, s.bad)
			}
		})
	}
}

// One 503 among many answers may be an accident, two close together are not,
// and a 429 never is.
func TestLoneRefusal(t *testing.T) {
	for _, c := range []struct {
		name   string
		bad    map[int]classify.Outcome
		asked  bool
		change int // the number of the reject that changes the mode; 0 if none does
	}{
		{"one", map[int]classify.Outcome{10: busy}, false, 0},
		{"far apart", map[int]classify.Outcome{10: busy, 40: busy, 70: busy}, false, 0},
		{"close", map[int]classify.Outcome{10: busy, 20: busy}, false, 20},
		{"429", map[int]classify.Outcome{10: throttled}, false, 10},
		{"with Retry-After", map[int]classify.Outcome{10: busy}, true, 10},
	} {
		bubble(t, func(t *testing.T) {
			var p pace.Pacer
			k := key(t, "a.example")
			for i := 1; i < 100; i++ {
				ticket := wait(t, &p, k)
				time.Sleep(20 * time.Millisecond)
				o, bad := c.bad[i]
				if !bad {
					o = good
				}
				p.Done(ticket, o, time.Second, bad && c.asked)
				if want := c.change > 0 && i >= c.change; (p.Snapshot()[0].Mode == pace.Paced) != want {
					t.Fatalf("%s: after number %d: %v", c.name, i, p.Snapshot()[0].Mode)
				}
			}
		})
	}
}
