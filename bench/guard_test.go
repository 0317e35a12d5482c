//go:build !race

package bench

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/transport"
)

// The guards are for what no other test would see: that the library has become
// much slower. They compare what happens in one process, in turns, and their
// bounds are so wide that only another order of magnitude exceeds them. The
// race detector slows down what it sees and not what it does not, so they are
// run without it.

// calm answers everything with one response.
type calm struct{ resp http.Response }

func (c *calm) RoundTrip(*http.Request) (*http.Response, error) {
	c.resp.StatusCode, c.resp.Body = 200, http.NoBody
	return &c.resp, nil
}

// TestGuardFirstAttempt: a first attempt that succeeds takes at most six times
// a bare RoundTrip and one look at the clock, and allocates nothing.
func TestGuardFirstAttempt(t *testing.T) {
	const rounds, times, factor = 300, 200, 6
	for _, row := range []struct {
		name, method, token string
		size                int
	}{{"GET", "GET", "", 0}, {"GET with a token", "GET", "abcdefghijklmnopqrstuvwxy", 0}, {"POST of 64 KiB", "POST", "", 64 << 10}} {
		t.Run(row.name, func(t *testing.T) {
			req, err := http.NewRequest(row.method, "http://data.test/resource/abcd-1234.json", bytes.NewReader(make([]byte, row.size)))
			if err != nil {
				t.Fatal(err)
			}
			if row.token != "" {
				req.Header.Set("X-App-Token", row.token)
			}
			base := new(calm)
			ours := &transport.Transport{Base: base}
			once := func(rt http.RoundTripper) {
				if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != 200 {
					t.Fatal(resp, err)
				}
			}
			floor, took := time.Hour, time.Hour
			var now time.Time
			for range rounds { // the least of many: others may have the processor in most
				floor = min(floor, timed(times, func() { now = time.Now(); once(base) }))
				took = min(took, timed(times, func() { once(ours) }))
			}
			runtime.KeepAlive(now)
			if took > factor*floor {
				t.Errorf("%v, which is more than %d times the %v of a bare RoundTrip and one look at the clock", took/times, factor, floor/times)
			}
			if n := testing.AllocsPerRun(100, func() { once(ours) }); n != 0 {
				t.Errorf("%v allocations, want none", n)
			}
		})
	}
}

func timed(n int, f func()) time.Duration {
	start := time.Now()
	for range n {
		f()
	}
	return time.Since(start)
}

// flaky answers the first of every eleven attempts with a 502.
type flaky struct{ n int }

func (f *flaky) RoundTrip(*http.Request) (*http.Response, error) {
	if f.n++; f.n%11 == 1 {
		return &http.Response{StatusCode: 502, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("<html>"))}, nil
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
}

// TestGuardRetryAllocations: ten requests of which one is retried allocate at
// most 110 times, the responses included.
func TestGuardRetryAllocations(t *testing.T) {
	const most = 110
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Base: new(flaky)}
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://data.test/resource/abcd-1234.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(100, func() {
			for range 10 {
				if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != 200 {
					t.Fatal(resp, err)
				}
			}
		})
		if n > most {
			t.Errorf("%v allocations, want at most %d", n, most)
		}
	})
}
