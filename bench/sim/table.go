package sim

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Options says what to simulate.
type Options struct {
	Models  string // regular expression
	Clients string
	Workers []int
	Seeds   []uint64
	Length  time.Duration
	Held    bool // the held-out servers
	Jobs    int  // a job of so many requests instead of a time
}

// Table simulates and prints the medians.
func Table(t *testing.T, w io.Writer, o Options) {
	demand := map[string]float64{}
	fmt.Fprintf(w, "%-28s %-10s %4s %6s %7s %7s %7s %7s %6s %6s %9s %9s  %s\n", "server", "client", "W", "eff", "rej%", "s.eff", "s.rej%", "failed", "tries", "jain", "longest", "allowed", "")
	o.cells(func(m Model, workers int, c Client) {
		var rs []Result
		for _, seed := range o.Seeds {
			id := fmt.Sprint(m.Name, workers, seed)
			if _, ok := demand[id]; !ok {
				demand[id] = demandOf(t, m, workers, seed, o.Length)
			}
			rs = append(rs, Run(t, m, c, workers, seed, o.Length, 0, demand[id]))
		}
		row(w, m, c, workers, rs)
	})
}

// cells calls f for each server, number of workers and client that is chosen.
func (o Options) cells(f func(m Model, workers int, c Client)) {
	for _, m := range models(o.Held) {
		if !chosen(m.Name, o.Models) {
			continue
		}
		for _, workers := range o.Workers {
			for _, c := range Clients {
				if chosen(c.Name, o.Clients) {
					f(m, workers, c)
				}
			}
		}
	}
}

// Short simulates a short job on every token bucket, and prints the ideal time
// as a share of the time it took.
func Short(t *testing.T, w io.Writer, o Options) {
	fmt.Fprintf(w, "%-28s %-10s %4s %10s %8s %7s %6s\n", "server", "client", "W", "ideal/took", "took", "rej%", "tries")
	o.cells(func(m Model, workers int, c Client) {
		bucket, ok := m.Make().Limit.(*Bucket)
		if !ok || m.Clients > 1 {
			return
		}
		var rs []Result
		for _, seed := range o.Seeds {
			free := m
			free.Make = func() *Server { s := m.Make(); s.Limit = Unlimited{}; return s }
			least := Run(t, free, Bare, workers, seed, never, o.Jobs, 1).Elapsed.Seconds()
			r := Run(t, m, c, workers, seed, never, o.Jobs, 1)
			r.Efficiency = max(least, (float64(o.Jobs)-bucket.Burst)/bucket.Rate) / r.Elapsed.Seconds()
			rs = append(rs, r)
		}
		slices.SortFunc(rs, func(a, b Result) int { return cmp.Compare(a.Efficiency, b.Efficiency) })
		r := rs[len(rs)/2]
		fmt.Fprintf(w, "%-28s %-10s %4d %10.2f %7.1fs %7.2f %6d\n", m.Name, c.Name, workers, r.Efficiency, r.Elapsed.Seconds(), 100*r.Rejected, r.MostTries)
	})
}

// never is longer than any job takes.
const never = 100 * time.Hour

// demandOf is what workers without pacing would get from a server without limits.
func demandOf(t *testing.T, m Model, workers int, seed uint64, length time.Duration) float64 {
	free := m
	free.Make = func() *Server {
		s := m.Make()
		if s.Slots != nil {
			s.Slots.N, s.Slots.Others = 1<<30, 0
		}
		s.Limit = Unlimited{}
		return s
	}
	return float64(Run(t, free, Bare, workers, seed, length, 0, 1).Accepted)
}

func row(w io.Writer, m Model, c Client, workers int, rs []Result) {
	med := func(f func(Result) float64) float64 {
		var v []float64
		for _, r := range rs {
			v = append(v, f(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	most := func(f func(Result) int) int {
		n := 0
		for _, r := range rs {
			n = max(n, f(r))
		}
		return n
	}
	allowed := "-"
	s := m.Make()
	if m.Rate > 0 {
		allowed = fmt.Sprintf("%.1fs", 1.5*float64(workers*max(m.Clients, 1))/m.Rate+1+s.Latency.p99.Seconds())
	}
	extra := ""
	if _, ok := s.Limit.(*Outage); ok {
		extra = fmt.Sprintf("sent down %.0f, back %.1fs", med(func(r Result) float64 { return float64(r.SentDown) }), med(func(r Result) float64 { return r.Back.Seconds() }))
	}
	if len(rs) > 1 {
		var e []string
		for _, r := range rs {
			e = append(e, fmt.Sprintf("%.2f/%.1f", r.Efficiency, 100*r.Rejected))
		}
		extra += "  " + strings.Join(e, " ")
	}
	fmt.Fprintf(w, "%-28s %-10s %4d %6.3f %7.2f %7.3f %7.2f %7d %6d %6.3f %8.1fs %9s  %s\n", m.Name, c.Name, workers,
		med(func(r Result) float64 { return r.Efficiency }), 100*med(func(r Result) float64 { return r.Rejected }),
		med(func(r Result) float64 { return r.SteadyEff }), 100*med(func(r Result) float64 { return r.SteadyRej }),
		most(func(r Result) int { return r.Failed }), most(func(r Result) int { return r.MostTries }),
		med(func(r Result) float64 { return r.Jain }), med(func(r Result) float64 { return r.LongestWait.Seconds() }), allowed, extra)
}

// chosen reports whether name matches a pattern.
func chosen(name, pattern string) bool { return regexp.MustCompile(pattern).MatchString(name) }
