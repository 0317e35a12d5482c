package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/bench"
	"github.com/sodahttp/sodahttp/bench/sim"
)

// A curve is a cost by a size, for each subject.
type curve struct {
	name, title, x string
	sizes          []int
	all            [][]*series // by size
}

// growth measures what a request costs by how much else there is.
func growth(t *testing.T, r *run) []curve {
	sizes := []int{1, 100, 10_000}
	keys := curve{"Keys", "a request, by hosts asked in turn", "hosts", sizes, nil}
	beside := curve{"Beside", "a request, by callers who wait", "waiting callers", sizes, nil}
	drain := curve{"Drain", "a request, by how many come at once", "callers at once", sizes, nil}
	for _, n := range sizes {
		r.progress(fmt.Sprintf("growth, %d keys", n))
		keys.all = append(keys.all, interleave(r.rounds(11), 20*time.Millisecond, overHosts(n)))
		r.progress(fmt.Sprintf("growth, %d waiting callers", n))
		beside.all = append(beside.all, besideWaiters(r, n))
		drain.all = append(drain.all, drained(t, r, n))
	}
	return []curve{keys, beside, drain}
}

// rivals are the contenders that growth is shown of.
func rivals(names ...string) (all []bench.Contender) {
	for _, name := range names {
		for _, c := range bench.Contenders() {
			if c.Name == name {
				all = append(all, c)
			}
		}
	}
	return all
}

func overHosts(n int) (all []subject) {
	var reqs []*http.Request
	for i := range n {
		req, err := http.NewRequest("GET", "https://data"+strconv.Itoa(i)+".test/resource/abcd-1234.json", nil)
		if err != nil {
			panic(err)
		}
		reqs = append(reqs, req)
	}
	for _, c := range rivals("bare", "sodahttp", "rehttp", "go-retryablehttp") {
		rt, i := c.Wrap(newStub()), 0
		for _, req := range reqs {
			send(rt, req)
		}
		all = append(all, subject{c.Name, func(times int) {
			for range times {
				send(rt, reqs[i])
				if i++; i == n {
					i = 0
				}
			}
		}})
	}
	return all
}

// besideWaiters measures requests that succeed while n others wait, on the
// clock. The subjects take turns as wholes, since all their waiters would be
// too many at once.
func besideWaiters(r *run, n int) (all []*series) {
	for _, c := range rivals("sodahttp", "loop", "go-retryablehttp") {
		rt := c.Wrap(closedTo("busy.test"))
		ctx, cancel := context.WithCancel(context.Background())
		var waiters sync.WaitGroup
		for range n {
			waiters.Go(func() {
				req, _ := http.NewRequestWithContext(ctx, "GET", "http://busy.test/resource/abcd-1234.json", nil)
				if resp, err := rt.RoundTrip(req); err == nil {
					resp.Body.Close()
				}
			})
		}
		time.Sleep(200 * time.Millisecond) // they are on their way; one that is late changes little
		all = append(all, interleave(r.rounds(11), 20*time.Millisecond, []subject{{c.Name, func(times int) { sender("GET", address, 0)(rt, times) }}})...)
		cancel()
		waiters.Wait()
	}
	return all
}

// closedTo is a Base that answers 429 to one host, to come back in 100 s.
type closedTo string

func (host closedTo) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != string(host) {
		return success(), nil
	}
	return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"100"}}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// drained measures what n callers that come at once take of the processor until
// all are served, by a server that takes 1,000 a second after the first 100.
func drained(t *testing.T, r *run, n int) []*series {
	var all []subject
	for _, c := range sim.Clients {
		if c.Name == "resty" || c.Name == "failsafe-go" {
			continue // the others will do
		}
		all = append(all, subject{c.Name, func(times int) {
			for range times {
				synctest.Test(t, func(*testing.T) { serve(c, n) })
			}
		}})
	}
	got := interleave(r.rounds(3), 20*time.Millisecond, all)
	for _, s := range got {
		for i := range s.samples {
			x := &s.samples[i]
			x.ns, x.bytes, x.allocs = x.ns/float64(n), x.bytes/float64(n), x.allocs/float64(n)
		}
	}
	return got
}

func serve(c sim.Client, n int) {
	rt := c.New(&quota{start: time.Now()})
	var callers sync.WaitGroup
	for range n {
		callers.Go(func() {
			req, _ := http.NewRequest("GET", address, nil)
			send(rt, req)
		})
	}
	callers.Wait()
}

// A quota is a Base that takes 1,000 a second after the first 100, without a
// lock that would be measured instead of its callers.
type quota struct {
	start time.Time
	next  atomic.Int64 // when the bucket would be full again
}

func (q *quota) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(80 * time.Millisecond)
	now := int64(time.Since(q.start))
	for {
		next := q.next.Load()
		then := max(next, now) + int64(time.Millisecond)
		if then > now+int64(100*time.Millisecond) {
			return &http.Response{StatusCode: 429, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
		}
		if q.next.CompareAndSwap(next, then) {
			return success(), nil
		}
	}
}
