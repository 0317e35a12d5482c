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
// Bodies have all the time they need: while the request's is being read, the
// time begins anew, and the response's is not counted.
func sendWithin(base http.RoundTripper, req *http.Request, d time.Duration) (*http.Response, error) {
	late := &timeoutError{d}
	ctx, cancel := context.WithCancelCause(req.Context())
	clock := &clock{timer: time.AfterFunc(d, func() { cancel(late) }), d: d}
	timed := req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		timed.Body = &timedBody{req.Body, clock}
	}
	resp, err := sound(base.RoundTrip(timed))
	if !clock.stop() { // it has fired, or is about to: the body would be cut
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
	resp.Request = req
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

// A clock is the timer of one attempt. net/http may go on reading the body of
// an attempt that was answered, which must not start it again.
type clock struct {
	mu    sync.Mutex
	timer *time.Timer
	d     time.Duration
	over  bool
}

// again begins the time anew, unless it is over.
func (c *clock) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over && c.timer.Stop() {
		c.timer.Reset(c.d)
	}
}

// stop reports whether the attempt came in time.
func (c *clock) stop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	return c.timer.Stop()
}

// timedBody is a request's body, each Read of which gives the attempt more time.
type timedBody struct {
	io.ReadCloser
	clock *clock
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.clock.again()
	return n, err
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
