package status_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/status"
	"github.com/sodahttp/sodahttp/transport"
)

type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func answer(status int, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// get asks h for its page as accept wants it.
func get(h http.Handler, target, accept string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("GET", target, nil)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// send sends one request and reads its answer.
func send(t *testing.T, rt http.RoundTripper, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := rt.RoundTrip(req)
	if err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// aNight is twelve minutes of a job against a server with a limit, an outage
// and odd faults. It must run in a synctest bubble. What it returns is still at
// work, until stop is called.
func aNight(t *testing.T) (page *status.Handler, stop func()) {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.TokenBucket(5, 4),
		sodatest.Throttle(sodatest.Reply{Code: "too-many-requests", RetryAfter: "1"}),
		sodatest.Outage(5*time.Minute, 40*time.Second, sodatest.HTML(503)),
		sodatest.Outage(12*time.Minute-3*time.Second, time.Hour, sodatest.Reply{Status: 429, RetryAfter: "90"}),
		sodatest.Every(101, sodatest.Fault("execution_timeout")),
		sodatest.Every(1001, sodatest.Fault("query.soql.no-such-column")),
		sodatest.Latency(func() time.Duration { return 120 * time.Millisecond }))
	pacer := new(pace.Pacer)
	page = &status.Handler{Pacer: pacer}
	rt := &transport.Transport{Base: srv.Transport(), Policy: policy.Batch(), Pacer: pacer, OnEvent: page.OnEvent}
	other := &transport.Transport{Pacer: pacer, OnEvent: page.OnEvent, Base: baseFunc(func(*http.Request) (*http.Response, error) {
		return answer(404, "X-Socrata-Requestid", "96914e023b148fc8410d70febfa818e4"), nil
	})}
	var workers sync.WaitGroup
	done := make(chan struct{})
	for i := range 5 {
		workers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
					send(t, rt, fmt.Sprintf("%s/resource/abcd-1234.json?$where=name='Jane'&$limit=1000&$offset=%d", srv.URL, 1000*(n*5+i)))
				}
			}
		})
	}
	time.Sleep(4 * time.Minute)
	send(t, other, "http://data.cityofnewyork.us/resource/uczf-rk3c.json?$limit=5")
	time.Sleep(8*time.Minute + 2*time.Second)
	return page, func() {
		close(done)
		workers.Wait()
		srv.Close()
	}
}

func contains(t *testing.T, what, text string, all ...string) {
	t.Helper()
	for _, s := range all {
		if !strings.Contains(text, s) {
			t.Errorf("%s has no %q:\n%.3000s", what, s, text)
		}
	}
}
