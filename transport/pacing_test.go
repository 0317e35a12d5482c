package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// bursts is a Limiter that panics.
type bursts struct{}

func (bursts) ReserveN(time.Time, int) *rate.Reservation { panic("burst") }
func (bursts) Wait(context.Context) error                { panic("burst") }

// TestLimiterPanics: what the Pacer allowed is given back to it.
func TestLimiterPanics(t *testing.T) {
	pacer := new(pace.Pacer)
	rt := &transport.Transport{Base: answers(answer(200, "")), Pacer: pacer, Limiter: bursts{}}
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		}()
	}
	if n := pacer.Snapshot()[0].InFlight; n != 0 {
		t.Errorf("%d seem to be in flight", n)
	}
}

// TestPauseWhileTheLimiterHolds: who had passed the Pacer before the server
// asked to be left alone, and waits for the Limiter, is not sent either.
func TestPauseWhileTheLimiterHolds(t *testing.T) {
	for status, asked := range map[int]string{429: "60", 503: ""} { // a pause, and a host that is down
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var sent []time.Duration
			begin := time.Now()
			base := baseFunc(func(*http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				at := time.Since(begin)
				sent = append(sent, at)
				if len(sent) < 10 || at > time.Minute {
					return answer(200, ""), nil
				}
				resp := answer(status, "")
				if asked != "" {
					resp.Header.Set("Retry-After", asked)
				}
				return resp, nil
			})
			rt := &transport.Transport{Base: base, Pacer: new(pace.Pacer), Limiter: rate.NewLimiter(2, 1), Policy: policy.Batch()}
			var wg sync.WaitGroup
			for range 60 {
				wg.Go(func() {
					resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
					if err != nil || resp.StatusCode != 200 {
						t.Errorf("got %v, %v", resp, err)
					}
				})
			}
			wg.Wait()
			most, within := 1, 0 // one is told
			if asked == "" {
				most = 70 // probes, of the 120 that the Limiter lets go
			}
			for _, at := range sent[9:] {
				if at < time.Minute {
					within++
				}
			}
			if within > most {
				t.Errorf("after a %d, %d were sent within the minute, want %d at most", status, within, most)
			}
		})
	}
}

// TestSlowLimitNearby: callers who wait to retry are slow by themselves, which
// is not taken for a server that refuses as much at any pace.
func TestSlowLimitNearby(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			limit := rate.NewLimiter(10, 20)
			var mu sync.Mutex
			var sent, refused int
			base := baseFunc(func(*http.Request) (*http.Response, error) {
				time.Sleep(5 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				if sent++; limit.Allow() {
					return answer(200, ""), nil
				}
				refused++
				return answer(429, ""), nil
			})
			rt := &transport.Transport{Base: base, Pacer: new(pace.Pacer), Policy: policy.Batch()}
			work := func() {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				var wg sync.WaitGroup
				for i := range 3 {
					url := fmt.Sprintf("http://data.test/resource/abcd-000%d.json", i)
					wg.Go(func() {
						for ctx.Err() == nil {
							if _, err := rt.RoundTrip(newRequest(t, "GET", url, nil).WithContext(ctx)); err != nil {
								<-ctx.Done() // its turn comes later
							}
						}
					})
				}
				wg.Wait()
			}
			work()
			sent, refused = 0, 0
			work()
			if refused > sent/20 {
				t.Errorf("%d of %d refused", refused, sent)
			}
		})
	}
}

// TestSlowLimiterAfterAnOutage: probes that wait for the Limiter while others
// follow them go all the same, or none ever would.
func TestSlowLimiterAfterAnOutage(t *testing.T) {
	for _, every := range []time.Duration{3 * time.Second, 12 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var mu sync.Mutex
			answered := 0
			base := baseFunc(func(*http.Request) (*http.Response, error) {
				time.Sleep(50 * time.Millisecond)
				if at := time.Since(begin); at > 20*time.Second && at < 2*time.Minute {
					return answer(503, ""), nil
				}
				mu.Lock()
				defer mu.Unlock()
				answered++
				return answer(200, ""), nil
			})
			rt := &transport.Transport{Base: base, Pacer: new(pace.Pacer), Limiter: rate.NewLimiter(rate.Every(every), 1), Policy: policy.Batch()}
			ctx, cancel := context.WithTimeout(t.Context(), 22*time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					for ctx.Err() == nil {
						if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx)); err != nil {
							time.Sleep(time.Second)
						}
					}
				})
			}
			wg.Wait()
			if want := int(18 * time.Minute / every); answered < want {
				t.Errorf("%d were answered in 20 minutes of one each %v, want %d", answered, every, want)
			}
		})
	}
}

// naps is a Limiter that takes so long.
type naps time.Duration

func (n naps) ReserveN(time.Time, int) *rate.Reservation { return nil }
func (n naps) Wait(context.Context) error                { time.Sleep(time.Duration(n)); return nil }

// TestLimiterLongerThanMaxElapsed: what a user's Limiter takes before a first
// attempt does not count, even if there is a pause when it is over.
func TestLimiterLongerThanMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pacer := new(pace.Pacer)
		rt := &transport.Transport{Base: answers(answer(200, "")), Pacer: pacer, Limiter: naps(3 * time.Minute)}
		go func() {
			time.Sleep(3*time.Minute - 500*time.Millisecond)
			req := newRequest(t, "GET", "http://data.test/", nil)
			ticket, err := pacer.WaitFor(t.Context(), req, false)
			if err != nil {
				t.Error(err)
			}
			pacer.Done(ticket, classify.Of(req, answer(429, ""), nil), time.Second, true)
		}()
		begin := time.Now()
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v", resp, err)
		}
		if d := time.Since(begin); d < 6*time.Minute {
			t.Errorf("sent after %v, in the pause", d)
		}
	})
}
