package status

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	step  = 10 * time.Second // the time that one bar stands for
	steps = 60               // bars, which make ten minutes
)

// A chart counts what happened in each step of the last ten minutes. To count
// takes no lock but at the first event of a step.
type chart struct {
	mu   sync.Mutex
	ring [steps]bucket
}

// A bucket is one step.
type bucket struct {
	step  atomic.Int64 // since 1970; what is in the bucket is of no other
	sends atomic.Int64
	again atomic.Int64 // of the sends, those that were not the first
	waits atomic.Int64 // nanoseconds that requests have waited
}

// bucket returns the bucket of a step, or nil if that is too long ago.
func (c *chart) bucket(n int64) *bucket {
	b := &c.ring[uint64(n)%uint64(len(c.ring))]
	if b.step.Load() == n {
		return b
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if was := b.step.Load(); was > n && was <= n+int64(len(c.ring)) {
		return nil // later than that, the clock has been set back
	} else if was != n {
		b.sends.Store(0)
		b.again.Store(0)
		b.waits.Store(0)
		b.step.Store(n)
	}
	return b
}

func stepOf(t time.Time) int64 { return t.UnixNano() / int64(step) }

// sent counts a send.
func (c *chart) sent(now time.Time, again bool) {
	b := c.bucket(stepOf(now))
	if b == nil {
		return
	}
	b.sends.Add(1)
	if again {
		b.again.Add(1)
	}
}

// waited counts a request that has waited from one time to another.
func (c *chart) waited(from, to time.Time) {
	spread(from, to, func(n int64, d time.Duration) {
		if b := c.bucket(n); b != nil {
			b.waits.Add(int64(d))
		}
	})
}

// spread tells add how much of the time between from and to belongs to each
// step, the last ten minutes of it.
func spread(from, to time.Time, add func(n int64, d time.Duration)) {
	if oldest := to.Add(-steps * step); from.Before(oldest) {
		from = oldest
	}
	for from.Before(to) {
		n := stepOf(from)
		end := time.Unix(0, (n+1)*int64(step))
		if end.After(to) {
			end = to
		}
		add(n, end.Sub(from))
		from = end
	}
}

// A series is what the chart shows: a number for each step, oldest first. The
// last step is the running one, whose numbers are of as much of it as is over.
type series struct {
	Step  float64        `json:"step_seconds"`
	Last  float64        `json:"last_step_seconds"` // as much of the last as is over
	End   time.Time      `json:"end"`               // of the last, which is to come
	Sends [steps]float64 `json:"requests_per_second"`
	Again [steps]float64 `json:"repeats_per_second"`
	Held  [steps]float64 `json:"held_requests"` // for their turn, or backing off
}

// series returns what was counted, with those who have been waiting for their
// next attempt since the times given, and still are.
func (c *chart) series(now time.Time, since []time.Time) *series {
	end := stepOf(now) + 1
	s := &series{Step: step.Seconds(), End: time.Unix(0, end*int64(step)).UTC()}
	running := step - s.End.Sub(now)
	s.Last = round(running.Seconds())
	for i := range steps {
		b := &c.ring[uint64(end-steps+int64(i))%uint64(len(c.ring))]
		if b.step.Load() != end-steps+int64(i) {
			continue
		}
		took := s.Step
		if i == steps-1 {
			took = max(running, time.Second).Seconds() // of less, one request would be a high rate
		}
		s.Sends[i] = float64(b.sends.Load()) / took
		s.Again[i] = float64(b.again.Load()) / took
		s.Held[i] = time.Duration(b.waits.Load()).Seconds()
	}
	for _, t := range since {
		spread(t, now, func(n int64, d time.Duration) {
			if i := n - (end - steps); i >= 0 && i < steps {
				s.Held[i] += d.Seconds()
			}
		})
	}
	for i := range steps - 1 {
		s.Held[i] /= s.Step
	}
	s.Held[steps-1] /= max(running, time.Nanosecond).Seconds()
	return s
}
