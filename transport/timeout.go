package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// sendWithin makes one attempt that has d to come to its response's headers.
// The body has all the time it needs.
func sendWithin(base http.RoundTripper, req *http.Request, d time.Duration) (*http.Response, error) {
	late := &timeoutError{d}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(d, func() { cancel(late) })
	resp, err := sound(base.RoundTrip(req.WithContext(ctx)))
	if !timer.Stop() { // it has fired, or is about to: the body would be cut
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
