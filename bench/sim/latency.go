package sim

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// A random source that the goroutines of one bubble share.
type random struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newRandom(seed uint64) *random { return &random{r: rand.New(rand.NewPCG(seed, 0x50da))} }

func (r *random) float() float64 { r.mu.Lock(); defer r.mu.Unlock(); return r.r.Float64() }
func (r *random) norm() float64  { r.mu.Lock(); defer r.mu.Unlock(); return r.r.NormFloat64() }
func (r *random) exp() float64   { r.mu.Lock(); defer r.mu.Unlock(); return r.r.ExpFloat64() }

func (r *random) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.float()*float64(hi-lo))
}

// lognormal has the given median and a 99th percentile ten times as long.
func (r *random) lognormal(median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(r.norm()*math.Ln10/2.3263))
}

// A Latency is where the time of a request goes: before the server decides,
// behind the decision if it accepts, and on the way back.
type Latency struct {
	Name                 string
	before, behind, back func(*random) time.Duration
	p99                  time.Duration // of all of it
}

func constant(d time.Duration) func(*random) time.Duration {
	return func(*random) time.Duration { return d }
}

func edge(r *random) time.Duration { return r.between(10*time.Millisecond, 30*time.Millisecond) }
func tail(r *random) time.Duration { return r.lognormal(200 * time.Millisecond) }

// Constant is d in all, half each way.
func Constant(d time.Duration) Latency {
	return Latency{"c" + itoa(int(d/time.Millisecond)), constant(d / 2), constant(0), constant(d / 2), d}
}

var (
	C80  = Constant(80 * time.Millisecond)
	LN   = Latency{"ln", edge, tail, edge, 2050 * time.Millisecond}          // the limiter sits at the edge
	LNUp = Latency{"lnup", tail, constant(0), edge, 2050 * time.Millisecond} // all the delay is before it
)

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}
