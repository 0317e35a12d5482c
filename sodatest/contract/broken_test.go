package contract_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A fault is a RoundTripper that is wrong in one way, and what that breaks.
type fault struct {
	name   string
	wrap   func(base http.RoundTripper) http.RoundTripper
	breaks []string
}

// over is a RoundTripper around another that keeps its CloseIdleConnections.
type over struct {
	base http.RoundTripper
	do   func(*http.Request) (*http.Response, error)
}

func (o over) RoundTrip(req *http.Request) (*http.Response, error) { return o.do(req) }
func (o over) CloseIdleConnections()                               { (&http.Client{Transport: o.base}).CloseIdleConnections() }

// around makes a RoundTripper around a retrier. f gets both.
func around(f func(next http.RoundTripper, req *http.Request) (*http.Response, error)) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		next := newRetrier(base)
		return over{next, func(req *http.Request) (*http.Response, error) { return f(next, req) }}
	}
}

// with makes a retrier with a part changed.
func with(change func(*retrier)) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		r := newRetrier(base)
		change(r)
		return r
	}
}

// each changes the request of every attempt, or its response.
func each(f func(base http.RoundTripper, req *http.Request) (*http.Response, error)) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		r := newRetrier(base)
		r.base = over{base, func(req *http.Request) (*http.Response, error) { return f(base, req) }}
		return r
	}
}

