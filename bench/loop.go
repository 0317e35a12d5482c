package bench

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// A Loop is what is written by hand by one who is careful: exponential back-off
// with full jitter, Retry-After in seconds as a floor, bodies from GetBody, no
// second write, an end with the context, and bodies that are drained and closed.
type Loop struct {
	Base           http.RoundTripper
	Retries        int
	First, Longest time.Duration // the range that waits are drawn from
}

// RoundTrip sends req, and again while that makes sense.
func (l *Loop) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.Base.RoundTrip(req)
	for n := 0; n < l.Retries && again(req, resp, err); n++ {
		wait := l.wait(n, resp)
		if resp != nil {
			io.CopyN(io.Discard, resp.Body, 64<<10)
			resp.Body.Close()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-req.Context().Done():
			timer.Stop()
			return nil, req.Context().Err()
		}
		next := *req
		if req.GetBody != nil {
			if next.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		resp, err = l.Base.RoundTrip(&next)
	}
	return resp, err
}

// again reports whether req can be sent once more after what came of it.
func again(req *http.Request, resp *http.Response, err error) bool {
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil || req.Context().Err() != nil {
		return false
	}
	if resp != nil && resp.StatusCode == http.StatusTooManyRequests {
		return true
	}
	switch req.Method {
	case "", "GET", "HEAD", "PUT", "DELETE":
		return err != nil || resp.StatusCode >= 500
	}
	return false
}

func (l *Loop) wait(n int, resp *http.Response) time.Duration {
	d := rand.N(min(l.Longest, l.First<<min(n, 20))) + 1
	if resp != nil {
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			d += time.Duration(s) * time.Second
		}
	}
	return d
}
