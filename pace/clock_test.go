package pace

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/sodahttp/sodahttp/classify"
)

var (
	tooMany = classify.Outcome{Class: classify.Throttled, Acted: classify.ActedNo, Status: 429}
	served  = classify.Outcome{Status: 200}
)

// closeQuota makes p believe that nothing goes through to k.
func closeQuota(t *testing.T, p *Pacer, k Key) {
	t.Helper()
	for range 100 {
		ticket, err := p.Wait(t.Context(), k, false)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		p.Done(ticket, tooMany, time.Second, true)
		if p.Snapshot()[0].Mode == Closed {
			return
		}
	}
	t.Fatal("it does not close")
}

// A heldUp context does something between the moment that Wait finds the gate
// shut and the moment that it has the lock.
type heldUp struct {
	context.Context
	meanwhile func()
}

func (c heldUp) Err() error {
	c.meanwhile()
	return c.Context.Err()
}

// A caller who is held up before the lock while an answer opens the quota again
// is not sent in the past.
func TestTimeDoesNotGoBackUnderTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pacer
		k := hostKey(0)
		closeQuota(t, &p, k)
		probe, err := p.Wait(t.Context(), k, false)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		var once sync.Once
		ctx := heldUp{t.Context(), func() {
			once.Do(func() {
				time.Sleep(time.Microsecond)
				p.Done(probe, served, 0, false)
			})
		}}
		opened := time.Now().Add(time.Microsecond)
		ticket, err := p.Wait(ctx, k, false)
		if err != nil {
			t.Fatal(err)
		}
		if sent := ticket.Sent(); sent.Before(opened) {
			t.Errorf("sent %v before the quota was opened", opened.Sub(sent))
		}
		if ticket.line.paced.rest {
			t.Error("a pause from before the quota was closed still counts")
		}
		time.Sleep(10 * time.Millisecond)
		p.Done(ticket, tooMany, time.Second, true)
		checkFinite(t, &p)
	})
}

// checkFinite reports rates that no JSON has.
func checkFinite(t *testing.T, p *Pacer) bool {
	t.Helper()
	for l := range p.all {
		l.lock()
		rate, base := l.state.rate(l.now()), l.paced.base
		l.mu.Unlock()
		if !(rate >= 0 && rate <= fastest) || math.IsNaN(base) || math.IsInf(base, 0) {
			t.Errorf("the rate is %v, around %v", rate, base)
			return false
		}
	}
	if _, err := json.Marshal(p); err != nil {
		t.Error(err)
		return false
	}
	return true
}

// A base that is no number, or no bound, is not believed.
func TestRateStaysFinite(t *testing.T) {
	var zero float64
	for name, bad := range map[string]float64{"NaN": zero / zero, "+Inf": 1 / zero, "-Inf": -1 / zero} {
		var p Pacer
		l := p.line(hostKey(0).quota)
		l.lock()
		l.paced.begin(l, 7, 0)
		l.paced.set(l, bad, 0)
		if got := l.paced.base; got != 7 {
			t.Errorf("%s: the base is %v, want the 7 before", name, got)
		}
		l.unlock()
	}
}

// An answer that takes no time at all, as in a test on virtual time, is no
// division by zero.
func TestRateIsFiniteWhileTimeStandsStill(t *testing.T) {
	latencies := [...]time.Duration{0, 1, 3, time.Millisecond}
	pauses := [...]time.Duration{0, 0, time.Second}
	for seed := range uint64(400) {
		synctest.Test(t, func(t *testing.T) {
			var p Pacer
			r := rand.New(rand.NewPCG(seed, 9))
			share := 0.95 * r.Float64() // if all were refused, it would be probed until time ran out
			latency := latencies[r.IntN(len(latencies))]
			pause := pauses[r.IntN(len(pauses))]
			var wg sync.WaitGroup
			for range 1 + r.IntN(20) {
				r := rand.New(rand.NewPCG(r.Uint64(), 7))
				wg.Go(func() {
					for range 8 {
						ticket, err := p.Wait(t.Context(), hostKey(0), r.IntN(2) == 0)
						if err != nil {
							t.Error(err)
							return
						}
						time.Sleep(latency)
						switch {
						case r.Float64() < share:
							p.Done(ticket.Delayed(), tooMany, pause, pause > 0)
						case r.IntN(20) == 0:
							p.Done(ticket, classify.Outcome{Class: classify.Transient, Status: 502}, 0, false)
						case r.IntN(30) == 0:
							p.Abandon(ticket)
						default:
							p.Done(ticket, served, 0, false)
						}
						if t.Failed() || !checkFinite(t, &p) {
							return
						}
					}
				})
			}
			wg.Wait()
			if t.Failed() {
				t.Fatalf("seed %d: share %.2f, latency %v, pause %v", seed, share, latency, pause)
			}
		})
	}
}

// What a quota is opened with again at the very time that it was made is a rate
// all the same.
func TestEstimateAtTheBeginningOfTime(t *testing.T) {
	var p Pacer
	l := p.line(hostKey(0).quota)
	l.lock()
	defer l.unlock()
	s := closed{times: 1}
	for _, good := range []float64{0, 1, fewSends} {
		base, _ := s.estimate(l, good, 0)
		if !(base > 0 && base <= fastest) {
			t.Errorf("%v good sends make %v/s", good, base)
		}
	}
}

// The monotonic clock stands still while the machine sleeps, so that what is
// left of a pause is left after it too. Dates say so.
func TestDatesAfterSleepOfTheMachine(t *testing.T) {
	const slept, minute = 1000 * time.Hour, time.Minute
	var told []Event
	p := Pacer{OnEvent: func(e Event) { told = append(told, e) }}
	l := p.line(hostKey(0).quota)
	*(*uint64)(unsafe.Pointer(&l.born)) -= uint64(slept/time.Second) << 30 // the seconds of its wall clock
	if l.now() > slept/2 || time.Now().Round(0).Sub(l.born.Round(0)) < slept {
		t.Fatal("the machine has not slept")
	}
	start := time.Now()
	near := func(what string, got, want time.Time) {
		t.Helper()
		if off := got.Round(0).Sub(want.Round(0)); off.Abs() > slept/2 {
			t.Errorf("%s is off by %v", what, off)
		}
	}
	ticket, _ := p.Wait(t.Context(), hostKey(0), false)
	near("Sent", ticket.Sent(), start)
	p.Done(ticket, tooMany, minute, true)
	near("Snapshot's Until", p.Snapshot()[0].Until, start)
	for _, e := range told {
		near("the event's Time", e.Time, start)
		if e.Kind == PauseBegun {
			near("the event's Until", e.Until, start)
		}
	}
	s, _ := l.save()
	near("the Until that is saved", s.Until, start)
	ctx, cancel := context.WithDeadline(t.Context(), start.Add(time.Second).Round(0))
	defer cancel()
	_, err := p.Wait(ctx, hostKey(0), false)
	if late, ok := err.(*TooLate); ok {
		near("TooLate's Turn", late.Turn, start)
	} else {
		t.Errorf("got %v, want a TooLate", err)
	}
}

// A deadline that is farther away than a Duration can tell is no deadline.
func TestDeadlineInAnotherAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pacer
		ticket, _ := p.Wait(t.Context(), hostKey(0), false)
		time.Sleep(time.Second)
		p.Done(ticket, tooMany, time.Minute, true)
		ctx, cancel := context.WithDeadline(t.Context(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		defer cancel()
		if _, err := p.Wait(ctx, hostKey(0), false); err != nil {
			t.Error(err)
		}
	})
}
