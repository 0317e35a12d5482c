package pace_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

var (
	notFound  = classify.Outcome{Kind: classify.NotFound, Status: 404}
	throttled = classify.Outcome{Kind: classify.TooManyRequests, Class: classify.Throttled, Acted: classify.ActedNo, Status: 429}
	busy      = classify.Outcome{Class: classify.Throttled, Status: 503}
	badGate   = classify.Outcome{Class: classify.Transient, Status: 502}
	refused   = classify.Outcome{Class: classify.Transient, Acted: classify.ActedNo}
)

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func key(t *testing.T, host string) pace.Key {
	return pace.KeyOf(request(t, "https://"+host+"/resource/abcd-1234.json"))
}

// wait fails the test if p does not let a send through.
func wait(t *testing.T, p *pace.Pacer, k pace.Key) pace.Ticket {
	t.Helper()
	ticket, err := p.Wait(context.Background(), k, false)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// waits is wait for n sends at once.
func waits(t *testing.T, p *pace.Pacer, k pace.Key, n int) (tickets []pace.Ticket) {
	t.Helper()
	for range n {
		tickets = append(tickets, wait(t, p, k))
	}
	return tickets
}

// throttle makes p learn a rate: n sends at once, the last of which is rejected.
func throttle(t *testing.T, p *pace.Pacer, k pace.Key, n int) {
	t.Helper()
	tickets := waits(t, p, k, n)
	time.Sleep(100 * time.Millisecond)
	for i, ticket := range tickets {
		if i < n-1 {
			p.Done(ticket, good, 0, false)
		} else {
			p.Done(ticket, throttled, 0, false)
		}
	}
}

func rateNow(p *pace.Pacer) float64 { return p.Snapshot()[0].Rate }

// A server is a token bucket behind 80 ms of latency, that can be down.
type server struct {
	mu          sync.Mutex
	rate, burst float64
	tokens      float64
	at          time.Time
	down        bool
	hint        time.Duration
	reject      classify.Outcome
	sent, bad   int
	flaky       float64 // share of requests that it rejects by itself
	dice        *rand.Rand
}

func (s *server) serve() classify.Outcome {
	time.Sleep(40 * time.Millisecond)
	defer time.Sleep(40 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.at.IsZero() {
		s.at, s.tokens = now, s.burst
	}
	s.tokens = min(s.burst, s.tokens+now.Sub(s.at).Seconds()*s.rate)
	s.at = now
	s.sent++
	if s.down || s.flaky > 0 && s.dice.Float64() < s.flaky || s.tokens < 1 {
		s.bad++
		return s.reject
	}
	s.tokens--
	return good
}

// answer is serve with a hint when to come back, if the server gives one.
func (s *server) answer() (o classify.Outcome, after time.Duration, asked bool) {
	o = s.serve()
	if o == good || s.hint == 0 {
		return o, 0, false
	}
	return o, s.hint, true
}

// work sends through p until d is over, with w workers, and returns how many
// sends were good.
func (s *server) work(p *pace.Pacer, k pace.Key, w int, d time.Duration) int {
	var (
		wg  sync.WaitGroup
		end = time.Now().Add(d)
		sum int
	)
	for range w {
		wg.Go(func() {
			for retry := false; time.Now().Before(end); {
				ticket, err := p.Wait(context.Background(), k, retry)
				if err != nil {
					return
				}
				o, after, asked := s.answer()
				p.Done(ticket, o, after, asked)
				retry = o != good
				if !retry {
					s.mu.Lock()
					sum++
					s.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return sum
}

func TestLearnsRate(t *testing.T) {
	for _, tt := range []struct{ rate, burst, least, waste float64 }{
		{50, 10, 0.97, 0.02}, {300, 50, 0.97, 0.02}, {5, 5, 0.9, 0.09}, {50, 1, 0.9, 0.03},
	} {
		t.Run(fmt.Sprint(tt.rate, "/", tt.burst), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var p pace.Pacer
				s := &server{rate: tt.rate, burst: tt.burst, reject: throttled}
				n := s.work(&p, key(t, "a.example"), 64, time.Minute)
				if ideal := tt.burst + 60*tt.rate; float64(n) < tt.least*ideal {
					t.Errorf("%d good sends, ideal %.0f", n, ideal)
				}
				if float64(s.bad) > tt.waste*float64(s.sent) {
					t.Errorf("%d of %d sends rejected", s.bad, s.sent)
				}
				if r := rateNow(&p); math.Abs(r-tt.rate) > 0.2*tt.rate {
					t.Errorf("learned %.1f/s, want %v", r, tt.rate)
				}
			})
		})
	}
}

// Refusals of the first sends that come late are no burst that the server
// could save up.
func TestLateRefusalsAreNoBurst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		var first, late []pace.Ticket
		for range 4 {
			first = append([]pace.Ticket{wait(t, &p, k)}, first...)
		}
		time.Sleep(80 * time.Millisecond)
		for i, ticket := range first {
			if i < 2 { // those that were sent last, which makes room for two more
				p.Done(ticket, good, 0, false)
				late = append(late, wait(t, &p, k), wait(t, &p, k))
			} else {
				p.Done(ticket, throttled, 0, false)
			}
		}
		next := wait(t, &p, k)
		time.Sleep(80 * time.Millisecond)
		p.Done(next, throttled, 0, false)
		for _, ticket := range late {
			p.Done(ticket, throttled, 0, false)
		}
		s := &server{rate: 50, burst: 1, reject: throttled}
		if n := s.work(&p, k, 64, time.Minute); n < 2700 {
			t.Errorf("%d good sends of 3000", n)
		}
	})
}

// With Retry-After the server is never hit twice, and hardly loses time.
func TestLearnsRateWithRetryAfter(t *testing.T) {
	for _, tt := range []struct{ rate, burst, least, waste float64 }{{50, 10, 0.85, 0.01}, {300, 50, 0.85, 0.01}, {5, 5, 0.85, 0.1}} {
		bubble(t, func(t *testing.T) {
			var p pace.Pacer
			s := &server{rate: tt.rate, burst: tt.burst, reject: throttled, hint: time.Second}
			n := s.work(&p, key(t, "a.example"), 64, 2*time.Minute)
			if ideal := tt.burst + 120*tt.rate; float64(n) < tt.least*ideal || float64(s.bad) > tt.waste*float64(s.sent) {
				t.Errorf("%v/%v: %d good sends, ideal %.0f; %d rejected", tt.rate, tt.burst, n, ideal, s.bad)
			}
		})
	}
}

// A window that is used up closes the line; when it opens, the pace is what
// the window allows.
func TestWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		s := &server{rate: 1e6, burst: 1e6, reject: throttled}
		var wg sync.WaitGroup
		wg.Go(func() { s.work(&p, k, 32, 90*time.Second) })
		wg.Go(func() { // 300 in half a minute
			for i := range 3 {
				s.mu.Lock()
				s.down, s.tokens, s.rate, s.burst, s.at = false, 300, 0, 300, time.Now()
				s.mu.Unlock()
				if i == 1 && p.Snapshot()[0].Mode != pace.Closed {
					t.Errorf("%+v", p.Snapshot()[0])
				}
				time.Sleep(30 * time.Second)
			}
		})
		wg.Wait()
		// Each of two windows is found open up to a probe's interval late, which
		// is 4.0 s with its jitter, at ten a second.
		if good := s.sent - s.bad; good < 900-2*40 || s.bad > 100 {
			t.Errorf("%d good, %d bad of 900 possible", good, s.bad)
		}
	})
}

