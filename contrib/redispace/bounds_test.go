package redispace

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/transport"
)

// TestFullIsNotBelievedForLong: Redis is asked again, and may have forgotten.
func TestFullIsNotBelievedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 10})
		start := time.Now()
		fl.fake.fullUntil = start.Add(time.Hour)
		time.AfterFunc(5*time.Second, func() {
			fl.fake.mu.Lock()
			defer fl.fake.mu.Unlock()
			fl.fake.fullUntil = time.Time{}
		})
		err := fl.limiters[0].Wait(t.Context())
		if took := time.Since(start); err != nil || took < 5*time.Second || took > 7*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestPauseIsLifted: what is shortened in Redis is shorter here, too.
func TestPauseIsLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 10})
		l := fl.limiters[0]
		start := time.Now()
		if err := l.Pause(time.Hour); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(5*time.Second, func() {
			fl.fake.mu.Lock()
			defer fl.fake.mu.Unlock()
			fl.fake.pausedUntil = start.Add(8 * time.Second)
		})
		time.AfterFunc(7*time.Second, func() {
			if got := l.pausedUntil().Sub(start); got > 9*time.Second {
				t.Errorf("still paused until %v", got)
			}
		})
		err := l.Wait(t.Context())
		if took := time.Since(start); err != nil || took < 8*time.Second || took > 9*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestImpossibleFields: none overflows.
func TestImpossibleFields(t *testing.T) {
	for _, rate := range []float64{1e-10, math.SmallestNonzeroFloat64, math.NaN()} {
		if err := (&Limiter{Rate: rate}).Wait(t.Context()); err == nil {
			t.Errorf("a Rate of %v is none", rate)
		}
	}
	for _, rate := range []float64{slowest, 1, 999999} {
		for _, burst := range []int{1e12, math.MaxInt} {
			l := &Limiter{Rate: rate, Burst: burst, MaxPause: math.MaxInt64}
			s := newRedisStore(l)
			if s.burst <= 0 || s.furthest() < s.burst || s.limit.Burst <= 0 || l.late() <= 0 {
				t.Errorf("rate %v, burst %v: %+v", rate, burst, s)
			}
			if d := l.pauseFor(transport.Attempt{Class: classify.Throttled, Status: 429}); d <= 0 {
				t.Errorf("rate %v, burst %v: paused for %v", rate, burst, d)
			}
		}
	}
}