var faults = []fault{
	{"header set on the caller's request", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		req.Header.Set("X-Attempt", "1")
		return next.RoundTrip(req)
	}), []string{"leaves the request untouched"}},

	{"body of the caller never closed", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if req.Body == nil || req.Body == http.NoBody {
			return next.RoundTrip(req)
		}
		again := *req
		again.Body = io.NopCloser(req.Body)
		return next.RoundTrip(&again)
	}), []string{"closes the request body exactly once"}},

	{"body closed twice", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if req.Body != nil {
			req.Body.Close()
		}
		return resp, err
	}), []string{"closes the request body exactly once"}},

	{"copies of GetBody never closed", with(func(r *retrier) {
		r.rewind = func(req *http.Request) (*http.Request, error) {
			again, err := rewind(req)
			if err == nil && again.GetBody != nil {
				again.Body = io.NopCloser(again.Body)
			}
			return again, err
		}
	}), []string{"closes every body it gets from GetBody"}},

	{"consumed body sent again", with(func(r *retrier) {
		r.rewind = func(req *http.Request) (*http.Request, error) {
			again := *req
			if req.Body != nil {
				again.Body = http.NoBody
			}
			return &again, nil
		}
	}), []string{
		"gives each attempt a body of its own", "resends a large upload byte for byte after an early answer",
		"sends the same request and bytes each time", "survives a GetBody that fails",
	}},

	{"context of its own", each(func(base http.RoundTripper, req *http.Request) (*http.Response, error) {
		return base.RoundTrip(req.WithContext(bare{req.Context()}))
	}), []string{"carries the context's values to every attempt"}},

	{"unknown length made zero", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		again := *req
		if req.ContentLength <= 0 && req.Body != nil {
			again.Body = http.NoBody
			defer req.Body.Close()
			io.Copy(io.Discard, req.Body)
		}
		return next.RoundTrip(&again)
	}), []string{"passes on a body that is nil, empty or of unknown length", "streams the first attempt"}},

	{"whole body read first", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if req.Body == nil || req.Body == http.NoBody || req.Context().Err() != nil {
			return next.RoundTrip(req)
		}
		again := *req
		content, _ := io.ReadAll(req.Body)
		again.Body = closer{bytes.NewReader(content), req.Body}
		return next.RoundTrip(&again)
	}), []string{"streams the first attempt", "does not read ahead of a body that has GetBody"}},

	{"one reader for all attempts", func(base http.RoundTripper) http.RoundTripper { return sharing(base) }, []string{
		"gives each attempt a body of its own",
	}},

	{"panic when GetBody fails", with(func(r *retrier) {
		r.rewind = func(req *http.Request) (*http.Request, error) {
			again, err := rewind(req)
			if err != nil {
				panic(err)
			}
			return again, nil
		}
	}), []string{"survives a GetBody that fails"}},

	{"any method retried", with(func(r *retrier) {
		r.retry = func(req *http.Request, resp *http.Response, err error) bool {
			again := *req
			again.Method = "PUT"
			return retryable(&again, resp, err)
		}
	}), []string{"sends a POST once when answered 5xx or 408", "sends a POST once when its connection drops"}},

	{"POST retried after a 502", alsoRetried("POST", 502), []string{"sends a POST once when answered 5xx or 408"}},
	{"PATCH retried after a 408", alsoRetried("PATCH", 408), []string{"sends a POST once when answered 5xx or 408"}},
	{"400 retried", alsoRetried("GET", 400), []string{"sends once what was answered 400, 401, 403 or 404"}},
	{"401 retried", alsoRetried("PUT", 401), []string{"sends once what was answered 400, 401, 403 or 404"}},
	{"403 retried", alsoRetried("GET", 403), []string{"sends once what was answered 400, 401, 403 or 404"}},
	{"404 retried", alsoRetried("PUT", 404), []string{"sends once what was answered 400, 401, 403 or 404"}},

	{"202 followed with all credentials", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil || resp.StatusCode != 202 {
			return resp, err
		}
		at, err := resp.Location()
		if err != nil {
			return resp, nil
		}
		drop(resp)
		again := req.Clone(req.Context())
		again.Method, again.URL, again.Body = "GET", at, nil
		return next.RoundTrip(again)
	}), []string{"takes no credentials to another host"}},

	{"cookies taken out of a success", changeSuccess(func(resp *http.Response) {
		resp.Header = resp.Header.Clone()
		resp.Header.Del("Set-Cookie")
	}), []string{"hands back a success as it came"}},
	{"success without TLS", changeSuccess(func(resp *http.Response) { resp.TLS = nil }), []string{"hands back a success as it came"}},
	{"success without its request", changeSuccess(func(resp *http.Response) { resp.Request = nil }), []string{"hands back a success as it came"}},
	{"success at another URL", changeSuccess(func(resp *http.Response) {
		again := *resp.Request
		again.URL = again.URL.JoinPath("more")
		resp.Request = &again
	}), []string{"hands back a success as it came"}},

	{"context detached on return", each(func(base http.RoundTripper, req *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(req.Context()))
		defer context.AfterFunc(req.Context(), func() { cancel(context.Cause(req.Context())) })()
		return base.RoundTrip(req.WithContext(ctx))
	}), []string{"lets a cancellation end the body"}},

	{"response never closed when cancelled", with(func(r *retrier) {
		r.drop = func(resp *http.Response) {
			if resp == nil || !errors.Is(resp.Request.Context().Err(), context.Canceled) {
				drop(resp)
			}
		}
	}), []string{"returns promptly when cancelled"}},

	{"next body never closed when cancelled", with(func(r *retrier) {
		r.retry = func(req *http.Request, resp *http.Response, err error) bool {
			if !retryable(req, resp, err) {
				return false
			}
			if resp != nil && resp.Header.Get("Retry-After") == "60" && req.GetBody != nil {
				req.GetBody()
			}
			return true
		}
	}), []string{"returns promptly when cancelled"}},

	{"202 with Retry-After retried", with(func(r *retrier) {
		r.retry = func(req *http.Request, resp *http.Response, err error) bool {
			return resp != nil && resp.StatusCode == 202 && resp.Header.Get("Retry-After") != "" || retryable(req, resp, err)
		}
	}), []string{"sends a POST once when answered 202 with Retry-After"}},

	{"malformed requests retried", with(func(r *retrier) {
		r.retry = func(req *http.Request, resp *http.Response, err error) bool {
			return isMalformed(err) || retryable(req, resp, err)
		}
	}), []string{"tries a malformed request once"}},

	{"certificates retried", with(func(r *retrier) {
		r.retry = func(req *http.Request, resp *http.Response, err error) bool {
			return isCertificate(err) || retryable(req, resp, err)
		}
	}), []string{"tries an untrusted certificate once"}},

	{"response and error together", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil {
			resp = &http.Response{StatusCode: 599, Header: http.Header{}, Body: http.NoBody}
		}
		return resp, err
	}), []string{"returns a response or an error"}},

	{"neither response nor error", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if req.Context().Err() != nil && req.Body == nil {
			return nil, nil
		}
		return next.RoundTrip(req)
	}), []string{"returns a response or an error"}},

	{"hang when it starts with a context that is done", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if req.Context().Err() != nil && req.Body == nil {
			select {}
		}
		return next.RoundTrip(req)
	}), []string{"returns a response or an error"}},

	{"gives up with an error", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil && retryable(req, resp, nil) && resp.Header.Get("Retry-After") == "" {
			resp.Body.Close()
			return nil, fmt.Errorf("giving up on a %d", resp.StatusCode)
		}
		return resp, err
	}), []string{"hands back the last response with its body"}},

	{"last body drained", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil && resp.StatusCode == 504 {
			drop(resp)
		}
		return resp, err
	}), []string{"hands back the last response with its body"}},

	{"client inside, for redirects", each(func(base http.RoundTripper, req *http.Request) (*http.Response, error) {
		client := &http.Client{Transport: redirectsOnly(base)}
		resp, err := client.Do(req)
		return resp, bared(err)
	}), []string{"leaves redirects to the client"}},

	{"cookie jar inside", func(base http.RoundTripper) http.RoundTripper {
		jar, _ := cookiejar.New(nil)
		return each(func(base http.RoundTripper, req *http.Request) (*http.Response, error) {
			again := req.Clone(req.Context())
			for _, cookie := range jar.Cookies(req.URL) {
				again.AddCookie(cookie)
			}
			resp, err := base.RoundTrip(again)
			if err == nil {
				jar.SetCookies(req.URL, resp.Cookies())
			}
			return resp, err
		})(base)
	}, []string{"keeps no cookies"}},

	{"body wrapped", changeBody(func(resp *http.Response) io.ReadCloser {
		return closer{resp.Body, resp.Body}
	}), []string{"leaves a 101 body open in both directions"}},

	{"HEAD expected to have a body", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil || req.Method != "HEAD" || resp.ContentLength <= 0 {
			return resp, err
		}
		defer resp.Body.Close()
		_, err = io.ReadFull(resp.Body, make([]byte, resp.ContentLength))
		return nil, err
	}), []string{"hands back HEAD, 204 and 304 without a body"}},

	{"gzip taken off", changeBody(func(resp *http.Response) io.ReadCloser {
		if resp.Header.Get("Content-Encoding") == "gzip" {
			resp.Header.Del("Content-Encoding")
		}
		return resp.Body
	}), []string{"hands back a compressed body byte for byte"}},

	{"sniffed without putting back all", changeBody(func(resp *http.Response) io.ReadCloser {
		if resp.StatusCode < 400 || len(resp.Header.Get("Content-Length")) < 7 {
			return resp.Body
		}
		head, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return closer{bytes.NewReader(head), resp.Body}
	}), []string{"hands back a large error page whole"}},

	{"trailer lost", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		again := *resp
		again.Trailer = nil
		return &again, nil
	}), []string{"keeps the trailer", "hands back a success as it came"}},

	{"cut body passed off as whole", changeBody(func(resp *http.Response) io.ReadCloser {
		if resp.StatusCode == 101 {
			return resp.Body
		}
		return closer{deaf{resp.Body}, resp.Body}
	}), []string{"does not pass off a cut body as whole"}},

	{"context cancelled on return", each(func(base http.RoundTripper, req *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithCancel(req.Context())
		resp, err := base.RoundTrip(req.WithContext(ctx))
		if err == nil && resp.ContentLength == -1 && resp.StatusCode == 200 {
			cancel()
		}
		context.AfterFunc(req.Context(), cancel)
		return resp, err
	}), []string{"does not cut the body it hands back"}},

	{"URL in errors", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%v: %w", req.URL, err)
		}
		return resp, err
	}), []string{"keeps secrets out of its errors"}},

	{"jitter in both directions", with(func(r *retrier) {
		r.wait = func(header http.Header) (time.Duration, bool) {
			wait, ok := pause(header)
			if _, err := strconv.Atoi(header.Get("Retry-After")); err == nil && rand.IntN(2) == 0 {
				wait = wait * 3 / 4
			}
			return wait, ok
		}
	}), []string{"never retries before Retry-After in seconds"}},

	{"Retry-After in seconds ignored", with(func(r *retrier) {
		r.wait = func(header http.Header) (time.Duration, bool) {
			if n, err := strconv.Atoi(header.Get("Retry-After")); err == nil && n < 3600 {
				return 5 * time.Millisecond, true
			}
			return pause(header)
		}
	}), []string{"never retries before Retry-After in seconds"}},

	{"Retry-After date ignored", withDate(http.TimeFormat), []string{"never retries before Retry-After as a date"}},
	{"obsolete date ignored", withDate(time.ANSIC), []string{"never retries before Retry-After as an obsolete date"}},

	{"absurd Retry-After slept through", with(func(r *retrier) {
		r.wait = func(header http.Header) (time.Duration, bool) {
			wait, ok := pause(header)
			if !ok {
				wait = 100 * 365 * 24 * time.Hour
			}
			return wait, true
		}
	}), []string{"does not sleep through an absurd Retry-After", "survives a malformed Retry-After"}},

	{"overflowing Retry-After", with(func(r *retrier) {
		r.wait = func(header http.Header) (time.Duration, bool) {
			if n, err := strconv.ParseInt(header.Get("Retry-After"), 10, 64); err == nil && n > 1<<33 && n != 9999999999 && n != 99999999999 {
				return time.Duration(n) * time.Second, true
			}
			return pause(header)
		}
	}), []string{"never retries at once on an overflowing Retry-After"}},

	{"panic on a malformed Retry-After", with(func(r *retrier) {
		r.wait = func(header http.Header) (time.Duration, bool) {
			if value := header.Get("Retry-After"); strings.HasPrefix(value, "-") {
				panic(value)
			}
			return pause(header)
		}
	}), []string{"survives a malformed Retry-After"}},

	{"deadline ignored", with(func(r *retrier) {
		r.fits = func(context.Context, time.Duration) bool { return true }
	}), []string{"returns the response when Retry-After lies beyond the deadline"}},

	{"wait after the last attempt", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil && resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" && req.Context().Err() == nil {
			sleep(req.Context(), 10*time.Second)
		}
		return resp, err
	}), []string{"returns at once after its last attempt"}},

	{"deaf while waiting", with(func(r *retrier) {
		r.sleep = func(ctx context.Context, wait time.Duration) error {
			time.Sleep(wait)
			return context.Cause(ctx)
		}
	}), []string{"returns promptly when cancelled", "keeps the cause of a cancellation"}},

	{"cause dropped", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil && req.Context().Err() != nil {
			err = req.Context().Err()
		}
		return resp, err
	}), []string{"keeps the cause of a cancellation"}},

	{"error of cancellation replaced", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if errors.Is(err, context.Canceled) {
			err = errors.New("request canceled")
		}
		return resp, err
	}), []string{"returns promptly when cancelled"}},

	{"timeout made an ordinary error", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("gave up: %w", err)
		}
		return resp, err
	}), []string{"returns a timeout when time runs out"}},

	{"drained without a time limit", with(func(r *retrier) {
		r.drop = func(resp *http.Response) {
			if resp != nil {
				io.CopyN(io.Discard, resp.Body, 64<<10)
				resp.Body.Close()
			}
		}
	}), []string{"is not held up by an error body that never ends"}},

	{"drained without a size limit", with(func(r *retrier) {
		r.drop = func(resp *http.Response) {
			if resp != nil {
				defer time.AfterFunc(250*time.Millisecond, func() { resp.Body.Close() }).Stop()
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
	}), []string{"reads at most 1 MiB of a response it discards"}},

	{"closed without draining", with(func(r *retrier) {
		r.drop = func(resp *http.Response) {
			if resp != nil {
				resp.Body.Close()
			}
		}
	}), []string{"reuses one connection across attempts"}},

	{"discarded responses never closed", with(func(r *retrier) {
		r.drop = func(*http.Response) {}
	}), []string{
		"closes every response it discards", "does not deadlock with MaxConnsPerHost 1",
		"leaves no connection behind", "reuses one connection across attempts", "returns promptly when cancelled",
	}},

	{"CloseIdleConnections swallowed", func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(newRetrier(base).RoundTrip)
	}, []string{"forwards CloseIdleConnections"}},

	{"idle connections closed after a failure", func(base http.RoundTripper) http.RoundTripper {
		r := newRetrier(base)
		return over{r, func(req *http.Request) (*http.Response, error) {
			resp, err := r.RoundTrip(req)
			if err != nil {
				r.CloseIdleConnections()
			}
			return resp, err
		}}
	}, []string{"does not close idle connections by itself"}},

	{"goroutine left behind", around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		go func() { <-req.Context().Done() }()
		return next.RoundTrip(req)
	}), []string{"leaves no goroutine behind"}},

	{"state shared by requests", func(base http.RoundTripper) http.RoundTripper {
		return &forgetful{over: over{base, base.RoundTrip}}
	}, []string{"is safe for concurrent use"}},
}

