package contract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

var ofWaiting = []obligation{
	{"never retries before Retry-After in seconds", waitsSeconds, "RFC 9110, section 10.2.3"},
	{"never retries before Retry-After as a date", waitsDates, "RFC 9110, section 10.2.3"},
	{"never retries before Retry-After as an obsolete date", waitsObsoleteDates, "RFC 9110, section 5.6.7"},
	{"does not sleep through an absurd Retry-After", refusesAbsurd, "RFC 9110, section 10.2.3"},
	{"never retries at once on an overflowing Retry-After", survivesOverflow, "RFC 9110, section 10.2.3; RFC 9111, section 1.2.2"},
	{"survives a malformed Retry-After", survivesMalformed, "RFC 9110, section 10.2.3"},
	{"returns the response when Retry-After lies beyond the deadline", minsDeadlines, "context.Context: Deadline"},
	{"returns at once after its last attempt", returnsAtOnce, "a wait is for the attempt after it"},
	{"returns promptly when cancelled", returnsPromptly, "net/http Request.Context; Response.Body and Request.Body: to be closed"},
	{"keeps the cause of a cancellation", keepsCauses, "context.Cause, as net/http returns it since Go 1.23"},
	{"returns a timeout when time runs out", timesOut, "net/http Client.Do: Timeout reports true"},
	{"is not held up by an error body that never ends", passesEndless, "net/http Response.Body: need not end"},
	{"reads at most 1 MiB of a response it discards", readsLittle, "net/http Response.Body: need not end"},
}

// rounds is how often a wait is measured, so that jitter shows.
const rounds = 16

// waits fails t if a second attempt is made before the time that the first
// answer names in its Retry-After.
func waits(t *tester, wrap wrapper, statuses []int, retryAfter func() (string, time.Time)) {
	t.Helper()
	for i := range rounds {
		status := statuses[i%len(statuses)]
		value, until := retryAfter()
		b := &base{script: []reply{{status: status, header: http.Header{"Retry-After": {value}}}, ok}}
		resp, _ := send(t, mount(t, wrap, b), request(t, "GET"))
		finish(resp)
		if sent := b.sent(); len(sent) > 1 && sent[1].came.Before(until) {
			t.Fatalf("%d with Retry-After %q: second attempt %v early", status, value, until.Sub(sent[1].came))
		}
	}
}

// RFC 9110 section 10.2.3: "how long the user agent ought to wait before making
// a follow-up request". Jitter goes upward only.
func waitsSeconds(t *tester, wrap wrapper) {
	for _, seconds := range []int{1, 7, 120} {
		waits(t, wrap, []int{429, 503}, func() (string, time.Time) {
			return fmt.Sprint(seconds), time.Now().Add(time.Duration(seconds) * time.Second)
		})
	}
}

// RFC 9110 section 10.2.3: "Retry-After = HTTP-date / delay-seconds".
func waitsDates(t *tester, wrap wrapper) { waitsUntil(t, wrap, http.TimeFormat) }

// RFC 9110 section 5.6.7: "A recipient that parses a timestamp value in an HTTP
// field MUST accept all three HTTP-date formats."
func waitsObsoleteDates(t *tester, wrap wrapper) {
	waitsUntil(t, wrap, "Monday, 02-Jan-06 15:04:05 GMT")
	waitsUntil(t, wrap, time.ANSIC)
}

func waitsUntil(t *tester, wrap wrapper, layout string) {
	t.Helper()
	waits(t, wrap, []int{429, 503}, func() (string, time.Time) {
		until := time.Now().Add(2 * time.Minute).Truncate(time.Second).UTC()
		return until.Format(layout), until
	})
}

// late sends a GET to a server that says 503 and Retry-After for ever, under a
// context that shows no deadline and is cancelled after a day.
func late(t *tester, wrap wrapper, retryAfter ...string) (*base, *http.Response, time.Duration) {
	t.Helper()
	b := &base{script: []reply{{status: 503, header: http.Header{"Retry-After": retryAfter}, body: "later"}}}
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(24*time.Hour, cancel).Stop()
	t.Cleanup(cancel)
	start := time.Now()
	resp, _ := send(t, mount(t, wrap, b), request(t, "GET").WithContext(ctx))
	content, err := finish(resp)
	if resp != nil && (content != "later" || err != nil) {
		t.Errorf("Retry-After %q: body is %q (error %v), want it intact", retryAfter, content, err)
	}
	return b, resp, time.Since(start)
}

