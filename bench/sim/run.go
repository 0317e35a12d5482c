// Package sim runs HTTP clients against models of throttled servers in
// virtual time. The models know nothing of the clients: a model is a stub
// http.RoundTripper, a client wraps it.
package sim

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A Client wraps base in what is to be measured. Its state must be its own:
// it is called once for each process that is simulated.
type Client struct {
	Name string
	New  func(base http.RoundTripper) http.RoundTripper
}

// A Model is a server to measure against.
type Model struct {
	Name    string
	Make    func() *Server
	Clients int           // processes with a client each; 0 means 1
	Length  time.Duration // of the run, if it has to be longer than was asked for
	Rate    float64       // what can be accepted per second, for the longest wait; 0 if that is not a number
}

// A Result is what came of one run.
type Result struct {
	Efficiency, Rejected float64
	SteadyEff, SteadyRej float64 // of the second half
	Failed               int
	MostTries            int
	LongestWait          time.Duration // from a request's start to its answer
	Jain                 float64       // of the clients' shares
	Sent, SentDown       int           // in all; into the outage
	Back                 time.Duration // from the end of an outage to full speed
	Accepted             int
	Elapsed              time.Duration // until the last answer
	PerSecond            []Second      // by when the server decided
}

// A Second is what a server decided in one.
type Second struct{ Accepted, Refused int }

// Run simulates one run: w workers for every client, for length, or until
// jobs requests are done if jobs is not 0. Demand is what the workers would get
// from a server without limits.
func Run(t *testing.T, m Model, c Client, w int, seed uint64, length time.Duration, jobs int, demand float64) (res Result) {
	length = max(length, m.Length)
	synctest.Test(t, func(t *testing.T) {
		res = run(m, c, w, seed, length, jobs, demand)
	})
	return res
}

type tally struct {
	mu      sync.Mutex
	done    []int // by client
	failed  int
	tries   int
	longest time.Duration
	jobs    int
	last    time.Duration
}

func run(m Model, c Client, w int, seed uint64, length time.Duration, jobs int, demand float64) Result {
	s := m.Make()
	s.rnd, s.start, s.end = newRandom(seed), time.Now(), length
	if f, ok := s.Limit.(*Flaky); ok {
		f.rnd = s.rnd
	}
	var work, env sync.WaitGroup
	env.Go(s.others)
	clients := max(m.Clients, 1)
	tl := &tally{done: make([]int, clients), jobs: jobs}
	if jobs > 0 {
		s.end = math.MaxInt64
	}
	for i := range clients {
		rt := c.New(s)
		for range w {
			work.Go(func() { worker(s, rt, i, tl, length) })
		}
	}
	work.Wait()
	if jobs > 0 {
		s.end = time.Since(s.start)
	}
	env.Wait()
	return result(s, m, tl, length, demand)
}

type countKey struct{}

// worker sends one request after another.
func worker(s *Server, rt http.RoundTripper, client int, tl *tally, length time.Duration) {
	for {
		tl.mu.Lock()
		begun := time.Now()
		over := tl.jobs < 0 || begun.Sub(s.start) >= length
		if tl.jobs > 0 {
			tl.jobs--
			if tl.jobs == 0 {
				tl.jobs = -1
			}
		}
		tl.mu.Unlock()
		if over {
			return
		}
		tries := 0
		req, _ := http.NewRequestWithContext(context.WithValue(context.Background(), countKey{}, &tries), "GET", "https://data.example.org/resource/abcd-1234.json", nil)
		resp, err := rt.RoundTrip(req)
		if resp != nil {
			resp.Body.Close()
		}
		tl.mu.Lock()
		now := time.Since(s.start)
		if now < length || tl.jobs != 0 {
			if err != nil || resp.StatusCode != 200 {
				tl.failed++
			} else {
				tl.done[client]++
			}
			tl.longest = max(tl.longest, time.Since(begun))
			tl.tries = max(tl.tries, tries)
			tl.last = max(tl.last, now)
		} else {
			tl.longest = max(tl.longest, length-begun.Sub(s.start))
		}
		tl.mu.Unlock()
	}
}

func result(s *Server, m Model, tl *tally, length time.Duration, demand float64) Result {
	r := Result{Failed: tl.failed, MostTries: tl.tries, LongestWait: tl.longest, Sent: len(s.sends), Accepted: s.accepted, Elapsed: tl.last}
	r.Rejected = ratio(float64(len(s.refused)), float64(len(s.sends)))
	half := func(ts []time.Duration) float64 {
		n := 0
		for _, t := range ts {
			if t >= length/2 {
				n++
			}
		}
		return float64(n)
	}
	r.SteadyRej = ratio(half(s.refused), half(s.sends))
	if m.Rate > 0 {
		r.SteadyEff = (half(s.sends) - half(s.refused)) / (m.Rate * length.Seconds() / 2)
	}
	if tl.jobs == 0 {
		r.Efficiency = ratio(float64(s.accepted), s.capacity(demand))
	}
	sum, squares := 0.0, 0.0
	for _, n := range tl.done {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	r.Jain = ratio(sum*sum, float64(len(tl.done))*squares)
	r.PerSecond = perSecond(s.sends, s.refused)
	if o, ok := s.Limit.(*Outage); ok {
		r.SentDown, r.Back = afterOutage(s, o)
	}
	return r
}

func perSecond(sends, refused []time.Duration) (per []Second) {
	at := func(t time.Duration) *Second {
		for int(t/time.Second) >= len(per) {
			per = append(per, Second{})
		}
		return &per[t/time.Second]
	}
	for _, t := range sends {
		at(t).Accepted++
	}
	for _, t := range refused {
		s := at(t)
		s.Accepted--
		s.Refused++
	}
	return per
}

// afterOutage returns what was sent into it, and when after it the sending
// rate over 500 ms was nine tenths of what it was before.
func afterOutage(s *Server, o *Outage) (down int, back time.Duration) {
	slices.Sort(s.sends)
	within := func(from, to time.Duration) (n int) {
		for _, t := range s.sends {
			if t >= from && t < to {
				n++
			}
		}
		return n
	}
	const span = 500 * time.Millisecond
	full := float64(within(o.From-5*time.Second, o.From)) / 10
	for d := time.Duration(0); d < 60*time.Second; d += 100 * time.Millisecond {
		if float64(within(o.To+d, o.To+d+span)) >= 0.9*full {
			back = d
			break
		}
	}
	return within(o.From, o.To), back
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
