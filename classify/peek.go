package classify

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	peekSize = 64 << 10        // bodies echo the whole query twice: several KiB, never this much
	peekTime = 2 * time.Second // headers and a short error body leave the server together
)

// peek returns the start of resp's body and puts it back: what was read, and
// what is still to come, is read from resp.Body as before.
func peek(resp *http.Response) []byte {
	if resp.Body == nil || resp.Body == http.NoBody {
		return nil
	}
	if p, ok := resp.Body.(*peeked); ok {
		return p.start
	}
	p := &peeked{rest: resp.Body, read: make(chan struct{})}
	resp.Body = p
	go p.fill()
	timer := time.NewTimer(peekTime)
	defer timer.Stop()
	select {
	case <-p.read:
		p.panic()
	case <-timer.C:
	}
	p.start = p.stop()
	return p.start
}

// peeked is a body whose start has been read ahead by another goroutine. If
// that one is still in Read when peek's time is over, it ends after that Read,
// and the caller's first Read waits for it, as it would have for the Read
// itself.
type peeked struct {
	rest  io.ReadCloser
	start []byte        // what peek saw; not written again
	read  chan struct{} // closed when fill is done

	panicked any // what Read has panicked with, once fill is done

	mu   sync.Mutex
	buf  []byte // read ahead, not yet delivered once fill is done
	over bool   // peek has given up: read no further
	err  error  // of the read ahead

	closed atomic.Bool
}

func (p *peeked) fill() {
	defer close(p.read)
	defer func() { p.panicked = recover() }()
	chunk := make([]byte, 4<<10)
	for empty := 0; empty < 100; empty++ { // a reader that gives nothing is left to the caller
		n, err := p.rest.Read(chunk[:min(len(chunk), peekSize-len(p.buf))])
		p.mu.Lock()
		p.buf = append(p.buf, chunk[:n]...)
		p.err = err
		done := err != nil || p.over || len(p.buf) >= peekSize
		p.mu.Unlock()
		if done {
			return
		}
		if n > 0 {
			empty = 0
		}
	}
}

// panic goes on with a panic of Read in the goroutine of who asked for it,
// where it can be recovered from.
func (p *peeked) panic() {
	if p.panicked != nil {
		panic(p.panicked)
	}
}

// stop ends the reading ahead and returns what has come so far.
func (p *peeked) stop() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	return p.buf[:len(p.buf):len(p.buf)]
}

// Read gives what was read ahead first. Like any body it is for one goroutine.
func (p *peeked) Read(b []byte) (int, error) {
	<-p.read // after this, fill touches nothing any more
	p.panic()
	if p.closed.Load() {
		return p.rest.Read(b) // which says what reading a closed body comes to
	}
	if len(p.buf) > 0 {
		n := copy(b, p.buf)
		p.buf = p.buf[n:]
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.rest.Read(b)
}

// Whole reports whether the body was read to its end, which frees its
// connection, however much of it is still to be delivered.
func (p *peeked) Whole() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil
}

// Close ends a Read that is under way, as closing a response body does.
func (p *peeked) Close() error {
	p.closed.Store(true)
	return p.rest.Close()
}
