package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/sodahttp/sodahttp/bench/sim"
)

// A subject is one contender at one piece of work.
type subject struct {
	name string
	run  func(n int) // does the work n times
}

// A sample is one round of one subject.
type sample struct {
	n                 int
	ns, bytes, allocs float64 // for each time
}

// A series is what all rounds of one subject came to.
type series struct {
	name    string
	samples []sample
}

func ns(s sample) float64     { return s.ns }
func allocs(s sample) float64 { return s.allocs }

// of returns the median of what f says of the samples, and the least and most.
func (s *series) of(f func(sample) float64) (median, least, most float64) {
	return sim.Median(s.samples, f)
}

func (s *series) median(f func(sample) float64) float64 { m, _, _ := s.of(f); return m }

// interleave measures the subjects in rounds, each of them once a round and in
// another order, for about d a time. What else the machine does meets all alike.
func interleave(rounds int, d time.Duration, subjects []subject) []*series {
	var all []*series
	times := make([]int, len(subjects))
	for i, s := range subjects {
		all = append(all, &series{name: s.name})
		times[i] = calibrate(s, d)
	}
	for range rounds {
		for _, i := range rand.Perm(len(subjects)) {
			all[i].samples = append(all[i].samples, measure(subjects[i], times[i]))
		}
	}
	return all
}

// calibrate returns how often s can run in d.
func calibrate(s subject, d time.Duration) int {
	s.run(1) // whatever happens only once
	for n := 1; ; n *= 4 {
		least := math.Inf(1)
		for range 3 { // somebody else may have the processor meanwhile
			if least = min(least, measure(s, n).ns*float64(n)); least > 2*float64(d) {
				break // it is long enough to be sure
			}
		}
		if least > float64(d)/8 {
			return max(1, int(float64(n)*float64(d)/least))
		}
	}
}

func measure(s subject, n int) sample {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	s.run(n)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	per := func(before, after uint64) float64 { return float64(after-before) / float64(n) }
	return sample{n, float64(took) / float64(n), per(before.TotalAlloc, after.TotalAlloc), per(before.Mallocs, after.Mallocs)}
}

// benchstat writes the samples in the format of Go's benchmarks.
func benchstat(w io.Writer, work string, all []*series) {
	for _, s := range all {
		for _, x := range s.samples {
			fmt.Fprintf(w, "Benchmark%s/client=%s-%d\t%d\t%.1f ns/op\t%.0f B/op\t%.1f allocs/op\n",
				work, slug(s.name), runtime.GOMAXPROCS(0), x.n, x.ns, x.bytes, x.allocs)
		}
	}
}
