package transport

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

// A Resume is an http.RoundTripper whose GET bodies are whole, or end in an
// error that says so. When the reading of a 200 fails before its end, it asks
// Base again and goes on exactly where the caller is: by Range where the server
// offers that with a strong ETag, and otherwise by asking for all of it once
// more and passing over what was delivered, of which it has kept a hash. What
// cannot be proven to be the same ends in a [*BodyError]; no byte is delivered
// twice, and none that is in doubt.
//
// Socrata ends some exports that fail with an error object in the body of the
// 200. In JSON arrays and CSV, Resume sees such an object at the very end of
// the body, by holding back the last 2 KiB, and takes it for a failed read. It
// cannot see one in other formats, in a body that the caller asked to have
// compressed, or a longer one.
//
// It belongs around a [Transport], which makes each request reliable. Other
// methods, other statuses and requests with a Range of their own pass as they
// are. Memory is constant. A Resume is safe for concurrent use.
type Resume struct {
	// Base sends the requests. If nil, http.DefaultTransport is used, as it
	// was when the program began.
	Base http.RoundTripper

	// MaxAttempts is how often in a row the body may be asked for again
	// without a byte more of it coming. 0 means 5.
	MaxAttempts int

	// OnEvent is told when a body that was cut goes on, by whoever reads it.
	// If nil, nobody is told.
	OnEvent func(Event)
}

// RoundTrip sends req.
func (r *Resume) RoundTrip(req *http.Request) (*http.Response, error) {
	base := orDefault(r.Base)
	resp, err := base.RoundTrip(req)
	if err != nil || resp == nil || req == nil || !isWholeGet(req) || resp.StatusCode != http.StatusOK ||
		resp.Body == nil || resp.Body == http.NoBody {
		return resp, err
	}
	b := &wholeBody{
		base:     base,
		req:      req,
		first:    resp,
		last:     resp,
		body:     resp.Body,
		attempts: r.MaxAttempts,
		onEvent:  r.OnEvent,
		sum:      newSum(maphash.MakeSeed()),
		closed:   make(chan struct{}),
		ranges:   resp.Header.Get("Accept-Ranges") == "bytes" && isStrong(resp.Header.Get("Etag")) && !resp.Uncompressed,
	}
	if b.attempts <= 0 {
		b.attempts = 5
	}
	b.tail.watch(resp)
	whole := *resp // the answer is Base's; the copy has the body that is ours
	whole.Body = b
	b.resp = &whole
	return &whole, nil
}

func isWholeGet(req *http.Request) bool {
	return (req.Method == "" || req.Method == http.MethodGet) && len(req.Header["Range"]) == 0
}

// isStrong reports whether an ETag may be used to join parts of a body (RFC
// 9110, section 8.8.1).
func isStrong(etag string) bool { return len(etag) > 2 && etag[0] == '"' }

// CloseIdleConnections closes those of Base.
func (r *Resume) CloseIdleConnections() { closeIdle(orDefault(r.Base)) }

// A BodyError is why the body of a 200 cannot be had whole. It unwraps to the
// first error of reading it, and to the last one if that is another.
type BodyError struct {
	Good    int64 // how many bytes were delivered; they are right
	Changed bool  // the server has other data now: begin again
	Err     error // the first error of reading
	Last    error // what ended the attempts to go on
}

// Error tells how many bytes were good, and why there are no more.
func (e *BodyError) Error() string {
	what := "the body was cut"
	if e.Changed {
		what = "the body was cut, and the data has changed since"
	}
	text := fmt.Sprintf("sodahttp: %s after %d good bytes: %s", what, e.Good, errorText(e.Err))
	if e.Last != nil {
		text += "; going on: " + errorText(e.Last)
	}
	return text
}

// Unwrap returns Err and Last.
func (e *BodyError) Unwrap() []error {
	if e.Last == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Last}
}

