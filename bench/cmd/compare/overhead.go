package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/bench"
)

const address = "http://data.test/resource/abcd-1234.json"

// A work is what was measured and how the page calls it.
type work struct {
	name string // for benchstat
	row  string // for the page
	all  []*series
}

// stub answers every request with the same response, to one goroutine.
type stub struct{ resp http.Response }

func (s *stub) RoundTrip(*http.Request) (*http.Response, error) {
	s.resp.Body = http.NoBody // some wrap it, again and again
	return &s.resp, nil
}

func newStub() http.RoundTripper {
	return &stub{http.Response{StatusCode: 200, Header: http.Header{}}}
}

// success is a response of its own.
func success() *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
}

// subjects makes one of each contender over a base, by do, which does the
// contender's work n times.
func subjects(base func() http.RoundTripper, do func(rt http.RoundTripper, n int)) (all []subject) {
	for _, c := range bench.Contenders() {
		rt := c.Wrap(base())
		all = append(all, subject{c.Name, func(n int) { do(rt, n) }})
	}
	return all
}

// sender returns what sends one request again and again, with a fresh body if
// it has one.
func sender(method, url string, size int, header ...string) func(http.RoundTripper, int) {
	return func(rt http.RoundTripper, n int) {
		var body io.Reader
		if size > 0 {
			body = bytes.NewReader(make([]byte, size))
		}
		req, err := http.NewRequest(method, url, body)
		if err != nil {
			panic(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		for range n {
			if size > 0 {
				req.Body, _ = req.GetBody() // counted for all alike: some replace or consume it
			}
			send(rt, req)
		}
	}
}

func send(rt http.RoundTripper, req *http.Request) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		panic(fmt.Sprintf("%T: %v", rt, err))
	}
	if resp.StatusCode != 200 {
		panic(fmt.Sprintf("%T: status %d", rt, resp.StatusCode))
	}
	if resp.Body != http.NoBody {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// firstAttempts measures requests that succeed at once.
func firstAttempts(r *run) (works []work) {
	works = append(works, work{"FirstAttempt/work=GET-with-token/over=stub", "GET with an app token, Base that does nothing",
		interleave(r.rounds(21), 20*time.Millisecond, subjects(newStub,
			sender("GET", address, 0, "X-App-Token", "abcdefghijklmnopqrstuvwxy")))})
	for _, kind := range []struct {
		method string
		size   int
	}{{"GET", 0}, {"POST", 64 << 10}} {
		what := kind.method
		if kind.size > 0 {
			what += " of 64 KiB"
		}
		r.progress("first attempt, " + what)
		works = append(works, work{"FirstAttempt/work=" + kind.method + "/over=stub", what + ", Base that does nothing",
			interleave(r.rounds(21), 20*time.Millisecond, subjects(newStub, sender(kind.method, address, kind.size)))})
		for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
			srv, base := loopback(proto)
			works = append(works, work{"FirstAttempt/work=" + kind.method + "/over=" + slug(proto), what + ", loopback TCP, " + proto,
				interleave(r.rounds(15), 60*time.Millisecond, subjects(base, sender(kind.method, srv.URL, kind.size)))})
			srv.Close()
		}
	}
	return works
}

// loopback starts a server on TCP that reads all and answers little, and
// returns it with what makes transports to it.
func loopback(proto string) (*httptest.Server, func() http.RoundTripper) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		io.WriteString(w, "[]")
	}))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(proto == "HTTP/1.1")
	protocols.SetUnencryptedHTTP2(proto == "HTTP/2")
	srv.Config.Protocols = protocols
	srv.Start()
	return srv, func() http.RoundTripper {
		return &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}
	}
}

// parallel measures 64 goroutines on one RoundTripper.
func parallel(r *run) []work {
	r.progress("64 goroutines on one Transport")
	var works []work
	for _, b := range []struct {
		slug, text string
		time       time.Duration
	}{{"busy", "500 ns", 500 * time.Nanosecond}, {"busy-2us", "2 µs", 2 * time.Microsecond}} {
		n := rounds(b.time)
		works = append(works, work{"Parallel/over=" + b.slug, "64 goroutines, Base that works for " + b.text, interleave(r.rounds(21), 60*time.Millisecond,
			subjects(func() http.RoundTripper { return busy(n) }, crowd(sender("GET", address, 0))))})
	}
	srv, base := loopback("HTTP/1.1")
	defer srv.Close()
	return append(works, work{"Parallel/over=http1.1", "64 goroutines, loopback TCP, HTTP/1.1",
		interleave(r.rounds(15), 100*time.Millisecond, subjects(base, crowd(sender("GET", srv.URL, 0))))})
}

// crowd has 64 goroutines do what do does.
func crowd(do func(http.RoundTripper, int)) func(http.RoundTripper, int) {
	const goroutines, portion = 64, 16
	return func(rt http.RoundTripper, n int) {
		var left atomic.Int64
		left.Store(int64(n))
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for {
					was := left.Add(-portion) + portion
					if was <= 0 {
						return
					}
					do(rt, int(min(was, portion)))
				}
			})
		}
		wg.Wait()
	}
}

// retries measures what one retry costs: ten requests of which one is answered
// 502 first, less ten that are not. One in ten is what a retry budget allows.
// The wait is virtual, in a bubble, and everybody's takes one timer.
func retries(t *testing.T, r *run) (clean, retried []*series) {
	r.progress("one retry")
	var all []subject
	for _, share := range []int{0, 10} {
		for _, c := range bench.Contenders() {
			if c.Name == "bare" {
				c.Wrap = func(base http.RoundTripper) http.RoundTripper { return twice{base} }
			}
			all = append(all, subject{c.Name, func(n int) {
				synctest.Test(t, func(*testing.T) { tens(c.Wrap(&flaky{every: share}), n) })
			}})
		}
	}
	got := interleave(r.rounds(21), 20*time.Millisecond, all)
	return got[:len(got)/2], got[len(got)/2:]
}

func tens(rt http.RoundTripper, n int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		panic(err)
	}
	for range 10 * n {
		send(rt, req)
	}
}

// A flaky Base answers one of so many requests with a 502, if any.
type flaky struct {
	every, n int
}

func (f *flaky) RoundTrip(*http.Request) (*http.Response, error) {
	if f.n++; f.every > 0 && f.n%(f.every+1) == 1 {
		return &http.Response{Status: "502 Bad Gateway", StatusCode: 502, Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader("<html>502</html>"))}, nil
	}
	return success(), nil
}

// twice is the least that a retry can be: a wait, and the request once more.
type twice struct{ base http.RoundTripper }

func (t twice) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err == nil && resp.StatusCode == 502 {
		resp.Body.Close()
		time.Sleep(500 * time.Millisecond)
		return t.base.RoundTrip(req)
	}
	return resp, err
}
