package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
)

// newPlan returns how a Resume waits between its attempts, which it counts
// itself. Of the policy's defaults that leaves MaxRetryAfter.
func newPlan(req *http.Request) *policy.Run {
	patient := policy.Policy{
		MaxAttempts: -1, MaxAttempts500: -1, MaxAttempts408: -1, MaxElapsed: -1, Poll: policy.Polling{MaxElapsed: -1},
	}
	return patient.Start(req, time.Now())
}

// again asks for the body once more and brings it to where the caller is. If
// that fails, it says how long to wait before it is tried again: less than
// nothing if it is not to be.
func (b *wholeBody) again() (wait time.Duration, err error) {
	b.swap(http.NoBody)
	req, err := b.request()
	if err != nil {
		return -1, err
	}
	b.asked = time.Now()
	resp, err := sound(b.base.RoundTrip(req))
	if err != nil {
		return b.refused(req, err)
	}
	if resp.Request == nil {
		resp.Request = req
	}
	resp.Body = &lasting{ReadCloser: resp.Body}
	b.swap(resp.Body) // Close reaches it from now on
	if !joins(resp) {
		wait, err = b.answered(req, resp)
	} else if err = b.join(resp); err == nil {
		b.last = resp
		return 0, nil
	} else if wait = -1; !errors.As(err, new(*changedError)) {
		wait, err = b.passing(err)
	}
	b.swap(http.NoBody)
	return wait, err
}

// refused judges an error of Base.
func (b *wholeBody) refused(req *http.Request, err error) (wait time.Duration, _ error) {
	if errors.As(err, new(*Error)) || errors.As(err, new(*pace.TooLate)) {
		return -1, err // Base has given up, or knows that it would
	}
	return b.judge(classify.Of(req, nil, err), nil, err)
}

// answered judges an answer that is no body to go on with.
func (b *wholeBody) answered(req *http.Request, resp *http.Response) (wait time.Duration, err error) {
	o, history := classify.Of(req, resp, nil), History(resp)
	if err = classify.Check(resp); err == nil {
		err = fmt.Errorf("sodahttp: the server answered %d", resp.StatusCode)
	}
	if n := len(history); n > 0 && history[n-1].Why != "" {
		return -1, &Error{Err: err, History: history}
	}
	return b.judge(o, resp, err)
}

// passing judges what may be better the next time.
func (b *wholeBody) passing(err error) (wait time.Duration, _ error) {
	return b.judge(classify.Outcome{Class: classify.Transient}, nil, err)
}

// judge says what follows an attempt that came to o.
func (b *wholeBody) judge(o classify.Outcome, resp *http.Response, err error) (wait time.Duration, _ error) {
	now := time.Now()
	deadline, _ := b.req.Context().Deadline()
	a := newAttempt(b.req, resp, o)
	a.N, a.Start = b.tries, b.asked
	if resp == nil {
		a.Err = classify.RedactError(err)
	} else if o.Class != classify.Final {
		a.RetryAfter, _ = classify.RetryAfter(resp.Header, now)
	}
	d := b.plan.Next(o, a.RetryAfter, now, deadline)
	switch {
	case d.Action != policy.Stop:
		return d.Wait, err
	case d.Why == "":
		return -1, err
	}
	a.Why, a.RetryAt = d.Why, d.RetryAt
	return -1, &Error{Err: classify.RedactError(err), History: []Attempt{a}}
}

// context returns one that ends with the caller's, and with Close.
func (b *wholeBody) context() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel == nil {
		b.ctx, b.cancel = context.WithCancel(b.req.Context())
	}
	if b.isClosed() {
		b.cancel()
	}
	return b.ctx
}

// swap closes the body and puts another in its place, closed too if the caller
// has closed the whole.
func (b *wholeBody) swap(body io.ReadCloser) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.body.Close()
	b.body = body
	if b.isClosed() {
		b.body.Close()
	}
}