// A window that has been seen is remembered: the pace it allows is held, and a
// refusal or two in the middle do not make it burst into the next.
func TestWindowIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		s := &server{burst: 300, reject: throttled}
		var wg sync.WaitGroup
		wg.Go(func() { s.work(&p, key(t, "a.example"), 64, 10*time.Minute) })
		for range 21 {
			s.mu.Lock()
			s.tokens, s.at = 300, time.Now()
			s.mu.Unlock()
			time.Sleep(30 * time.Second)
		}
		wg.Wait()
		if good := s.sent - s.bad; good < 5850 || s.bad > 180 {
			t.Errorf("%d good, %d bad of 6000 possible", good, s.bad)
		}
	})
}

// A window that asks for a long pause at its end is met at full speed only
// once: the ends of the next are approached at a walk.
func TestWindowWithRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		s := &server{burst: 500, reject: throttled, hint: 31 * time.Second}
		var wg sync.WaitGroup
		wg.Go(func() { s.work(&p, key(t, "a.example"), 32, 125*time.Second) })
		for i := range 5 {
			if i == 4 { // for those still waiting when the work is over, and for nobody before
				time.Sleep(6 * time.Second)
			}
			s.mu.Lock()
			s.tokens, s.at = 500, time.Now()
			s.mu.Unlock()
			time.Sleep(30 * time.Second)
		}
		wg.Wait()
		if good := s.sent - s.bad; good < 2000 || s.bad > 32+3*3 {
			t.Errorf("%d good, %d bad of 2000 possible", good, s.bad)
		}
	})
}