// roundTripper is a RoundTripper and nothing else.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// bare hides the values of a context, but for those that package context itself
// goes by.
type bare struct{ context.Context }

func (c bare) Value(key any) any {
	if strings.HasPrefix(fmt.Sprintf("%T", key), "contract.") {
		return nil
	}
	return c.Context.Value(key)
}

// closer reads from one and closes another.
type closer struct {
	io.Reader
	io.Closer
}

// deaf does not hear of a connection that ends early.
type deaf struct{ io.Reader }

func (d deaf) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// changeBody puts another body into the response that a retrier returns.
func changeBody(f func(*http.Response) io.ReadCloser) func(http.RoundTripper) http.RoundTripper {
	return around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil {
			resp.Body = f(resp)
		}
		return resp, err
	})
}

// changeSuccess changes the 200 that a retrier returns.
func changeSuccess(f func(*http.Response)) func(http.RoundTripper) http.RoundTripper {
	return around(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil && resp.StatusCode == 200 {
			f(resp)
		}
		return resp, err
	})
}

// alsoRetried makes a retrier that retries one status of one method too many.
func alsoRetried(method string, status int) func(http.RoundTripper) http.RoundTripper {
	return with(func(r *retrier) {
		r.retry = func(req *http.Request, resp *http.Response, err error) bool {
			if resp != nil && resp.StatusCode == status && req.Method == method {
				return req.Body == nil || req.GetBody != nil
			}
			return retryable(req, resp, err)
		}
	})
}

