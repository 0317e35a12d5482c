package sim

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A Portal is one server that many jobs ask in the same minute, each with an
// app token, which has a quota of its own: a token bucket of Rate and Burst.
// Behind a token are so many programs that know nothing of each other, with so
// many callers each, who send one request after another until they have had so
// many answers. Each job starts at a random time within Spread.
type Portal struct {
	Tokens, Programs, Callers, Requests int
	Rate, Burst                         float64
	Spread                              time.Duration
}

// All is how many requests the jobs have to make.
func (p Portal) All() int { return p.Tokens * p.Programs * p.Callers * p.Requests }

// A Felt is what a Portal saw of one kind of client.
type Felt struct {
	Sent, Refused, Failed int
	Peak                  int             // the most that arrived in a second
	Last                  time.Duration   // until the last answer
	Jobs                  []time.Duration // how long each took, the shortest first
	PerSecond             []Second
}

// Run simulates the jobs, all of them with the same kind of client.
func (p Portal) Run(t *testing.T, c Client, seed uint64) (f Felt) {
	synctest.Test(t, func(*testing.T) { f = p.run(c, seed) })
	return f
}

func (p Portal) run(c Client, seed uint64) (f Felt) {
	var (
		start   = time.Now()
		jobs    = make([]time.Duration, p.Tokens)
		rnd     = rand.New(rand.NewPCG(seed, 0x50da))
		servers []*Server
		mu      sync.Mutex
		callers sync.WaitGroup
	)
	for i := range p.Tokens {
		s := NewServer(&Bucket{Rate: p.Rate, Burst: p.Burst}, C80, seed+uint64(i))
		servers = append(servers, s)
		token, late := "token"+strconv.Itoa(i), time.Duration(rnd.Int64N(int64(p.Spread)))
		for range p.Programs {
			rt := c.New(s)
			for range p.Callers {
				callers.Go(func() {
					time.Sleep(late)
					failed := ask(rt, token, p.Requests)
					mu.Lock()
					defer mu.Unlock()
					f.Failed += failed
					f.Last = max(f.Last, time.Since(start))
					jobs[i] = max(jobs[i], time.Since(start)-late)
				})
			}
		}
	}
	callers.Wait()
	slices.Sort(jobs)
	f.Jobs = jobs
	var sends, refused []time.Duration
	for _, s := range servers {
		sends, refused = append(sends, s.sends...), append(refused, s.refused...)
	}
	f.Sent, f.Refused, f.PerSecond = len(sends), len(refused), perSecond(sends, refused)
	for _, s := range f.PerSecond {
		f.Peak = max(f.Peak, s.Accepted+s.Refused)
	}
	return f
}

// ask sends n requests in turn and returns how many failed.
func ask(rt http.RoundTripper, token string, n int) (failed int) {
	for range n {
		req, _ := http.NewRequest("GET", "https://data.example.org/resource/abcd-1234.json", nil)
		req.Header.Set("X-App-Token", token)
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 {
			failed++
		}
		if resp != nil {
			resp.Body.Close()
		}
	}
	return failed
}
