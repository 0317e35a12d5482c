package transport

import (
	"cmp"
	"hash/maphash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
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
// It belongs around a [Transport], which makes each request reliable. Once that
// has given up on asking again, by its policy or because its turn would come
// too late, so has Resume. Around any other Base, a request that fails counts as
// one attempt, and the next comes after 500 ms, doubling up to 30 s. Either way
// no request is sent before a Retry-After is over, and one that is longer than 5
// minutes, or does not fit the deadline, ends it.
//
// Other methods, other statuses and requests with a Range of their own pass as
// they are. Memory is constant. A Resume is safe for concurrent use.
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
	cut   error       // the first error of this cut; nil while all is well
	tries int         // since the last byte
	plan  *policy.Run // of these
	asked time.Time   // when the last of these was made
	over  error       // the end, io.EOF or another

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
		b.cut, b.plan = err, newPlan(b.req)
	}
	var wait time.Duration // none before it is asked for the first time
	if b.tries > 0 {
		wait, err = b.passing(err)
	}
	for {
		if cause := b.stopped(); cause != nil {
			b.over = cause
			return
		}
		if wait < 0 || b.tries == b.attempts {
			b.over = newBodyError(b.good, b.tries, b.cut, err)
			return
		}
		if !b.sleep(wait) {
			continue
		}
		b.tries++
		if wait, err = b.again(); err == nil {
			b.tellResumed()
			return
		}
	}
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

// sleep waits before another attempt, and reports whether it may be made.
func (b *wholeBody) sleep(d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.closed:
	case <-b.req.Context().Done():
	}
	return false
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