// RFC 9110 section 10.2.3 sets no limit. Three thousand years are not a wait but
// a hang: the caller gets the response, and decides.
func refusesAbsurd(t *tester, wrap wrapper) {
	for _, value := range []string{"99999999999", "9999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		if _, resp, took := late(t, wrap, value); resp == nil || took > time.Hour {
			t.Errorf("Retry-After %q: got response %v after %v, want the 503 within an hour", value, resp, took)
		}
	}
}

// RFC 9110 section 10.2.3 and, for numbers too large to hold, RFC 9111 section
// 1.2.2: they count as a very long time. Times time.Second, these overflow.
func survivesOverflow(t *tester, wrap wrapper) {
	for _, value := range []string{"9223372036854775807", "9223372037", "18446744074"} {
		b, _, _ := late(t, wrap, value)
		if sent := b.sent(); len(sent) > 1 {
			if wait := sent[1].came.Sub(sent[0].left); wait < time.Hour {
				t.Errorf("Retry-After %q: second attempt after %v", value, wait)
			}
		}
	}
}

// RFC 9110 section 10.2.3: anything else is no Retry-After.
func survivesMalformed(t *tester, wrap wrapper) {
	for _, values := range [][]string{
		{""}, {"0"}, {"-5"}, {"-9223372036854775808"}, {"+1"}, {" 1 "}, {"1.5"}, {"1e30"}, {"NaN"}, {"soon"},
		{"99999999999999999999999999"}, {"Fri, 31 Dec 1999 23:59:59 GMT"}, {"Thu, 99 Foo 2099"}, {"1", "2"},
	} {
		if _, _, took := late(t, wrap, values...); took > time.Hour {
			t.Errorf("Retry-After %q: came back after %v, want at most an hour", values, took)
		}
	}
}

// context.Context: "Deadline returns the time when work done on behalf of this
// context should be canceled." A wait that outlives it can only lose the answer
// in hand.
func minsDeadlines(t *tester, wrap wrapper) {
	for _, status := range []int{429, 503} {
		b := &base{script: []reply{{status: status, header: http.Header{"Retry-After": {"60"}}, body: "later"}, ok}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		t.Cleanup(cancel)
		start := time.Now()
		resp, err := send(t, mount(t, wrap, b), request(t, "GET").WithContext(ctx))
		if sent := b.sent(); len(sent) == 1 {
			want(t, resp, err, status, "later")
		} else {
			finish(resp) // retried early, which is another obligation's finding
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%d: came back after %v, want at once", status, took)
		}
	}
}

// A wait is for the attempt after it. Without one there is nothing to wait for.
func returnsAtOnce(t *tester, wrap wrapper) {
	for _, c := range courses {
		b := &base{script: c.script}
		resp, _ := send(t, mount(t, wrap, b), request(t, "GET"))
		if sent := b.sent(); len(sent) > 0 {
			if idle := time.Since(sent[len(sent)-1].left); idle > 5*time.Second {
				t.Errorf("%s: returned %v after attempt %d, the last one", c.name, idle, len(sent))
			}
		}
		finish(resp)
	}
}

// cancelled sends two requests and cancels each, the first while Base is at work,
// the second, a PUT of p, just after busy has answered. It hands the errors to check.
func cancelled(t *tester, wrap wrapper, cause error, busy *base, p *payload, check func(when string, err error)) {
	hangs := roundTripper(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	})
	for when, b := range map[string]http.RoundTripper{"in flight": hangs, "while waiting": busy} {
		req := request(t, "GET")
		if b == busy {
			req = p.request(t, "PUT", true)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		var stopped atomic.Int64 // when, in nanoseconds
		rt := mount(t, wrap, roundTripper(func(req *http.Request) (*http.Response, error) {
			time.AfterFunc(100*time.Microsecond, func() {
				stopped.CompareAndSwap(0, time.Now().UnixNano())
				cancel(cause)
			})
			return b.RoundTrip(req)
		}))
		resp, err := send(t, rt, req.WithContext(ctx))
		end := time.Now().UnixNano()
		finish(resp)
		if at := stopped.Load(); at != 0 && end-at > int64(time.Second) {
			t.Errorf("%s: came back %v after the cancellation", when, time.Duration(end-at))
		}
		if err != nil { // else it did not wait, or hands back the 503
			check(when, err)
		}
		cancel(nil)
	}
}

// busy answers 503 and has one wait.
func busy() *base {
	return &base{script: []reply{{status: 503, header: http.Header{"Retry-After": {"60"}}, body: "later"}}}
}

// net/http Request.Context: "a canceled context" ends the request, and errors.Is
// says that it did. The 503 that was waited upon is discarded then, and a body
// that GetBody made for the next attempt is not sent: both are to be closed.
func returnsPromptly(t *tester, wrap wrapper) {
	b, p := busy(), &payload{content: "row"}
	cancelled(t, wrap, nil, b, p, func(when string, err error) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v is not context.Canceled", when, err)
		}
	})
	settle()
	for i, body := range b.bodies {
		if body.closed.Load() == 0 {
			t.Errorf("while waiting: response body %d of %d is never closed", i+1, len(b.bodies))
		}
	}
	for i, body := range p.made()[1:] {
		if body.closed.Load() == 0 {
			t.Errorf("while waiting: body %d of GetBody is never closed", i+1)
		}
	}
}