// A slow bucket's long pauses do not make it a window.
func TestSlowBucketWithRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		s := &server{rate: 0.2, burst: 1, reject: throttled, hint: 5 * time.Second}
		n := s.work(&p, key(t, "a.example"), 4, time.Hour)
		if n < 0.75*720 || s.bad > s.sent/10 {
			t.Errorf("%d good, %d of %d bad, 720 possible", n, s.bad, s.sent)
		}
	})
}

// Without a limit there is nothing to pay but a few round trips, once.
func TestUnlimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		s := &server{rate: 1e6, burst: 1e6}
		n := s.work(&p, key(t, "a.example"), 64, 8*time.Second)
		if want := 4 + 8 + 16 + 32 + 96*64; n != want { // 3.06 round trips less than 64 each time
			t.Errorf("%d sends, want %d", n, want)
		}
		if st := p.Snapshot()[0]; st.Mode != pace.Open || st.Waiting != 0 || st.InFlight != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// What was sent before the last decrease says nothing that it did not answer.
func TestOldRejectChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		old := wait(t, &p, k)
		older := wait(t, &p, k)
		throttle(t, &p, k, 4)
		was := rateNow(&p)
		p.Done(old, throttled, 0, false)
		if r := rateNow(&p); r != was {
			t.Errorf("rate went from %v to %v", was, r)
		}
		for range 3 {
			p.Done(wait(t, &p, k), good, 0, false)
		}
		was = rateNow(&p)
		p.Done(older, throttled, 0, false)
		if r := rateNow(&p); r != was {
			t.Errorf("rate went from %v to %v", was, r)
		}
		p.Done(wait(t, &p, k), throttled, 0, false)
		if r := rateNow(&p); r >= was {
			t.Errorf("a new reject left the rate at %v", r)
		}
	})
}

// Whether a caller tries again or gives up makes no difference to the others.
func TestLastAttemptSlowsOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		throttle(t, &p, k, 6) // and nobody retries
		if s := p.Snapshot()[0]; s.Mode != pace.Paced || s.Rate <= 0 {
			t.Fatalf("%+v", s)
		}
		begin := time.Now()
		for range 6 {
			p.Done(wait(t, &p, k), good, 0, false)
		}
		if d := time.Since(begin); d < 100*time.Millisecond {
			t.Errorf("six sends in %v", d)
		}
	})
}

func TestRetryAfterHoldsItsKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		a, b := key(t, "a.example"), key(t, "b.example")
		p.Done(wait(t, &p, a), throttled, 7*time.Second, true)
		begin := time.Now()
		other := request(t, "https://a.example/resource/wxyz-9876.json")
		p.Done(wait(t, &p, b), good, 0, false)
		if d := time.Since(begin); d != 0 {
			t.Errorf("another host waited %v", d)
		}
		p.Done(wait(t, &p, pace.KeyOf(other)), good, 0, false)
		if d := time.Since(begin); d != 7*time.Second {
			t.Errorf("another dataset of the quota waited %v, want 7s", d)
		}
	})
}

func TestReleaseIsSpread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var (
			p     pace.Pacer
			k     = key(t, "a.example")
			mu    sync.Mutex
			times []time.Duration
			wg    sync.WaitGroup
		)
		throttle(t, &p, k, 6)
		p.Done(wait(t, &p, k), throttled, 3*time.Second, true)
		begin := time.Now()
		for range 30 {
			wg.Go(func() {
				ticket, _ := p.Wait(context.Background(), k, false)
				mu.Lock()
				times = append(times, time.Since(begin))
				mu.Unlock()
				time.Sleep(80 * time.Millisecond)
				p.Done(ticket, good, 0, false)
			})
		}
		wg.Wait()
		for i, d := range times {
			if d < 3*time.Second {
				t.Errorf("send %d came %v after the reject", i, d)
			}
			if i >= 3 && d-times[i-3] < 20*time.Millisecond {
				t.Errorf("sends %d to %d came within %v", i-3, i, d-times[i-3])
			}
		}
	})
}

func TestNotFoundCostsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		for range 1000 {
			p.Done(wait(t, &p, k), notFound, 0, false)
		}
		if s := p.Snapshot()[0]; s.Mode != pace.Open || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		for range budget {
			if !p.Retry(k) {
				t.Fatal("the budget is short")
			}
		}
	})
}

const budget = 10

func TestBudget(t *testing.T) {
	modes := map[string]func(*testing.T, *pace.Pacer, pace.Key){
		"open":  func(t *testing.T, p *pace.Pacer, k pace.Key) { p.Done(wait(t, p, k), good, 0, false) },
		"paced": func(t *testing.T, p *pace.Pacer, k pace.Key) { throttle(t, p, k, 6) },
		"closed": func(t *testing.T, p *pace.Pacer, k pace.Key) {
			for range 4 {
				p.Done(wait(t, p, k), refused, 0, false)
			}
		},
	}
	for name, enter := range modes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var p pace.Pacer
				k := key(t, "a.example")
				enter(t, &p, k)
				if m := p.Snapshot()[0].Mode.String(); m != name {
					t.Fatalf("mode %s", m)
				}
				n := 0
				for left := p.Snapshot()[0].Retries; p.Retry(k); left-- {
					n++
					if shown := p.Snapshot()[0].Retries; shown != left-1 {
						t.Errorf("%v retries left after one of %v", shown, left)
					}
				}
				if n != budget {
					t.Errorf("%d retries in reserve, want %d", n, budget)
				}
				for range 20 { // ten retries, which earn nothing, and ten others
					p.Done(wait(t, &p, k), good, 0, false)
				}
				first, second := p.Retry(k), p.Retry(k)
				if !first || !second {
					t.Error("ten new sends did not pay for two retries")
				}
				for p.Retry(k) {
				}
				time.Sleep(100 * time.Millisecond)
				if left := p.Snapshot()[0].Retries; left < 1 || left >= 2 {
					t.Errorf("after a tenth of a second there are %v retries, want 1 and what was left", left)
				}
				if !p.Retry(k) {
					t.Error("time alone paid for nothing")
				}
			})
		})
	}
}

// A pause that nobody waited for is over when its time is.
func TestStalePauseEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		p.Done(wait(t, &p, k), throttled, time.Minute, true)
		if s := p.Snapshot()[0]; !s.Until.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("until %v", s.Until)
		}
		time.Sleep(time.Hour)
		if s := p.Snapshot()[0]; !s.Until.IsZero() {
			t.Errorf("until %v", s.Until)
		}
		begin := time.Now()
		p.Done(wait(t, &p, k), good, 0, false)
		if d := time.Since(begin); d != 0 {
			t.Errorf("waited %v", d)
		}
	})
}

func TestMaxPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pace.Pacer{MaxPause: time.Minute}
		k := key(t, "a.example")
		p.Done(wait(t, &p, k), throttled, math.MaxInt64, true)
		begin := time.Now()
		p.Done(wait(t, &p, k), good, 0, false)
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("waited %v, want 1m", d)
		}
	})
}

// 500 callers who give up while waiting owe nothing.
func TestCancelledLeaveNoDebt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		throttle(t, &p, k, 6)
		ctx, cancel := context.WithCancelCause(context.Background())
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				if ticket, err := p.Wait(ctx, k, false); err == nil {
					p.Abandon(ticket)
				} else if !errors.Is(err, errGone) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel(errGone)
		wg.Wait()
		if s := p.Snapshot()[0]; s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		begin := time.Now()
		p.Done(wait(t, &p, k), good, 0, false)
		if d := time.Since(begin); d > 250*time.Millisecond {
			t.Errorf("the next caller waited %v", d)
		}
	})
}

var errGone = errors.New("gone")

