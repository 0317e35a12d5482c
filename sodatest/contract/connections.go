package contract

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var ofConnections = []obligation{
	{"reuses one connection across attempts", reusesConnections, "net/http Client.Do; RFC 9112, section 9.3"},
	{"closes every response it discards", closesResponses, "net/http Response.Body: to be closed"},
	{"does not deadlock with MaxConnsPerHost 1", livesWithOneConnection, "net/http Transport.MaxConnsPerHost"},
	{"forwards CloseIdleConnections", forwardsCloseIdle, "net/http Client.CloseIdleConnections"},
	{"does not close idle connections by itself", leavesIdle, "net/http Client.CloseIdleConnections: Base's are shared"},
	{"tries an untrusted certificate once", triesCertificatesOnce, "RFC 9110, section 4.3.4"},
	{"leaves no connection behind", leavesNoConnection, "net/http Transport.CloseIdleConnections; Response.Body: to be closed"},
	{"leaves no goroutine behind", leavesNoGoroutine, "memory for each request"},
	{"is safe for concurrent use", isConcurrent, "net/http RoundTripper: must be safe for concurrent use"},
}

// flaky answers 503 to the first attempts for every path, then 200, each time with
// the path and the X-Row that it got. A path that ends in 0 never fails.
func flaky(failures int64) http.HandlerFunc {
	var calls sync.Map
	return func(w http.ResponseWriter, r *http.Request) {
		n, _ := calls.LoadOrStore(r.URL.Path, new(atomic.Int64))
		if n.(*atomic.Int64).Add(1) <= failures && !strings.HasSuffix(r.URL.Path, "0") {
			w.WriteHeader(503)
		}
		fmt.Fprintf(w, "%s %s", r.URL.Path, r.Header.Get("X-Row"))
	}
}

// net/http Client.Do: "If the Body is not both read to EOF and closed, the
// Client's underlying RoundTripper [...] may not be able to re-use a persistent
// TCP connection". RFC 9112 section 9.3.
func reusesConnections(t *tester, wrap wrapper) {
	s := serve(t, flaky(2))
	resp, _ := send(t, mount(t, wrap, &s.Transport), request(t, "GET"))
	finish(resp)
	if n := s.dialed.Load(); n != 1 {
		t.Errorf("%d connections made, want 1", n)
	}
}

// net/http Response.Body: "It is the caller's responsibility to close Body", and
// whoever does not hand a response on is the caller.
func closesResponses(t *tester, wrap wrapper) {
	for _, c := range courses {
		b := &base{script: c.script}
		resp, _ := send(t, mount(t, wrap, b), request(t, "GET"))
		finish(resp)
		settle()
		for i, body := range b.bodies {
			if body.closed.Load() == 0 {
				t.Errorf("%s: response body %d of %d is never closed", c.name, i+1, len(b.bodies))
			}
		}
	}
}

// net/http Transport.MaxConnsPerHost: "On limit violation, dials will block."
// An attempt that waits for the connection of the one before waits for ever.
func livesWithOneConnection(t *tester, wrap wrapper) {
	s := serve(t, flaky(2))
	s.MaxConnsPerHost = 1
	start := time.Now()
	resp, err := send(t, mount(t, wrap, &s.Transport), request(t, "GET"))
	finish(resp)
	if err != nil {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

// net/http Client.CloseIdleConnections: "If Client.Transport does not have a
// CloseIdleConnections method then this method does nothing."
func forwardsCloseIdle(t *tester, wrap wrapper) {
	b := &base{script: []reply{ok}}
	(&http.Client{Transport: mount(t, wrap, b)}).CloseIdleConnections()
	if b.idle == 0 {
		t.Error("http.Client.CloseIdleConnections does not reach Base")
	}
}

// The idle connections of Base belong to all that share it.
func leavesIdle(t *tester, wrap wrapper) {
	for _, c := range courses {
		b := &base{script: c.script}
		resp, _ := send(t, mount(t, wrap, b), request(t, "GET"))
		finish(resp)
		settle()
		if b.idle > 0 {
			t.Errorf("%s: closed Base's idle connections, unasked", c.name)
		}
	}
}

// RFC 9110 section 4.3.4: the certificate is the server's proof of identity. It
// does not get better by asking again.
func triesCertificatesOnce(t *tester, wrap wrapper) {
	s := start(t, flaky(0), selfSigned(t))
	req := request(t, "GET")
	req.URL.Scheme = "https"
	resp, err := send(t, mount(t, wrap, &s.Transport), req)
	finish(resp)
	if n := s.dialed.Load(); n != 1 || err == nil {
		t.Errorf("%d handshakes, error %v; want one and its error", n, err)
	}
}

// net/http Transport.CloseIdleConnections: when all responses are closed, all
// connections are idle. A leaked one is never closed, by anyone.
func leavesNoConnection(t *tester, wrap wrapper) {
	s := serve(t, flaky(2))
	rt := mount(t, wrap, &s.Transport)
	for i := range 9 {
		req := request(t, "GET")
		req.URL.Path = fmt.Sprint("/", i+1)
		resp, _ := send(t, rt, req)
		finish(resp)
	}
	settle()
	s.CloseIdleConnections()
	settle()
	if n := s.open.Load(); n != 0 {
		t.Errorf("%d of %d connections stay open", n, s.dialed.Load())
	}
}

// A goroutine for each request that nobody ends, not even the end of its
// context, is memory for each request. synctest reports those that remain.
func leavesNoGoroutine(t *tester, wrap wrapper) {
	for _, c := range courses {
		req := (&payload{content: "row"}).request(t, "PUT", true).WithContext(context.Background())
		resp, _ := send(t, mount(t, wrap, &base{script: c.script}), req)
		finish(resp)
	}
}

// net/http RoundTripper: "A RoundTripper must be safe for concurrent use by
// multiple goroutines." Run it with -race. The requests have no bodies: what
// becomes of those is the subject of others.
func isConcurrent(t *tester, wrap wrapper) {
	handler := flaky(1)
	rt := mount(t, wrap, roundTripper(func(req *http.Request) (*http.Response, error) {
		time.Sleep(time.Millisecond) // for the others to come in between
		w := httptest.NewRecorder()
		handler(w, req)
		resp := w.Result()
		resp.Request = req
		return resp, nil
	}))
	var group sync.WaitGroup
	wrong := make(chan string, 64)
	for i := range 64 {
		req := request(t, "GET")
		req.URL.Path = fmt.Sprint("/", i)
		req.Header.Set("X-Row", fmt.Sprint("row ", i))
		group.Go(func() {
			var resp *http.Response
			var err error
			if p := panicOf(func() { resp, err = rt.RoundTrip(req) }); p != nil {
				wrong <- fmt.Sprintf("panic: %v", p)
				return
			}
			got, _ := finish(resp)
			if want := fmt.Sprintf("/%d row %d", i, i); err != nil || got != want {
				wrong <- fmt.Sprintf("got %q and error %v, want %q", got, err, want)
			}
		})
	}
	within(t, 48*time.Hour, group.Wait)
	if n := len(wrong); n > 0 {
		t.Errorf("%d of 64 requests at once go wrong, the first: %s", n, <-wrong)
	}
}