// wholeBody is a body that goes on where it was cut.
type wholeBody struct {
	base     http.RoundTripper
	req      *http.Request
	first    *http.Response // whose validators count
	last     *http.Response // which is being read
	resp     *http.Response // what the caller has, for its trailer
	attempts int            // in a row without progress
	onEvent  func(Event)
	ranges   bool // the server offers them

	good  int64 // delivered
	sum   *sum  // of that
	tail  tail
	cut   error // the first error of this cut; nil while all is well
	tries int   // since the last byte
	over  error // the end, io.EOF or another

	closing sync.Once
	closed  chan struct{}
	mu      sync.Mutex // guards body, which Close may meet in any state
	body    io.ReadCloser
}

// Read reads on, whatever it takes.
func (b *wholeBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for b.over == nil {
		n, err := b.tail.read(b.current(), p)
		if n > 0 {
			b.delivered(p[:n])
			return n, nil
		}
		b.settle(err)
	}
	return 0, b.over
}

// WriteTo writes the rest to w, in pieces that are large enough to make up for
// most of the hash's time.
func (b *wholeBody) WriteTo(w io.Writer) (written int64, err error) {
	for b.over == nil {
		ready, err := b.tail.ready(b.current())
		if len(ready) == 0 {
			b.settle(err)
			continue
		}
		n, err := w.Write(ready)
		if n < 0 || n > len(ready) || n < len(ready) && err == nil {
			n, err = max(0, min(n, len(ready))), cmp.Or(err, io.ErrShortWrite)
		}
		b.delivered(ready[:n])
		b.tail.from += n
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	if b.over != io.EOF {
		err = b.over
	}
	return written, err
}

// delivered notes what the caller has got.
func (b *wholeBody) delivered(p []byte) {
	b.sum.Write(p)
	b.good += int64(len(p))
	b.cut, b.tries = nil, 0
}

// settle does what is to be done when there is nothing more to deliver.
func (b *wholeBody) settle(err error) {
	switch {
	case err == nil: // nothing yet
	case err == io.EOF && !b.short():
		b.end()
	default:
		b.goOn(err)
	}
}

// short reports whether the body has ended before its Content-Length.
func (b *wholeBody) short() bool { return b.first.ContentLength > b.good }

func (b *wholeBody) current() io.Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body
}

// end notes the end of the body, and its trailer.
func (b *wholeBody) end() {
	b.over, b.resp.Trailer = io.EOF, b.last.Trailer
}

// goOn finds a body to read on from, or ends it all.
func (b *wholeBody) goOn(err error) {
	b.tail.forget()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if b.cut == nil {
		b.cut = err
	}
	for {
		if cause := b.stopped(); cause != nil {
			b.over = cause
			return
		}
		if b.tries++; b.tries > b.attempts {
			b.fail(false, err)
			return
		}
		if b.tries > 1 && !b.sleep() {
			continue
		}
		var changed *changedError
		if err = b.again(); err == nil {
			b.tellResumed()
			return
		} else if errors.As(err, &changed) {
			b.fail(true, err)
			return
		} else if hopeless(err) {
			b.fail(false, err)
			return
		}
	}
}

// fail ends the body in a BodyError.
func (b *wholeBody) fail(changed bool, last error) {
	e := &BodyError{Good: b.good, Changed: changed, Err: classify.RedactError(b.cut), Last: classify.RedactError(last)}
	if last == b.cut {
		e.Last = nil
	}
	b.over = e
}

// stopped returns why nothing more is to be tried; nil if something is.
func (b *wholeBody) stopped() error {
	select {
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	default:
	}
	if ctx := b.req.Context(); ctx.Err() != nil {
		return pace.Cause(ctx)
	}
	return nil
}

// sleep waits before another attempt when the last one brought nothing.
func (b *wholeBody) sleep() bool {
	d := min(500*time.Millisecond<<min(b.tries-2, 10), 30*time.Second)
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.closed:
	case <-b.req.Context().Done():
	}
	return false
}

// hopeless reports whether asking again would end in err again.
func hopeless(err error) bool {
	var status *classify.Error
	if errors.As(err, &status) {
		return classify.Settled(status.Status) && status.Status != http.StatusOK
	}
	return false
}