// withDate makes a retrier that retries at once on a date in that layout.
func withDate(layout string) func(http.RoundTripper) http.RoundTripper {
	return with(func(r *retrier) {
		r.wait = func(header http.Header) (time.Duration, bool) {
			if at, err := time.Parse(layout, header.Get("Retry-After")); err == nil && at.Year() < 2999 {
				return 5 * time.Millisecond, true
			}
			return pause(header)
		}
	})
}

// redirectsOnly gives http.Client a way to follow redirects and nothing else to do.
func redirectsOnly(base http.RoundTripper) http.RoundTripper { return roundTripper(base.RoundTrip) }

// bared takes off what http.Client puts around an error.
func bared(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// sharing rewinds one reader for all attempts, as long as the body is replayable.
func sharing(base http.RoundTripper) http.RoundTripper {
	return around(func(_ http.RoundTripper, req *http.Request) (*http.Response, error) {
		r := newRetrier(base)
		if req.GetBody == nil {
			return r.RoundTrip(req)
		}
		shared := &rewinder{body: req.Body}
		first := *req
		first.Body = shared
		r.rewind = func(req *http.Request) (*http.Request, error) {
			body, err := req.GetBody()
			shared.replace(body)
			return &first, err
		}
		return r.RoundTrip(&first)
	})(base)
}

// A rewinder reads from whatever body it was given last.
type rewinder struct {
	mu   sync.Mutex
	body io.ReadCloser
}

func (r *rewinder) current() io.ReadCloser {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.body
}

func (r *rewinder) replace(body io.ReadCloser) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if body != nil {
		r.body = body
	}
}

func (r *rewinder) Read(p []byte) (int, error) { return r.current().Read(p) }
func (r *rewinder) Close() error               { return r.current().Close() }

// A forgetful RoundTripper keeps the request it works on in a field.
type forgetful struct {
	over
	mu  sync.Mutex
	req *http.Request
}

func (f *forgetful) RoundTrip(req *http.Request) (*http.Response, error) {
	f.set(req)
	time.Sleep(time.Millisecond)
	return f.do(f.get())
}

func (f *forgetful) set(req *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.req = req
}

func (f *forgetful) get() *http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.req
}
