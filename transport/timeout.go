package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// sendWithin makes one attempt that has d to come to its response's headers.
// Bodies have all the time they need: while the request's is waited for, the
// time stands still, with each of its pieces it begins anew, and the response's
// is not counted.
func sendWithin(base http.RoundTripper, req *http.Request, d time.Duration) (*http.Response, error) {
	late := &timeoutError{d}
	ctx, cancel := context.WithCancelCause(req.Context())
	clock := newClock(d, func() { cancel(late) })
	timed := req.WithContext(ctx)
	wrapBodies(timed, func(b io.ReadCloser) io.ReadCloser { return &timedBody{b, clock} })
	resp, err := sound(base.RoundTrip(timed))
	if !clock.stop() { // it has fired: the body would be cut
		cancel(late)
		if err == nil {
			resp.Body.Close()
		}
		return nil, late
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Request = untimed(resp.Request, timed, req)
	if rw, ok := resp.Body.(io.ReadWriteCloser); ok { // a 101, or what wants to look like one
		resp.Body = struct {
			io.Writer
			*cancelBody
		}{rw, &cancelBody{rw, cancel}}
	} else {
		resp.Body = &cancelBody{resp.Body, cancel}
	}
	return resp, nil
}

// untimed returns the request that a response is the answer to, without what
// was added to req for the time. Base may have sent another, with a token that
// the answer may repeat.
func untimed(of, timed, req *http.Request) *http.Request {
	if of == nil || of == timed {
		return req
	}
	r := of.WithContext(req.Context())
	r.Body, r.GetBody = req.Body, req.GetBody
	return r
}

// A clock is the timer of one attempt. net/http may go on reading the body of
// an attempt that was answered, which must not start it again.
type clock struct {
	d     time.Duration
	timer *time.Timer

	mu      sync.Mutex
	reading int // the bodies' Reads under way
	over    bool
	late    bool
}

// newClock calls late when d is over, if it is not stopped before.
func newClock(d time.Duration, late func()) *clock {
	c := &clock{d: d}
	c.mu.Lock() // until timer is set
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(d, func() {
		if c.fire() {
			late()
		}
	})
	return c
}

// fire reports whether it was in time to be late.
func (c *clock) fire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = c.late || !c.over
	c.over = true
	return c.late
}

// pause has the time stand still, while a body is being read.
func (c *clock) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading++; c.reading == 1 {
		c.timer.Stop()
	}
}

// again begins the time anew, unless it is over.
func (c *clock) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading--; c.reading == 0 && !c.over {
		c.timer.Reset(c.d)
	}
}

// stop reports whether the attempt came in time.
func (c *clock) stop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.timer.Stop()
	return !c.late
}

// timedBody is a request's body, whose Reads are not counted in the attempt's
// time: what a slow source takes is no fault of the server's.
type timedBody struct {
	io.ReadCloser
	clock *clock
}

func (b *timedBody) Read(p []byte) (int, error) {
	b.clock.pause()
	defer b.clock.again()
	return b.ReadCloser.Read(p)
}

// cancelBody frees an attempt's context when its body ends.
type cancelBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *cancelBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.cancel(nil)
	}
	return n, err
}

func (b *cancelBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// timeoutError is the end of an attempt by Policy.AttemptTimeout.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("sodahttp: no response headers within AttemptTimeout, %v", e.after)
}
func (e *timeoutError) Timeout() bool { return true }
func (e *timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded
}
