package pace_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

var (
	busy429 = classify.Outcome{Class: classify.Throttled, Acted: classify.ActedNo, Status: 429}
	out503  = classify.Outcome{Class: classify.Throttled, Status: 503}
	fine    = classify.Outcome{Status: 200, Acted: classify.ActedYes}
)

func mustWait(t *testing.T, p *pace.Pacer, k pace.Key, retry bool) pace.Ticket {
	t.Helper()
	ticket, err := p.Wait(context.Background(), k, retry)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestLongerRetryAfterOfTheSameFlightCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace.Pacer
		var k pace.Key
		one, two := mustWait(t, &p, k, false), mustWait(t, &p, k, false)
		time.Sleep(100 * time.Millisecond)
		p.Done(one, busy429, time.Second, true)
		p.Done(two, busy429, time.Minute, true)
		start := time.Now()
		p.Done(mustWait(t, &p, k, true), fine, 0, false)
		if waited := time.Since(start); waited < time.Minute {
			t.Errorf("sent after %v, want the minute that the server asked for", waited)
		}
	})
}

func TestPanickingOnEventHarmsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calm atomic.Bool
		p := pace.Pacer{OnEvent: func(pace.Event) {
			if !calm.Load() {
				panic("hook")
			}
		}}
		var k pace.Key
		func() {
			defer func() { recover() }()
			p.Done(mustWait(t, &p, k, false), busy429, time.Second, true)
		}()
		calm.Store(true)
		done := make(chan bool)
		go func() {
			p.Done(mustWait(t, &p, k, true), fine, 0, false)
			p.Snapshot()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(time.Hour):
			t.Fatal("the lock is still held")
		}
		if s := p.Snapshot(); s[0].InFlight != 0 || s[0].Waiting != 0 {
			t.Errorf("%+v, want nobody in flight or waiting", s)
		}
	})
}

func TestNewRequestsAreProbesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace.Pacer
		var k pace.Key
		var probes atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		send := func(retry bool) bool {
			ticket, err := p.Wait(ctx, k, retry)
			if err != nil {
				return false
			}
			probes.Add(1)
			time.Sleep(10 * time.Millisecond)
			p.Done(ticket, out503, 0, false)
			return true
		}
		for range 20 { // there is always a retry to send
			wg.Go(func() {
				for send(true) {
				}
			})
		}
		time.Sleep(time.Minute)
		if s := p.Snapshot(); s[0].Mode != pace.Closed {
			t.Errorf("%+v, want a host that lets nothing through", s)
		}
		before := probes.Load()
		send(false)
		if n := probes.Load() - before; n > 4 {
			t.Errorf("the new request was probe %d after it came, want one of the first", n)
		}
		cancel()
		wg.Wait()
	})
}

func TestProbeThatIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace.Pacer
		var k pace.Key
		for range 4 {
			var flight [6]pace.Ticket
			for i := range flight {
				flight[i] = mustWait(t, &p, k, true)
			}
			time.Sleep(50 * time.Millisecond)
			for _, ticket := range flight {
				p.Done(ticket, out503, 0, false)
			}
			if p.Snapshot()[0].Mode == pace.Closed {
				break
			}
		}
		if s := p.Snapshot(); s[0].Mode != pace.Closed {
			t.Fatalf("%+v, want a host that lets nothing through", s)
		}
		hangs := mustWait(t, &p, k, true)
		start := time.Now()
		p.Done(mustWait(t, &p, k, true), fine, 0, false)
		if waited := time.Since(start); waited > 15*time.Second {
			t.Errorf("the next probe went after %v, want about 10s", waited)
		}
		p.Done(hangs, fine, 0, false)
	})
}

func TestRestoredStateIsBounded(t *testing.T) {
	for _, rate := range []string{"1e-300", "1e-9", "999999"} {
		synctest.Test(t, func(t *testing.T) {
			var p pace.Pacer
			state := `{"version":1,"quotas":[{"scheme":"","host":"","rate":` + rate + `}]}`
			if err := json.Unmarshal([]byte(state), &p); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			for range 3 {
				p.Done(mustWait(t, &p, pace.Key{}, false), fine, 0, false)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("a restored rate of %s makes 3 sends take %v", rate, took)
			}
		})
	}
}

// OnEvent is called by callers only: a timer that did would have nobody to
// panic at but the program.
func TestTimersDoNotTell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		var kinds []pace.EventKind
		p.OnEvent = func(e pace.Event) { kinds = append(kinds, e.Kind) }
		k := key(t, "a.example")
		p.Done(wait(t, &p, k), throttled, 2*time.Second, true)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer func() { recover() }()
			p.OnEvent = func(e pace.Event) { kinds = append(kinds, e.Kind); panic(e) }
			p.Wait(ctx, k, false)
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		defer cancel()
		if !slices.Contains(kinds, pace.PauseEnded) {
			t.Errorf("told %v", kinds)
		}
		if s := p.Snapshot()[0]; s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("who was told and panicked left %+v", s)
		}
	})
}

func TestOff(t *testing.T) {
	p := pace.Pacer{Off: true}
	k := key(t, "a.example")
	for range 100 {
		ticket := wait(t, &p, k)
		if !ticket.Sent().IsZero() {
			t.Error("a ticket that stands for nothing was sent")
		}
		p.Done(ticket, throttled, time.Hour, true)
		p.Abandon(ticket)
	}
	if _, now := p.Try(request(t, "https://a.example/")); !now || !p.Retry(k) || p.Turn(k) != 0 {
		t.Error("there is something to wait for")
	}
	if s := p.Snapshot(); len(s) != 0 {
		t.Errorf("learned %+v", s)
	}
}