// A lowered rate reaches those who wait already.
func TestLoweredRateReachesWaiters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		throttle(t, &p, k, 6)
		var wg sync.WaitGroup
		last := make(chan pace.Ticket, 1)
		for range 5 {
			p.Done(wait(t, &p, k), good, 0, false)
		}
		last <- wait(t, &p, k)
		begin := time.Now()
		for range 20 {
			wg.Go(func() {
				ticket, _ := p.Wait(context.Background(), k, false)
				time.Sleep(10 * time.Millisecond)
				p.Done(ticket, good, 0, false)
			})
		}
		synctest.Wait()
		was := rateNow(&p)
		p.Done(<-last, throttled, 0, false)
		slow := rateNow(&p)
		if slow >= was {
			t.Errorf("the rate went from %v to %v", was, slow)
		}
		wg.Wait()
		if d, least := time.Since(begin), 15/slow/2; d.Seconds() < least {
			t.Errorf("twenty waiters gone in %v at %.3g/s", d, slow)
		}
	})
}

func TestManyKeys(t *testing.T) {
	var p pace.Pacer
	busy := wait(t, &p, key(t, "busy.example"))
	for i := range 40_000 {
		k := key(t, fmt.Sprintf("h%d.example", i))
		p.Done(wait(t, &p, k), good, 0, false)
	}
	states := p.Snapshot()
	if len(states) > 16_384 {
		t.Errorf("%d keys are kept", len(states))
	}
	found := false
	for _, s := range states {
		found = found || s.Key == "https://busy.example" && s.InFlight == 1
	}
	if !found {
		t.Error("a key with a request in flight was forgotten")
	}
	p.Done(busy, good, 0, false)
}

// All keys busy: the table grows rather than forget one.
func TestBusyKeysStay(t *testing.T) {
	p := pace.Pacer{MaxKeys: 4}
	var tickets []pace.Ticket
	for i := range 8 {
		tickets = append(tickets, wait(t, &p, key(t, fmt.Sprintf("h%d.example", i))))
	}
	if n := len(p.Snapshot()); n != 8 {
		t.Errorf("%d keys, want 8", n)
	}
	for _, ticket := range tickets {
		p.Done(ticket, good, 0, false)
	}
	wait(t, &p, key(t, "next.example"))
	if n := len(p.Snapshot()); n > 4 {
		t.Errorf("%d keys, want at most 4", n)
	}
}

// A key that was evicted while callers looked it up is looked up again.
func TestEvictionRace(t *testing.T) {
	p := pace.Pacer{MaxKeys: 2}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				ticket, err := p.Wait(context.Background(), key(t, fmt.Sprintf("h%d.example", (g+i)%5)), false)
				if err != nil {
					t.Error(err)
				}
				p.Done(ticket, good, 0, false)
			}
		})
	}
	wg.Wait()
	for _, s := range p.Snapshot() {
		if s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// Two clients with one Pacer are one quota.
func TestShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		s := &server{rate: 50, burst: 10, reject: throttled}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { s.work(&p, key(t, "a.example"), 16, time.Minute) })
		}
		wg.Wait()
		if s.bad > s.sent/50 {
			t.Errorf("%d of %d rejected", s.bad, s.sent)
		}
		if n := len(p.Snapshot()); n != 1 {
			t.Errorf("%d quotas", n)
		}
	})
}

