package sim

import (
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

// A Cell is the runs of one client at one server, one for each seed.
type Cell struct {
	Model   Model
	Client  string
	Workers int
	Runs    []Result
}

// Median returns the median of what f says of the runs, and the least and most.
func (c *Cell) Median(f func(Result) float64) (median, least, most float64) {
	return Median(c.Runs, f)
}

// Median returns the median of what f says of each, and the least and most.
func Median[T any](each []T, f func(T) float64) (median, least, most float64) {
	var v []float64
	for _, x := range each {
		v = append(v, f(x))
	}
	slices.Sort(v)
	return v[len(v)/2], v[0], v[len(v)-1]
}

// Most returns the most that f says of a run.
func (c *Cell) Most(f func(Result) int) (n int) {
	for _, r := range c.Runs {
		n = max(n, f(r))
	}
	return n
}

// Each simulates and calls f with each cell, server by server.
func Each(t *testing.T, o Options, f func(*Cell)) {
	demand := map[string]float64{}
	o.cells(func(m Model, workers int, c Client) {
		cell := &Cell{Model: m, Client: c.Name, Workers: workers}
		for _, seed := range o.Seeds {
			id := fmt.Sprint(m.Name, workers, seed)
			if _, ok := demand[id]; !ok {
				demand[id] = demandOf(t, m, workers, seed, o.Length)
			}
			cell.Runs = append(cell.Runs, Run(t, m, c, workers, seed, o.Length, 0, demand[id]))
		}
		f(cell)
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

// EachShort simulates a short job on every token bucket and calls f with each
// cell, whose Efficiency is the ideal time as a share of the time it took.
func EachShort(t *testing.T, o Options, f func(*Cell)) {
	least := map[string]float64{}
	o.cells(func(m Model, workers int, c Client) {
		bucket, ok := m.Make().Limit.(*Bucket)
		if !ok || m.Clients > 1 {
			return
		}
		cell := &Cell{Model: m, Client: c.Name, Workers: workers}
		for _, seed := range o.Seeds {
			id := fmt.Sprint(m.Name, workers, seed)
			if _, ok := least[id]; !ok {
				free := m
				free.Make = func() *Server { s := m.Make(); s.Limit = Unlimited{}; return s }
				least[id] = Run(t, free, Bare, workers, seed, never, o.Jobs, 1).Elapsed.Seconds()
			}
			r := Run(t, m, c, workers, seed, never, o.Jobs, 1)
			r.Efficiency = max(least[id], (float64(o.Jobs)-bucket.Burst)/bucket.Rate) / r.Elapsed.Seconds()
			cell.Runs = append(cell.Runs, r)
		}
		f(cell)
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

// Table simulates and prints the medians.
func Table(t *testing.T, w io.Writer, o Options) {
	fmt.Fprintln(w, Header)
	Each(t, o, func(c *Cell) { c.Print(w) })
}

// Short simulates short jobs and prints the medians.
func Short(t *testing.T, w io.Writer, o Options) {
	fmt.Fprintln(w, ShortHeader)
	EachShort(t, o, func(c *Cell) { c.PrintShort(w) })
}

// What stands over the lines of a Cell's Print and PrintShort.
var (
	Header = fmt.Sprintf("%-28s %-16s %4s %6s %7s %7s %7s %7s %6s %6s %9s %9s  %s", "server", "client", "W",
		"eff", "rej%", "s.eff", "s.rej%", "failed", "tries", "jain", "longest", "allowed", "eff/rej% of each run")
	ShortHeader = fmt.Sprintf("%-28s %-16s %4s %10s %8s %7s %6s  %s", "server", "client", "W",
		"ideal/took", "took", "rej%", "tries", "ideal/took/rej% of each run")
)

// Print prints the cell's medians, and each run.
func (c *Cell) Print(w io.Writer) {
	med := func(f func(Result) float64) float64 { m, _, _ := c.Median(f); return m }
	allowed, s := "-", c.Model.Make()
	if c.Model.Rate > 0 {
		allowed = fmt.Sprintf("%.1fs", 1.5*float64(c.Workers*max(c.Model.Clients, 1))/c.Model.Rate+1+s.Latency.p99.Seconds())
	}
	extra := c.each()
	if _, ok := s.Limit.(*Outage); ok {
		extra = fmt.Sprintf("sent down %.0f, back %.1fs  ", med(func(r Result) float64 { return float64(r.SentDown) }), med(func(r Result) float64 { return r.Back.Seconds() })) + extra
	}
	fmt.Fprintf(w, "%-28s %-16s %4d %6.3f %7.2f %7.3f %7.2f %7d %6d %6.3f %8.1fs %9s  %s\n", c.Model.Name, c.Client, c.Workers,
		med(func(r Result) float64 { return r.Efficiency }), 100*med(func(r Result) float64 { return r.Rejected }),
		med(func(r Result) float64 { return r.SteadyEff }), 100*med(func(r Result) float64 { return r.SteadyRej }),
		c.Most(func(r Result) int { return r.Failed }), c.Most(func(r Result) int { return r.MostTries }),
		med(func(r Result) float64 { return r.Jain }), med(func(r Result) float64 { return r.LongestWait.Seconds() }), allowed, extra)
}

// PrintShort prints the medians of a short job, and each run.
func (c *Cell) PrintShort(w io.Writer) {
	med := func(f func(Result) float64) float64 { m, _, _ := c.Median(f); return m }
	fmt.Fprintf(w, "%-28s %-16s %4d %10.2f %7.1fs %7.2f %6d  %s\n", c.Model.Name, c.Client, c.Workers,
		med(func(r Result) float64 { return r.Efficiency }), med(func(r Result) float64 { return r.Elapsed.Seconds() }),
		100*med(func(r Result) float64 { return r.Rejected }), c.Most(func(r Result) int { return r.MostTries }), c.each())
}

func (c *Cell) each() string {
	var e []string
	for _, r := range c.Runs {
		e = append(e, fmt.Sprintf("%.2f/%.1f", r.Efficiency, 100*r.Rejected))
	}
	return strings.Join(e, " ")
}

// chosen reports whether name matches a pattern.
func chosen(name, pattern string) bool { return regexp.MustCompile(pattern).MatchString(name) }