// request returns the request without what would change its answer, for the
// rest only where that can be trusted.
func (b *wholeBody) request() (r *http.Request, err error) {
	r = b.req.WithContext(b.context())
	if r.Body != nil && r.Body != http.NoBody {
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	r.Header = b.req.Header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		r.Header.Del(name)
	}
	if b.ranges && b.good > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.good))
		r.Header.Set("If-Range", b.first.Header.Get("Etag"))
		if len(r.Header["Accept-Encoding"]) == 0 {
			r.Header.Set("Accept-Encoding", "identity") // net/http asks for gzip and undoes it, but not of parts
		}
	}
	return r, nil
}

// joins reports whether resp may have the body, or say something of it.
func joins(resp *http.Response) bool {
	asked := resp.Request.Header.Get("Range") != ""
	return resp.StatusCode == http.StatusOK ||
		asked && (resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable)
}

// join checks that resp is the same body, and brings it to where the caller is.
func (b *wholeBody) join(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		if err := b.same(resp); err != nil {
			return err
		}
		if err := b.skip(resp.Body); err != nil {
			return err
		}
		b.total = max(b.total, length(resp))
		return nil
	}
	total, err := int64(-1), fmt.Errorf("sodahttp: the server has no bytes from %d on", b.good)
	if resp.StatusCode == http.StatusPartialContent {
		total, err = b.part(resp)
	}
	if err != nil {
		b.ranges = false // not to be trusted with parts
		return err
	}
	b.total = total
	return nil
}

// changedError says that the data is not what it was.
type changedError struct{ text string }

func (e *changedError) Error() string { return e.text }

// changedHeader says that a field was that, and is now another or none.
func changedHeader(name, was, is string) error {
	if is == "" {
		return &changedError{fmt.Sprintf("its %s was %s and is gone", name, cut(was, 100))}
	}
	return &changedError{fmt.Sprintf("its %s was %s and is %s", name, cut(was, 100), cut(is, 100))}
}

// same holds a second answer to the validators of the first.
func (b *wholeBody) same(resp *http.Response) error {
	for _, name := range []string{"Etag", "X-Soda2-Truth-Last-Modified", "Last-Modified"} {
		was, is := b.first.Header.Get(name), resp.Header.Get(name)
		if was != "" && was != is {
			return changedHeader(name, was, is)
		}
	}
	if was, is := coding(b.first.Header), coding(resp.Header); was != is {
		return changedHeader("Content-Encoding", cmp.Or(was, "none"), is)
	}
	if was, is := b.total, length(resp); was >= 0 && is >= 0 && was != is {
		return changedHeader("Content-Length", fmt.Sprint(was), fmt.Sprint(is))
	}
	return nil
}

// part checks a 206: it must be the rest of the same body, and nothing else. It
// returns the length of the whole.
func (b *wholeBody) part(resp *http.Response) (total int64, err error) {
	if was, is := b.first.Header.Get("Etag"), resp.Header.Get("Etag"); was != is {
		return 0, changedHeader("Etag", was, is)
	}
	// A part need not repeat the header, but what it says has to fit.
	if is := coding(resp.Header); resp.Uncompressed || is != "" && is != coding(b.first.Header) {
		return 0, fmt.Errorf("sodahttp: the server sent a part in another Content-Encoding %q", is)
	}
	start, end, total, err := contentRange(resp.Header.Values("Content-Range"))
	switch {
	case err != nil:
		return 0, err
	case start != b.good, end != total-1,
		b.total >= 0 && total != b.total,
		resp.ContentLength >= 0 && resp.ContentLength != end-start+1:
		return 0, fmt.Errorf("sodahttp: asked for the bytes from %d on, the server sent %q", b.good, resp.Header.Get("Content-Range"))
	}
	return total, nil
}

// skip passes over what was delivered, if it is what was delivered.
func (b *wholeBody) skip(body io.Reader) error {
	again := newSum(b.sum.seed)
	if _, err := io.CopyN(again, body, b.good); err != nil {
		if err == io.EOF {
			return &changedError{fmt.Sprintf("its length was %d bytes or more and is less", b.good)}
		}
		return err
	}
	if again.value() != b.sum.value() {
		return &changedError{fmt.Sprintf("its first %d bytes were others", b.good)}
	}
	return nil
}