// context.Cause: http.Transport returns it since Go 1.23, so callers look for it.
func keepsCauses(t *tester, wrap wrapper) {
	cause := errors.New("shutting down")
	cancelled(t, wrap, cause, busy(), &payload{content: "row"}, func(when string, err error) {
		if !errors.Is(err, cause) {
			t.Errorf("%s: error %v is not the cause of the cancellation, %v", when, err, cause)
		}
	})
}

// net/http Client.Do: "the url.Error value's Timeout method will report true if
// the request timed out." It asks the RoundTripper's error itself, and does not
// unwrap it. Client.Timeout is for all attempts together.
func timesOut(t *tester, wrap wrapper) {
	const limit = 10 * time.Second
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	busy := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	for name, handler := range map[string]http.HandlerFunc{"silent": silent, "always 503": busy} {
		for _, timeout := range []time.Duration{0, limit} {
			ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(limit-timeout, time.Hour))
			client := &http.Client{Transport: mount(t, wrap, &serve(t, handler).Transport), Timeout: timeout}
			start := time.Now()
			resp, err := send(t, roundTripper(client.Do), request(t, "GET").WithContext(ctx))
			finish(resp)
			cancel()
			took := time.Since(start)
			var is net.Error
			if took >= limit && err != nil && (!errors.As(err, &is) || !is.Timeout()) {
				t.Errorf("%s, Client.Timeout %v: the error's Timeout() is not true: %v", name, timeout, err)
			}
			if took > limit+5*time.Second {
				t.Errorf("%s, Client.Timeout %v: came back after %v, want at most %v", name, timeout, took, limit)
			}
		}
	}
}

// net/http Response.Body need not end, and draining it for the connection's sake
// is not worth more than a moment. An ordinary error body shows how long the
// waits between attempts are.
func passesEndless(t *tester, wrap wrapper) {
	measure := func(first reply) time.Duration {
		start := time.Now()
		resp, _ := send(t, mount(t, wrap, &base{script: []reply{first, ok}}), request(t, "GET"))
		took := time.Since(start)
		if resp != nil {
			resp.Body.Close()
		}
		return took
	}
	var ordinary time.Duration
	for range 2 * rounds {
		ordinary = max(ordinary, measure(unavailable))
	}
	endless := measure(reply{status: 503, stream: func(ctx context.Context) io.Reader {
		return &drip{ctx: ctx, every: 100 * time.Millisecond, left: -1, closed: make(chan struct{})}
	}})
	if endless > ordinary+5*time.Second {
		t.Errorf("an error body that never ends takes %v, an ordinary one %v", endless, ordinary)
	}
}

// The same in bytes: an error page may be a download gone wrong.
func readsLittle(t *tester, wrap wrapper) {
	huge := reply{status: 503, stream: func(context.Context) io.Reader { return io.LimitReader(zeros{}, 64<<20) }}
	b := &base{script: []reply{huge, ok}}
	resp, err := send(t, mount(t, wrap, b), request(t, "GET"))
	if read := b.bodies[0].read.Load(); read > 1<<20 {
		t.Errorf("%d bytes of a 503 are read (then error %v), want at most 1 MiB", read, err)
	}
	if resp != nil {
		resp.Body.Close()
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
