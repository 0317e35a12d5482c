package contract

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A base is the RoundTripper underneath the one under test. It answers by
// script and keeps account of what it was sent and what became of its answers.
type base struct {
	script []reply             // the nth attempt gets the nth; the last one repeats
	begin  func(*http.Request) // if not nil, called as an attempt arrives
	unread bool                // answers without reading the request's body

	mu       sync.Mutex
	attempts []attempt
	bodies   []*body // of the responses
	idle     int     // calls of CloseIdleConnections
}

// A reply is what base answers: an error, or a response.
type reply struct {
	err    error
	status int
	header http.Header
	body   string
	stream func(context.Context) io.Reader // instead of body
}

// An attempt is one request as it reached base.
type attempt struct {
	came, left time.Time
	req        *http.Request
	body       string
}

// errReset is what a read from a dead connection returns.
var errReset error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

var (
	ok          = reply{status: 200, body: "rows"}
	unavailable = reply{status: 503, body: "come back later"}
	reset       = reply{err: errReset}
)

// A course is what base does to the attempts of a request.
type course struct {
	name   string
	script []reply
}

// courses are those that most obligations about a request have to hold on.
var courses = []course{
	{"200", []reply{ok}},
	{"404", []reply{{status: 404, body: "no such dataset"}}},
	{"503, then 200", []reply{unavailable, ok}},
	{"503 for ever", []reply{unavailable}},
	{"an error, then 200", []reply{reset, ok}},
	{"an error for ever", []reply{reset}},
	{"503, then an error for ever", []reply{unavailable, reset}},
}

func (b *base) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.begin != nil {
		b.begin(req)
	}
	a := attempt{came: time.Now(), req: req}
	err := context.Cause(req.Context())
	if req.Body != nil {
		if err == nil && !b.unread {
			var content []byte
			content, err = io.ReadAll(req.Body)
			a.body = string(content)
		}
		req.Body.Close()
	}
	a.left = time.Now()

	b.mu.Lock()
	b.attempts = append(b.attempts, a)
	n := len(b.attempts)
	b.mu.Unlock()
	if n > tooMany {
		time.Sleep(time.Hour) // so that a loop without waits comes to an end too, in virtual time
	}
	r := b.script[min(n, len(b.script))-1]
	if err = cmp.Or(err, r.err); err != nil {
		return nil, err
	}
	return b.respond(req, r), nil
}

// tooMany attempts are more than any policy makes of one request.
const tooMany = 10000

// respond makes a response of r.
func (b *base) respond(req *http.Request, r reply) *http.Response {
	resp := &http.Response{
		Status:        http.StatusText(r.status),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{},
		ContentLength: int64(len(r.body)),
		Request:       req,
	}
	maps.Copy(resp.Header, r.header)
	content := &body{Reader: strings.NewReader(r.body)}
	if r.stream != nil {
		resp.ContentLength = -1
		content.Reader = r.stream(req.Context())
	}
	resp.Body = content
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies = append(b.bodies, content)
	return resp
}

func (b *base) CloseIdleConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idle++
}

// sent returns the attempts made so far.
func (b *base) sent() []attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts
}

// A body counts what is read of it and how often it is closed.
type body struct {
	io.Reader
	read   atomic.Int64
	closed atomic.Int64
}

var errClosed = errors.New("contract: read from a closed body")

func (b *body) Read(p []byte) (int, error) {
	if b.closed.Load() > 0 {
		return 0, errClosed
	}
	n, err := b.Reader.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func (b *body) Close() error {
	b.closed.Add(1)
	if c, ok := b.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// A payload is the content of a request. It remembers every body it gave out:
// the first is the caller's own, the others came from GetBody.
type payload struct {
	content string
	mu      sync.Mutex
	bodies  []*body
}

func (p *payload) open() *body {
	b := &body{Reader: strings.NewReader(p.content)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, b)
	return b
}

func (p *payload) made() []*body {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bodies
}

// request makes a request that carries p, with GetBody if it is replayable.
func (p *payload) request(t *tester, method string, replayable bool) *http.Request {
	req := request(t, method)
	req.Body = p.open()
	req.ContentLength = int64(len(p.content))
	if replayable {
		req.GetBody = func() (io.ReadCloser, error) { return p.open(), nil }
	}
	return req
}

// request makes a request without a body that ends an hour from now.
func request(t *tester, method string) *http.Request {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, "http://contract.test/rows?$limit=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Caller", "contract")
	return req
}

// mount wraps b and sees to it that its idle connections are closed at the end.
func mount(t *tester, wrap wrapper, b http.RoundTripper) http.RoundTripper {
	rt := wrap(b)
	t.Cleanup((&http.Client{Transport: rt}).CloseIdleConnections)
	return rt
}

// roundTripper is a RoundTripper in a few lines.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// send does rt.RoundTrip(req). It fails t if that panics or takes two days.
func send(t *tester, rt http.RoundTripper, req *http.Request) (resp *http.Response, err error) {
	t.Helper()
	within(t, 48*time.Hour, func() { resp, err = rt.RoundTrip(req) })
	return resp, err
}

// within runs f in a goroutine, and fails t if it panics or takes longer than limit.
func within(t *tester, limit time.Duration, f func()) {
	t.Helper()
	done := make(chan any, 1)
	go func() { done <- panicOf(f) }()
	select {
	case p := <-done:
		if p != nil {
			t.Fatalf("panic: %v", p)
		}
	case <-time.After(limit):
		t.Fatalf("no result after %v", limit)
	}
}

// panicOf calls f and returns what it panics with, or nil.
func panicOf(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// want reports an error unless resp is a response of that status with that body.
// It reads and closes the body.
func want(t *tester, resp *http.Response, err error, status int, content string) {
	t.Helper()
	if err != nil || resp == nil {
		t.Errorf("got response %v and error %v, want %d", resp, err, status)
		return
	}
	got, err := finish(resp)
	if resp.StatusCode != status {
		t.Errorf("got status %d, want %d", resp.StatusCode, status)
	}
	if err != nil || got != content {
		t.Errorf("body of the %d is %s (error %v), want %s", resp.StatusCode, brief(got), err, brief(content))
	}
}

// finish reads the body of resp, which may be nil, to its end and closes it.
func finish(resp *http.Response) (string, error) {
	if resp == nil || resp.Body == nil {
		return "", nil
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return string(content), err
}

// block is one turn of filler. No part of it looks like another, and its length
// is prime.
var block = func() []byte {
	b := make([]byte, 65521)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// filler returns size bytes, for bodies too large to hold.
func filler(size int64) io.Reader { return io.LimitReader(new(turning), size) }

// turning reads block again and again.
type turning struct{ at int }

func (r *turning) Read(p []byte) (int, error) {
	n := copy(p, block[r.at:])
	r.at = (r.at + n) % len(block)
	return n, nil
}

// A comparer is written to, and fails at the first byte that is not filler's.
type comparer struct{ at int }

var errDiffers = errors.New("contract: not the bytes that were sent")

func (c *comparer) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, len(block)-c.at)
		if !bytes.Equal(p[done:done+n], block[c.at:c.at+n]) {
			return done, errDiffers
		}
		c.at, done = (c.at+n)%len(block), done+n
	}
	return len(p), nil
}

// brief quotes a short string and measures a long one.
func brief(s string) string {
	if len(s) > 64 {
		return strconv.Quote(s[:16]) + "... (" + strconv.Itoa(len(s)) + " bytes)"
	}
	return strconv.Quote(s)
}
