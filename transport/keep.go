package transport

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxKeep is how much of a body without GetBody is remembered for another
// attempt, while the first one sends it.
const maxKeep = 1 << 20

var errTooLarge = errors.New("it has no GetBody and is larger than 1 MiB")

// keepBody returns req, or if its body can be neither had again nor is too
// large to be kept, a copy whose body is kept while it is sent.
func keepBody(req *http.Request) (*http.Request, *kept) {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil || req.ContentLength > maxKeep {
		return req, nil
	}
	k := &kept{src: req.Body, reading: make(chan struct{}, 1)}
	r := *req
	r.Body, _ = k.again()
	return &r, k
}

// kept is a body that is read once and can be sent several times. Each attempt
// has a reader of its own, which goes through what is remembered and then reads
// on. That keeps attempts apart, even though net/http may still be reading the
// body of one that was answered early.
type kept struct {
	reading chan struct{} // holds one while src is read; a channel, as that can take long
	src     io.ReadCloser

	mu      sync.Mutex
	buf     []byte
	err     error       // of src, io.EOF at its end
	tooMuch bool        // buf has been given up
	current *keptReader // the newest
	done    bool        // there will be no other attempt
	closed  bool        // src has been closed
}

// again returns the body from its start.
func (k *kept) again() (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tooMuch {
		return nil, errTooLarge
	}
	k.current = &keptReader{k: k}
	return k.current, nil
}

// release says that there will be no other attempt: the memory is freed, and
// src is closed if the last attempt is through with it, or else when it is.
func (k *kept) release() {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.done = true
	unread := k.current.off < len(k.buf)
	if !unread {
		k.buf = nil
		k.current.off = 0
	}
	k.mu.Unlock()
	k.close()
}

// close closes src once, when nobody needs it any more.
func (k *kept) close() {
	k.mu.Lock()
	now := k.done && k.current.closed && !k.closed
	k.closed = k.closed || now
	k.mu.Unlock()
	if now {
		k.src.Close()
	}
}

// keptReader is one attempt's body.
type keptReader struct {
	k      *kept
	off    int // in buf
	closed bool
}

var errSuperseded = errors.New("sodahttp: the body of an attempt that is over")

func (r *keptReader) Read(p []byte) (int, error) {
	if n, err := r.remembered(p); n > 0 || err != nil || len(p) == 0 {
		return n, err
	}
	r.k.reading <- struct{}{}
	defer func() { <-r.k.reading }()
	// While this one waited, another may have read on.
	if n, err := r.remembered(p); n > 0 || err != nil {
		return n, err
	}
	n, err := r.k.src.Read(p)
	return r.read(p[:n], err)
}

// remembered reads from memory; it gives nothing where src has to be read.
func (r *keptReader) remembered(p []byte) (int, error) {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case r.closed:
		return 0, http.ErrBodyReadAfterClose
	case k.tooMuch && k.current != r:
		return 0, errSuperseded
	case r.off < len(k.buf):
		n := copy(p, k.buf[r.off:])
		r.off += n
		return n, nil
	}
	return 0, k.err
}

// read remembers what src gave, which is at this reader's place.
func (r *keptReader) read(p []byte, err error) (int, error) {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
	switch {
	case k.tooMuch || k.done && k.current == r: // nobody will ask for it again
	case len(k.buf)+len(p) > maxKeep && k.current == r:
		k.tooMuch, k.buf, r.off = true, nil, 0
	default:
		k.buf = append(k.buf, p...)
		r.off += len(p)
	}
	if k.current != r { // it is remembered for the newest, if for anyone
		return 0, errSuperseded
	}
	return len(p), err
}

func (r *keptReader) Close() error {
	r.k.mu.Lock()
	r.closed = true
	r.k.mu.Unlock()
	r.k.close()
	return nil
}
