package pace_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// The answers of one flight come a moment apart, and the last of them may say
// that there is a limit: nobody else is sent before that.
func TestFlightSettles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		tickets := waits(t, &p, k, 4)
		var more atomic.Int32
		for range 10 {
			go func() {
				p.Abandon(wait(t, &p, k))
				more.Add(1)
			}()
		}
		time.Sleep(80 * time.Millisecond)
		for _, ticket := range tickets[:3] {
			p.Done(ticket, good, 0, false)
		}
		time.Sleep(9 * time.Millisecond) // 10 is an eighth of the round trip
		synctest.Wait()
		if n := more.Load(); n > 0 {
			t.Errorf("%d sent before the flight had settled", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := more.Load(); n == 0 {
			t.Error("nobody was sent when it had")
		}
		p.Done(tickets[3], good, 0, false)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := more.Load(); n != 10 {
			t.Errorf("%d of 10 sent in the end", n)
		}
	})
}

// The first guess is made from what was in flight when the rejected send went
// out, however much was answered since.
func TestFirstGuess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		throttle(t, &p, k, 4)
		if got := rateNow(&p); got < 16 || got > 24 { // half of four in 100 ms, a step less
			t.Errorf("the first guess is %v/s", got)
		}
	})
}

// Answers to what was sent long before a row of rejects are no word of other
// datasets that do better.
func TestOldAnswersAreNoOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		old := waits(t, &p, k, 6)
		for i := range 5 { // a window is used up while five exports are on their way
			ticket := old[5]
			if i > 0 {
				ticket = wait(t, &p, k)
			}
			time.Sleep(80 * time.Millisecond)
			p.Done(ticket, throttled, 0, false)
			p.Done(old[i], good, 0, false)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sent := 0
		for {
			ticket, err := p.Wait(ctx, k, true)
			if err != nil {
				break
			}
			sent++
			time.Sleep(80 * time.Millisecond)
			p.Done(ticket, throttled, 0, false)
		}
		if sent > 40 { // one in two seconds
			t.Errorf("%d requests sent in a minute in which all were refused", sent)
		}
	})
}

// Nor are a dataset's own answers, in whatever order they come.
func TestOwnAnswersAreNoOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		throttle(t, &p, k, 6)
		tickets := waits(t, &p, k, 7)
		for _, ticket := range tickets[4:] {
			p.Done(ticket, good, 0, false)
		}
		before := rateNow(&p)
		for _, ticket := range tickets[:4] {
			p.Done(ticket, throttled, 0, false)
		}
		if after := rateNow(&p); after >= before {
			t.Errorf("four rejects, and %v/s became %v/s", before, after)
		}
		wait(t, &p, k) // a long export
		begin := time.Now()
		wait(t, &p, k)
		if d := time.Since(begin); d > time.Second {
			t.Errorf("another had to wait for it, for %v", d)
		}
	})
}

// With a limit in flight of a dataset it is that which makes people wait, and
// no slow start: its slots are used at once.
func TestNoFlightsAtALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var p pace.Pacer
		k := key(t, "a.example")
		d := slots{n: 5, service: func() time.Duration { return time.Second }}
		d.work(t, &p, k, 20, time.Minute)
		d.taken = 0
		d.work(t, &p, k, 20, time.Minute)
		if s := p.Snapshot()[0]; s.Mode != pace.Concurrency || d.taken < 290 { // of 300
			t.Errorf("%d went through in a minute: %v", d.taken, s)
		}
	})
}