// A 503 that is a throttle and a 503 that is an outage are told apart by what
// still succeeds.
func TestThrottleOrOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		s := &server{rate: 50, burst: 10, reject: busy}
		s.work(&p, k, 64, time.Minute)
		if m := p.Snapshot()[0].Mode; m != pace.Paced || s.bad > s.sent/50 {
			t.Errorf("throttle: mode %v, %d of %d rejected", m, s.bad, s.sent)
		}
	})
	for _, o := range []classify.Outcome{busy, badGate, refused} {
		bubble(t, func(t *testing.T) {
			var (
				modes []pace.Mode
				p     = pace.Pacer{OnEvent: func(e pace.Event) {
					if e.Kind == pace.ModeChanged {
						modes = append(modes, e.Mode)
					}
				}}
				k  = key(t, "a.example")
				s  = &server{rate: 1e6, burst: 1e6, reject: o}
				wg sync.WaitGroup
			)
			wg.Go(func() { s.work(&p, k, 16, 50*time.Second) })
			time.Sleep(10 * time.Second)
			s.mu.Lock()
			s.down, s.sent = true, 0
			s.mu.Unlock()
			time.Sleep(5 * time.Second)
			if m := p.Snapshot()[0].Mode; m != pace.Closed {
				t.Errorf("outage by %d: mode %v", o.Status, m)
			}
			time.Sleep(25 * time.Second)
			s.mu.Lock()
			if s.sent > 48 {
				t.Errorf("%d sent into the outage by %d", s.sent, o.Status)
			}
			s.down = false
			s.mu.Unlock()
			time.Sleep(3 * time.Second)
			s.mu.Lock()
			s.sent = 0
			s.mu.Unlock()
			time.Sleep(time.Second)
			s.mu.Lock()
			if s.sent < 180 {
				t.Errorf("%d sends in the fourth second after an outage by %d, want 200", s.sent, o.Status)
			}
			s.mu.Unlock()
			wg.Wait()
			if len(modes) == 0 || modes[len(modes)-1] == pace.Closed {
				t.Errorf("modes %v", modes)
			}
		})
	}
}

// A probe that comes to nothing does not keep the others waiting for ever.
func TestProbeAbandoned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		for range 4 {
			p.Done(wait(t, &p, k), refused, 0, false)
		}
		for range 3 {
			p.Abandon(wait(t, &p, k))
		}
		p.Done(wait(t, &p, k), good, 0, false)
		if m := p.Snapshot()[0].Mode; m != pace.Open {
			t.Errorf("mode %v", m)
		}
	})
}

func TestFirstInFirstOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var (
			p     pace.Pacer
			k     = key(t, "a.example")
			order []int
			mu    sync.Mutex
			wg    sync.WaitGroup
		)
		throttle(t, &p, k, 6)
		p.Done(wait(t, &p, k), throttled, time.Second, true)
		for i := range 20 {
			wg.Go(func() {
				ticket, _ := p.Wait(context.Background(), k, i >= 10)
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				p.Done(ticket, good, 0, false)
			})
			synctest.Wait()
		}
		wg.Wait()
		for i, got := range order {
			if want := (i + 10) % 20; got != want {
				t.Fatalf("order %v", order)
			}
		}
	})
}

func TestDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		short, cancelShort := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancelShort()
		ticket := wait(t, &p, k)
		caught := make(chan error)
		for range 4 {
			wait(t, &p, key(t, "b.example"))
		}
		go func() { // waits for a free slot when the pause begins elsewhere
			_, err := p.Wait(short, key(t, "b.example"), false)
			caught <- err
		}()
		synctest.Wait()
		p.Done(ticket, throttled, time.Minute, true)
		begin := time.Now()
		_, err := p.Wait(ctx, k, false)
		var late *pace.TooLate
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &late) || !late.Timeout() {
			t.Fatalf("got %v", err)
		}
		if late.Wait != time.Minute || !late.Turn.Equal(begin.Add(time.Minute)) || !strings.Contains(err.Error(), "1m0s") {
			t.Errorf("%+v: %v", late, err)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("refused after %v", d)
		}
		if err := <-caught; !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 200*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}

// A pause refuses those already waiting who cannot outlast it.
func TestPauseRefusesWaiters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		var tickets []pace.Ticket
		for range 4 {
			tickets = append(tickets, wait(t, &p, k))
		}
		caught := make(chan error)
		go func() {
			_, err := p.Wait(ctx, k, false)
			caught <- err
		}()
		synctest.Wait()
		begin := time.Now()
		p.Done(tickets[0], throttled, time.Minute, true)
		var late *pace.TooLate
		if err := <-caught; !errors.As(err, &late) || time.Since(begin) != 0 {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}

func TestCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		p.Done(wait(t, &p, k), throttled, time.Minute, true)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errGone)
		if _, err := p.Wait(ctx, k, false); !errors.Is(err, errGone) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSaveAndRestore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var first, second pace.Pacer
		req := tokenRequest(t)
		s := &server{rate: 50, burst: 10, reject: throttled}
		s.work(&first, pace.KeyOf(req), 64, 5*time.Second)
		early := s.bad
		s.work(&first, pace.KeyOf(req), 64, time.Minute)
		data, err := json.Marshal(&first)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), req.Header.Get("X-App-Token")[:4]) {
			t.Errorf("%s reveals the token", data)
		}
		if err := json.Unmarshal(data, &second); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(&second); err != nil || !strings.Contains(string(again), `"rate"`) {
			t.Errorf("unmet quotas are lost: %s, %v", again, err)
		}
		fresh := &server{rate: 50, burst: 10, reject: throttled}
		fresh.work(&second, pace.KeyOf(req), 64, 5*time.Second)
		if fresh.bad >= early {
			t.Errorf("%d early rejects in the second run, %d in the first", fresh.bad, early)
		}
	})
}

// A file written by a clock that ran elsewhere, or by nobody, does no harm.
func TestRestoreStrange(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`"until":"2099-01-01T00:00:00Z"`, "1h0m0s"},
		{`"until":"1999-01-01T00:00:00Z"`, "0s"},
		{`"rate":-1`, "0s"},
		{`"rate":1e300`, "0s"},
		{`"datasets":{"abcd-1234":-5}`, "0s"},
		{`"datasets":{"abcd-1234":3},"until":"2099-01-01T00:00:00Z","rate":10`, "1h0m0s"},
	} {
		bubble(t, func(t *testing.T) {
			var p pace.Pacer
			if err := json.Unmarshal([]byte(`{"version":1,"quotas":[{"scheme":"https","host":"a.example",`+tt.line+`}]}`), &p); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			p.Done(wait(t, &p, key(t, "a.example")), good, 0, false)
			if d := time.Since(begin).String(); d != tt.want {
				t.Errorf("%s: waited %s, want %s", tt.line, d, tt.want)
			}
		})
	}
	var p pace.Pacer
	for _, data := range []string{`{`, `{"version":2}`} {
		if err := p.UnmarshalJSON([]byte(data)); err == nil {
			t.Errorf("%s was taken", data)
		}
	}
	two := `{"version":1,"quotas":[{"scheme":"https","host":"a.example","rate":5},{"scheme":"https","host":"a.example","rate":9}]}`
	if err := p.UnmarshalJSON([]byte(two)); err != nil {
		t.Fatal(err)
	}
	wait(t, &p, key(t, "a.example"))
	if r := rateNow(&p); r > 5 {
		t.Errorf("rate %v, want the lesser", r)
	}
}

// A caller who gives up during a pause does not open the gate for the next.
func TestCancelledInPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		if err := json.Unmarshal([]byte(`{"version":1,"quotas":[{"scheme":"https","host":"a.example","until":"2000-01-01T00:01:00Z"}]}`), &p); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		if _, err := p.Wait(ctx, k, false); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		p.Done(wait(t, &p, k), good, 0, false)
		if d := time.Now().Second(); d != 0 {
			t.Errorf("sent %d s into the pause", d)
		}
	})
}

func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		p := pace.Pacer{OnEvent: func(e pace.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e.String())
		}}
		k := key(t, "a.example")
		p.Done(wait(t, &p, k), throttled, time.Second, true)
		p.Done(wait(t, &p, k), good, 0, false)
		p.Done(wait(t, &p, k), throttled, 0, false)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		all := strings.Join(told, "\n")
		for _, want := range []string{"https://a.example: rate changed", "mode changed, paced", "pause begun", "until 00:00:01", "pause ended"} {
			if !strings.Contains(all, want) {
				t.Errorf("no %q in\n%s", want, all)
			}
		}
	})
	if s := fmt.Sprint(pace.Mode(9), pace.EventKind(9), pace.Concurrency); s != "unknown unknown concurrency" {
		t.Error(s)
	}
}

func TestNoTicket(t *testing.T) {
	var p pace.Pacer
	p.Done(pace.Ticket{}, good, 0, false)
	p.Abandon(pace.Ticket{})
	if s := p.Snapshot(); s != nil {
		t.Error(s)
	}
	k := key(t, "a.example")
	p.Abandon(wait(t, &p, k))
	p.Done(wait(t, &p, k), classify.Outcome{}, 0, false)
	if s := p.Snapshot()[0]; s.InFlight != 0 || s.Sent != 2 {
		t.Errorf("%+v", s)
	}
}

