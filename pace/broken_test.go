package pace_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// setApart returns a Pacer that knows a rate and, if limited, that broken takes
// five at once; then it has refused all, the last with a Retry-After of asked
// if that is not 0, while healthy answered.
func setApart(t *testing.T, limited bool, asked time.Duration) (p *pace.Pacer, broken, healthy pace.Key) {
	t.Helper()
	p = new(pace.Pacer)
	broken, healthy = pace.KeyOf(request(t, narrow)), pace.KeyOf(request(t, wide))
	state := `{"version":1,"quotas":[{"scheme":"https","host":"a.example","rate":50}]}`
	if limited {
		state = `{"version":1,"quotas":[{"scheme":"https","host":"a.example","rate":50,"datasets":{"abcd-1234":5}}]}`
	}
	if err := p.UnmarshalJSON([]byte(state)); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		ticket := wait(t, p, broken)
		time.Sleep(10 * time.Millisecond)
		if i < 7 {
			p.Done(ticket, busy, 0, false)
		} else {
			p.Done(ticket, throttled, asked, asked > 0)
		}
		for range 2 {
			ticket := wait(t, p, healthy)
			time.Sleep(10 * time.Millisecond)
			p.Done(ticket, good, 0, false)
		}
	}
	return p, broken, healthy
}

// waited returns how long a send has to wait.
func waited(t *testing.T, p *pace.Pacer, k pace.Key) (pace.Ticket, time.Duration) {
	t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	ticket, err := p.Wait(ctx, k, false)
	if err != nil {
		t.Fatal(err)
	}
	return ticket, time.Since(begin)
}

// A dataset that is set apart is asked again although an answer is not coming.
func TestSetApartAndSilent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, broken, _ := setApart(t, false, 0)
		if d := p.Snapshot()[0].Datasets; d != nil {
			t.Errorf("limits %v, want none", d)
		}
		late := wait(t, p, broken)
		silent, _ := waited(t, p, broken)
		p.Done(late, busy, 0, false) // and so there is one again
		for range 3 {
			ticket, d := waited(t, p, broken)
			if d != 10*time.Second {
				t.Errorf("another is sent after %v, want 10s", d)
			}
			p.Done(ticket, busy, 0, false) // which leaves room for one
			ticket, d = waited(t, p, broken)
			if d > time.Second {
				t.Errorf("the next waited %v", d)
			}
			defer p.Abandon(ticket)
		}
		p.Done(silent, good, 0, false)
		for range 8 {
			if _, d := waited(t, p, broken); d > time.Second {
				t.Errorf("of a dataset that answers, one waited %v", d)
			}
		}
	})
}

// The Retry-After of a dataset that is set apart holds that one and no other.
func TestSetApartAndAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, broken, healthy := setApart(t, false, 30*time.Second)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var late *pace.TooLate
		if _, err := p.Wait(ctx, broken, false); !errors.As(err, &late) || late.Wait < 29*time.Second || time.Since(begin) > 0 {
			t.Errorf("who has 5s got %v after %v", err, time.Since(begin))
		}
		if d := p.Turn(broken); d < 29*time.Second {
			t.Errorf("its turn is in %v", d)
		}
		for range 20 {
			ticket, d := waited(t, p, healthy)
			if d > time.Second {
				t.Errorf("another dataset's waited %v", d)
			}
			p.Done(ticket, good, 0, false)
		}
		ticket, _ := waited(t, p, broken)
		if d := time.Since(begin); d < 29*time.Second || d > 31*time.Second {
			t.Errorf("its own was sent after %v, want 30s", d)
		}
		p.Done(ticket, good, 0, false)
		if _, d := waited(t, p, broken); d > time.Second {
			t.Errorf("after it answered, one waited %v", d)
		}
	})
}

// What is known of a dataset's limit outlives an outage of that dataset.
func TestLimitOfTheSetApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, broken, _ := setApart(t, true, 0)
		limit := func(when string) {
			t.Helper()
			if n := p.Snapshot()[0].Datasets["abcd-1234"]; n != 5 {
				t.Errorf("a limit of %d %s, want 5", n, when)
			}
		}
		limit("while nothing goes through")
		p.Done(wait(t, p, broken), good, 0, false)
		limit("after")
		waits(t, p, broken, 5)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Wait(ctx, broken, false); err == nil {
			t.Error("a sixth was sent")
		}
	})
}

// However many retries of one dataset there are, another is probed.
func TestProbesOfAllDatasets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		broken, healthy := pace.KeyOf(request(t, narrow)), pace.KeyOf(request(t, wide))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				for retry := false; ; retry = true {
					ticket, err := p.Wait(ctx, broken, retry)
					if err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
					p.Done(ticket, busy, 0, false)
					time.Sleep(time.Second)
				}
			})
		}
		time.Sleep(3 * time.Second)
		ticket, d := waited(t, &p, healthy)
		if d > 5*time.Second {
			t.Errorf("the first of a dataset that answers waited %v", d)
		}
		p.Done(ticket, good, 0, false)
		cancel()
		wg.Wait()
	})
}

// A dataset that takes one at a time costs others of its quota next to nothing.
func TestOneAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		one := slots{n: 1, service: func() time.Duration { return 200 * time.Millisecond }}
		all := slots{n: 100, service: func() time.Duration { return 100 * time.Millisecond }}
		work := func(d time.Duration) {
			var wg sync.WaitGroup
			wg.Go(func() { one.work(t, &p, pace.KeyOf(request(t, narrow)), 40, d) })
			wg.Go(func() { all.work(t, &p, pace.KeyOf(request(t, wide)), 20, d) })
			wg.Wait()
		}
		work(2 * time.Minute) // in which that is learned
		one.taken, all.taken = 0, 0
		work(time.Minute)
		if all.taken < 11_000 || one.taken < 280 { // of 12,000 and 300
			t.Errorf("%d of one dataset and %d of the other went through", all.taken, one.taken)
		}
		if n := p.Snapshot()[0].Datasets["abcd-1234"]; n != 1 && n != 2 { // which is tried now and then
			t.Errorf("a limit of %d, want 1", n)
		}
	})
}

// Who waits for it already is refused when it asks for more than he has.
func TestSetApartRefusesWaiters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, broken, _ := setApart(t, false, 0)
		probe := wait(t, p, broken)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		begin, refused := time.Now(), make(chan error)
		go func() {
			_, err := p.Wait(ctx, broken, false)
			refused <- err
		}()
		synctest.Wait()
		p.Done(probe, throttled, 30*time.Second, true)
		if err := <-refused; !errors.As(err, new(*pace.TooLate)) || time.Since(begin) > 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// A Retry-After that comes when another request would be tried anyway is
// obeyed all the same.
func TestSetApartAndAskedLate(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			p, broken, _ := setApart(t, false, 0)
			probe := wait(t, p, broken)
			time.Sleep(10 * time.Second) // the patience that there is
			p.Done(probe, throttled, 30*time.Second, true)
			if _, d := waited(t, p, broken); d < 30*time.Second {
				t.Fatalf("the next was sent after %v", d)
			}
		})
	}
}
