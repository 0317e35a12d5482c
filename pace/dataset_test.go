package pace_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

// A dataset that refuses everything is in nobody's way but its own.
func TestBrokenDataset(t *testing.T) {
	for _, o := range []classify.Outcome{busy, throttled} {
		bubble(t, func(t *testing.T) {
			var p pace.Pacer
			healthy := pace.KeyOf(request(t, "https://a.example/resource/abcd-1234.json"))
			broken := pace.KeyOf(request(t, "https://a.example/resource/wxyz-9876.json"))
			var (
				mu     sync.Mutex
				mended bool
				good   = map[pace.Key]int{}
				bad    int
			)
			work := func(d time.Duration) {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				var wg sync.WaitGroup
				for i := range 16 {
					k := healthy
					if i%2 == 1 {
						k = broken
					}
					wg.Go(func() {
						for retry := false; ; {
							ticket, err := p.Wait(ctx, k, retry)
							if err != nil {
								return
							}
							time.Sleep(200 * time.Millisecond)
							mu.Lock()
							fails := k == broken && !mended
							if fails {
								bad++
							} else {
								good[k]++
							}
							mu.Unlock()
							if retry = fails; retry {
								p.Done(ticket, o, 0, false)
								time.Sleep(time.Second)
							} else {
								p.Done(ticket, fine, 0, false)
							}
						}
					})
				}
				wg.Wait()
			}
			work(time.Minute)
			clear(good)
			bad = 0
			work(time.Minute)
			if n := good[healthy]; n < 2000 { // of 2400 that eight workers could have
				t.Errorf("%d requests of the healthy dataset went through beside %d refused", n, bad)
			}
			if bad == 0 || bad > 400 {
				t.Errorf("%d requests were sent to the broken dataset", bad)
			}
			if s := p.Snapshot()[0]; len(s.Datasets) != 0 {
				t.Errorf("that is no limit: %+v", s)
			}
			mended = true
			work(time.Minute) // in which that is found out
			clear(good)
			work(time.Minute)
			if n := good[broken]; n < 2000 {
				t.Errorf("%d requests went through once it was mended", n)
			}
		})
	}
}

// A 503 after a minute of work is no word about the pace.
func TestSlowRefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		slow := wait(t, &p, k)
		time.Sleep(time.Minute)
		p.Done(slow, busy, 0, false)
		begin := time.Now()
		for range 100 {
			ticket := wait(t, &p, k)
			p.Done(ticket, good, 0, false)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("a hundred requests took %v", d)
		}
		slow = wait(t, &p, k)
		time.Sleep(time.Minute)
		p.Done(slow, busy, 30*time.Second, true)
		begin = time.Now()
		p.Done(wait(t, &p, k), good, 0, false)
		if d := time.Since(begin); d != 30*time.Second {
			t.Errorf("the pause it asked for lasted %v", d)
		}
	})
}

// A 503 may be about anything: its Retry-After does not hold a quota for long.
func TestPauseOfAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			o    classify.Outcome
			want time.Duration
		}{{busy, time.Minute}, {throttled, time.Hour}} {
			var p pace.Pacer
			k := key(t, "a.example")
			p.Done(wait(t, &p, k), c.o, time.Hour, true)
			begin := time.Now()
			p.Done(wait(t, &p, k), good, 0, false)
			if d := time.Since(begin); d != c.want {
				t.Errorf("after a %d others waited %v, want %v", c.o.Status, d, c.want)
			}
		}
	})
}

// A hook that panics while its caller passes leaves no send behind.
func TestPanickingHookWhilePassing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		p.Done(wait(t, &p, k), throttled, time.Second, true)
		time.Sleep(2 * time.Second)
		p.OnEvent = func(e pace.Event) { panic(e) }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the end of the pause was not told")
				}
			}()
			p.Wait(t.Context(), k, false)
		}()
		if s := p.Snapshot()[0]; s.InFlight != 0 {
			t.Errorf("%d in flight", s.InFlight)
		}
	})
}

// What a request waits elsewhere is not the server's time.
func TestDelayed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		ticket := wait(t, &p, key(t, "a.example"))
		time.Sleep(time.Hour)
		ticket = ticket.Delayed()
		if !ticket.Sent().Equal(time.Now()) {
			t.Errorf("sent at %v", ticket.Sent())
		}
		time.Sleep(100 * time.Millisecond)
		p.Done(ticket, throttled, 0, false)
		if r := rateNow(&p); r < 5 || r > 20 {
			t.Errorf("a first rate of %v/s", r)
		}
		if !(pace.Ticket{}).Delayed().Sent().IsZero() {
			t.Error("a ticket for nothing was sent")
		}
	})
}

// Of a host that answers slowly after a failure, one probe after another is
// sent, ever sooner.
func TestProbesThatAreNotAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		for range 4 {
			p.Done(wait(t, &p, k), refused, 0, false)
		}
		wait(t, &p, k)
		begin := time.Now()
		for _, want := range []time.Duration{10, 15, 17500, 19500, 21500} {
			if want < 1000 {
				want *= 1000
			}
			wait(t, &p, k)
			if d := time.Since(begin).Round(time.Millisecond); d != want*time.Millisecond {
				t.Errorf("another probe after %v, want %v", d, want*time.Millisecond)
			}
		}
	})
}

// A first guess is made of what is in flight and of the round trip, but of no
// more than a second: rates are per second.
func TestFirstGuessOfASlowServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		tickets := waits(t, &p, k, 6)
		time.Sleep(4 * time.Second)
		p.Done(tickets[0], throttled, 0, false)
		if r := rateNow(&p); r < 2 || r > 4 {
			t.Errorf("half of six in flight come to %v/s", r)
		}
	})
}