// again asks for the body once more and brings it to where the caller is.
func (b *wholeBody) again() error {
	b.swap(http.NoBody)
	req := b.request()
	resp, err := b.base.RoundTrip(req)
	if err != nil {
		return err
	}
	if resp.Request == nil {
		resp.Request = req
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	b.swap(resp.Body) // Close reaches it from now on
	if err = b.join(resp); err != nil {
		b.swap(http.NoBody)
		return err
	}
	b.last = resp
	return nil
}

// swap closes the body and puts another in its place, closed too if the caller
// has closed the whole.
func (b *wholeBody) swap(body io.ReadCloser) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.body.Close()
	b.body = body
	select {
	case <-b.closed:
		b.body.Close()
	default:
	}
}

// request returns the request without what would change its answer, for the
// rest only where that can be trusted.
func (b *wholeBody) request() *http.Request {
	r := *b.req
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
	}
	return &r
}

// join checks that resp is the same body, and brings it to where the caller is.
func (b *wholeBody) join(resp *http.Response) error {
	asked := resp.Request.Header.Get("Range") != ""
	switch {
	case resp.StatusCode == http.StatusOK:
		if err := b.same(resp); err != nil {
			return err
		}
		return b.skip(resp.Body)
	case asked && resp.StatusCode == http.StatusPartialContent:
		err := b.part(resp)
		if err != nil {
			b.ranges = false // not to be trusted with parts
		}
		return err
	case asked && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		b.ranges = false
		return fmt.Errorf("sodahttp: the server has no bytes from %d on", b.good)
	}
	if err := classify.Check(resp); err != nil {
		return err
	}
	return fmt.Errorf("sodahttp: asked again, the server answered %d", resp.StatusCode)
}

// changedError says that the data is not what it was.
type changedError struct{ what, was, is string }

func (e *changedError) Error() string {
	return fmt.Sprintf("%s was %q and is %q", e.what, e.was, e.is)
}

// same holds a second answer to the validators of the first.
func (b *wholeBody) same(resp *http.Response) error {
	for _, name := range []string{"Etag", "X-Soda2-Truth-Last-Modified", "Last-Modified", "Content-Encoding"} {
		was, is := b.first.Header.Get(name), resp.Header.Get(name)
		if was != "" && was != is {
			return &changedError{name, was, is}
		}
	}
	if was, is := b.first.ContentLength, resp.ContentLength; was >= 0 && is >= 0 && was != is {
		return &changedError{"Content-Length", fmt.Sprint(was), fmt.Sprint(is)}
	}
	return nil
}

// part checks a 206: it must be the rest of the same body, and nothing else.
func (b *wholeBody) part(resp *http.Response) error {
	if was, is := b.first.Header.Get("Etag"), resp.Header.Get("Etag"); was != is {
		return &changedError{"Etag", was, is}
	}
	start, end, total, err := contentRange(resp.Header.Values("Content-Range"))
	switch {
	case err != nil:
		return err
	case start != b.good, end != total-1,
		b.first.ContentLength >= 0 && total != b.first.ContentLength,
		resp.ContentLength >= 0 && resp.ContentLength != end-start+1:
		return fmt.Errorf("sodahttp: asked for the bytes from %d on, the server sent %q", b.good, resp.Header.Get("Content-Range"))
	}
	return nil
}

// skip passes over what was delivered, if it is what was delivered.
func (b *wholeBody) skip(body io.Reader) error {
	again := newSum(b.sum.seed)
	if _, err := io.CopyN(again, body, b.good); err != nil {
		if err == io.EOF {
			return &changedError{"the length", fmt.Sprintf("%d bytes or more", b.good), "less"}
		}
		return err
	}
	if again.value() != b.sum.value() {
		return &changedError{"the data", "one", "another"}
	}
	return nil
}

// Close ends a Read that is under way.
func (b *wholeBody) Close() (err error) {
	b.closing.Do(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		close(b.closed)
		err = b.body.Close()
	})
	return err
}