func TestAllocs(t *testing.T) {
	var p pace.Pacer
	req, ctx := tokenRequest(t), context.Background()
	if n := testing.AllocsPerRun(1000, func() {
		ticket, _ := p.Wait(ctx, pace.KeyOf(req), false)
		p.Done(ticket, good, 0, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The account balances while the gate shuts and opens under many senders.
func TestHandOver(t *testing.T) {
	var p pace.Pacer
	k := key(t, "a.example")
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 200 {
				ticket, err := p.Wait(context.Background(), k, false)
				if err != nil {
					t.Error(err)
				}
				switch {
				case g == 0 && i == 150:
					p.Done(ticket, throttled, 0, false)
				case i%7 == 0:
					p.Abandon(ticket)
				default:
					p.Done(ticket, good, 0, false)
				}
				if g > 0 && i > 150 {
					return
				}
			}
		})
	}
	wg.Wait()
	if s := p.Snapshot()[0]; s.InFlight != 0 || s.Waiting != 0 || s.Mode != pace.Paced {
		t.Errorf("%+v", s)
	}
}

// A slots is a dataset that takes n requests at once.
type slots struct {
	n       int
	service func() time.Duration // of a request; called under mu

	mu               sync.Mutex
	used             int
	sent, bad, taken int
}

// work lets w workers send until d is over.
func (s *slots) work(t *testing.T, p *pace.Pacer, k pace.Key, w int, d time.Duration) {
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range w {
		wg.Go(func() {
			for time.Now().Before(end) {
				s.serve(p, wait(t, p, k))
			}
		})
	}
	wg.Wait()
}

// serve answers one request.
func (s *slots) serve(p *pace.Pacer, ticket pace.Ticket) {
	s.mu.Lock()
	s.sent++
	d := s.service()
	ok := s.used < s.n
	if ok {
		s.used++
		s.taken++
	} else {
		s.bad++
	}
	s.mu.Unlock()
	if !ok {
		time.Sleep(5 * time.Millisecond)
		p.Done(ticket, throttled, 0, false)
		return
	}
	time.Sleep(d)
	s.mu.Lock()
	s.used--
	s.mu.Unlock()
	p.Done(ticket, good, 0, false)
}

// A dataset that takes fifteen at once is learned, and another is left alone.
func TestConcurrency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var (
			p pace.Pacer
			k = key(t, "a.example")
			n uint64
		)
		d := slots{n: 15, service: func() time.Duration {
			n = n*6364136223846793005 + 1442695040888963407
			return time.Duration(200+n>>33%2000) * time.Millisecond
		}}
		d.work(t, &p, k, 64, 2*time.Minute)
		s := p.Snapshot()[0]
		if s.Mode != pace.Concurrency || s.Datasets["abcd-1234"] < 12 || s.Datasets["abcd-1234"] > 18 {
			t.Errorf("%+v, %d of %d rejected", s, d.bad, d.sent)
		}
		data, _ := json.Marshal(&p)
		var next pace.Pacer
		if err := json.Unmarshal(data, &next); err != nil {
			t.Fatal(err)
		}
		wait(t, &next, k)
		if l := next.Snapshot()[0].Datasets["abcd-1234"]; l != s.Datasets["abcd-1234"] {
			t.Errorf("restored limit %d", l)
		}
	})
}

// A burst that was thought too small makes the pace run past the limit again
// and again, up to the same pace: that is no limit that confirms itself. Not
// every run begins so, hence the sum of ten.
func TestOvershootIsLearned(t *testing.T) {
	good, bad := 0, 0
	for range 10 {
		bubble(t, func(t *testing.T) {
			var p pace.Pacer
			k := key(t, "a.example")
			s := &server{rate: 100, burst: 20, reject: throttled}
			s.work(&p, k, 64, time.Minute)
			for _, rate := range []float64{20, 200} {
				s.mu.Lock()
				s.rate = rate
				s.mu.Unlock()
				s.work(&p, k, 64, 20*time.Second)
			}
			s.mu.Lock()
			s.sent, s.bad = 0, 0
			s.mu.Unlock()
			good += s.work(&p, k, 64, time.Minute)
			bad += s.bad
		})
	}
	if good < 10*190*60 || bad > good/400 {
		t.Errorf("%d of %d got through, %d were rejected", good, 10*200*60, bad)
	}
}
