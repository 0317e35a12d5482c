package transport

import (
	"cmp"
	"context"
	"fmt"
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
// 200, and some proxies end a body that was cut as if it were whole. Resume
// holds back the last 2 KiB of JSON and CSV, and takes for a failed read:
//
//   - JSON that begins with [ or { and does not end in ] or }, or that ends
//     inside of an array or object. Not seen is a cut right behind such a bracket
//     if it closes more than 2 KiB or is part of a text.
//   - A CSV that ends in an error object of at most 2 KiB. On one line and behind
//     a comma it is taken for a cell without quotes, which Socrata never writes.
//     Not seen is a CSV that is ended in its middle: its format has no end.
//
// In other formats, and in a body that the caller asked to have compressed, it
// looks for nothing. Where the server sends a length, that is held to in all.
//
// It belongs around a [Transport], which makes each request reliable. Once that
// has given up on asking again, by its policy or because its turn would come
// too late, so has Resume. Around any other Base, a request that fails counts as
// one attempt, and the next comes after 500 ms, doubling up to 30 s. Either way
// no request is sent before a Retry-After is over, and one that is longer than 5
// minutes, or does not fit the deadline, ends it.
//
// Other methods, other statuses, requests with a Range of their own and those
// with a body but no GetBody pass as they are. Memory is constant. A Resume is
// safe for concurrent use.
type Resume struct {
	// Base sends the requests. If nil, http.DefaultTransport is used, as it
	// was when the program began.
	Base http.RoundTripper

	// MaxAttempts is how often the body may be asked for again before enough
	// more of it has come: 64 KiB, or a 16th of what had come if the server has
	// no ranges, where each time costs it all of that. 0 means 5.
	MaxAttempts int

	// OnEvent is told when a body that was cut goes on, by whoever reads it.
	// If nil, nobody is told.
	OnEvent func(Event)
}

// RoundTrip sends req.
func (r *Resume) RoundTrip(req *http.Request) (*http.Response, error) {
	base := orDefault(r.Base)
	resp, err := sound(base.RoundTrip(req))
	if err != nil || req == nil || !isWholeGet(req) || resp.StatusCode != http.StatusOK || resp.Body == http.NoBody {
		return resp, err
	}
	b := &wholeBody{
		base:     base,
		req:      req,
		first:    resp,
		last:     resp,
		body:     &lasting{ReadCloser: resp.Body},
		attempts: r.MaxAttempts,
		onEvent:  r.OnEvent,
		total:    length(resp),
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

// isWholeGet reports whether req asks for all, and can be sent again.
func isWholeGet(req *http.Request) bool {
	return (req.Method == "" || req.Method == http.MethodGet) && len(req.Header["Range"]) == 0 &&
		(req.Body == nil || req.Body == http.NoBody || req.GetBody != nil)
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
	total int64 // of the whole, if the server has said so; else -1
	sum   *sum  // of that which was delivered
	tail  tail
	cut   error       // the first error of this cut; nil while all is well
	tries int         // since enough has come
	mark  int64       // how much was delivered before these
	plan  *policy.Run // of the waits between these
	asked time.Time   // when it was last asked for again; zero if it never was
	over  error       // the end, io.EOF or another

	closing sync.Once
	closed  chan struct{}
	mu      sync.Mutex // guards what follows, which Close may meet in any state
	body    io.ReadCloser
	ctx     context.Context // of the requests for more; nil before the first
	cancel  context.CancelFunc
}

// Read reads on, whatever it takes.
func (b *wholeBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for b.going() {
		n, err := b.tail.read(b.current(), p)
		if b.tooLong(n) {
			continue
		}
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
	for b.going() {
		ready, err := b.tail.ready(b.current())
		if len(ready) == 0 {
			b.settle(err)
			continue
		}
		if b.tooLong(len(ready)) {
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

// going reports whether there may be more. Once there is not, the requests for
// it are over too.
func (b *wholeBody) going() bool {
	if b.isClosed() {
		b.over = http.ErrBodyReadAfterClose
	}
	if b.over != nil && b.cancel != nil {
		b.cancel()
	}
	return b.over == nil
}

func (b *wholeBody) isClosed() bool {
	select {
	case <-b.closed:
		return true
	default:
		return false
	}
}

// delivered notes what the caller has got.
func (b *wholeBody) delivered(p []byte) {
	b.sum.Write(p)
	b.good += int64(len(p))
	b.cut = nil
	if b.tries > 0 && b.good-b.mark >= b.enough() {
		b.tries = 0
	}
}

// enough is how much more has to come for the attempts to be counted anew. A
// byte is not: a server that is cut after each would be asked as often as there
// are bytes. Without ranges, all that has come is sent each time; that the steps
// grow with it keeps the cost of a download to a multiple of its size.
func (b *wholeBody) enough() int64 {
	const least = 64 << 10
	if b.ranges {
		return least
	}
	return max(least, b.mark/16)
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

// short reports whether the body has ended before its length.
func (b *wholeBody) short() bool { return b.total > b.good }

// tooLong ends a body that another answer has made longer than its length: that
// is not the body which was cut. It reports whether n more bytes do so. A first
// answer is left to Base, which may have decoded it.
func (b *wholeBody) tooLong(n int) bool {
	if b.last == b.first || b.total < 0 || b.good+int64(n) <= b.total {
		return false
	}
	b.cut = &changedError{fmt.Sprintf("its length was %d bytes and is more", b.total)}
	b.over = newBodyError(b.good, b.tries, b.cut, b.cut)
	return true
}

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
	if b.tries == 0 {
		b.mark, b.plan = b.good, newPlan(b.req)
	}
	var wait time.Duration // none before it is asked for again for the first time
	if !b.asked.IsZero() {
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
	if b.isClosed() {
		return http.ErrBodyReadAfterClose
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
		if b.cancel != nil {
			b.cancel()
		}
		err = b.body.Close()
	})
	return err
}
