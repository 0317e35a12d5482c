package contract_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A retrier is a small RoundTripper that retries and keeps the contract. The
// faults of broken_test.go are each a change to one of its parts.
type retrier struct {
	base   http.RoundTripper
	tries  int
	retry  func(*http.Request, *http.Response, error) bool
	wait   func(http.Header) (time.Duration, bool)
	fits   func(context.Context, time.Duration) bool
	sleep  func(context.Context, time.Duration) error
	rewind func(*http.Request) (*http.Request, error)
	drop   func(*http.Response)
}

func newRetrier(base http.RoundTripper) *retrier {
	return &retrier{
		base: base, tries: 4,
		retry: retryable, wait: pause, fits: fits, sleep: sleep, rewind: rewind, drop: drop,
	}
}

func (r *retrier) CloseIdleConnections() {
	(&http.Client{Transport: r.base}).CloseIdleConnections()
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	next := req
	for n := 1; ; n++ {
		resp, err := r.base.RoundTrip(next)
		if n == r.tries || !r.retry(req, resp, err) {
			return resp, err
		}
		var header http.Header
		if resp != nil {
			header = resp.Header
		}
		wait, ok := r.wait(header)
		if !ok || !r.fits(req.Context(), wait) {
			return resp, err
		}
		if stop := r.sleep(req.Context(), wait); stop != nil {
			r.drop(resp)
			return nil, stop
		}
		again, failure := r.rewind(req)
		if failure != nil {
			return resp, err
		}
		r.drop(resp)
		next = again
	}
}

// retryable says yes to idempotent requests with a body that can be had again
// and an outcome that may pass.
func retryable(req *http.Request, resp *http.Response, err error) bool {
	if req.Method == "POST" || req.Method == "PATCH" || req.Context().Err() != nil {
		return false
	}
	return (req.Body == nil || req.Body == http.NoBody || req.GetBody != nil) && passing(resp, err)
}

func passing(resp *http.Response, err error) bool {
	if err != nil {
		return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
	}
	switch resp.StatusCode {
	case 429, 500, 502, 503, 504:
		return true
	}
	return false
}

// pause returns what Retry-After asks for, and false if that is too long.
func pause(header http.Header) (time.Duration, bool) {
	value := header.Get("Retry-After")
	if n, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return max(time.Duration(min(n, 3600))*time.Second, 5*time.Millisecond), n < 3600
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 5*time.Millisecond), time.Until(at) < time.Hour
	}
	return 5 * time.Millisecond, true
}

func fits(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > wait
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func rewind(req *http.Request) (*http.Request, error) {
	if req.GetBody == nil {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again := *req
	again.Body = body
	return &again, nil
}

// drop drains a response within 64 KiB and a quarter of a second, and closes it.
func drop(resp *http.Response) {
	if resp == nil {
		return
	}
	defer time.AfterFunc(250*time.Millisecond, func() { resp.Body.Close() }).Stop()
	io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

// isCertificate says whether err is about the server's certificate.
func isCertificate(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}

// isMalformed says whether err is http.Transport's refusal of a request.
func isMalformed(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "invalid header") || strings.Contains(err.Error(), "scheme"))
}
