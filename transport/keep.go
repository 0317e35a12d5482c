package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// maxKeep is how much of a body without GetBody is remembered for another
// attempt, while the first one sends it.
const maxKeep = 1 << 20

var errTooLarge = errors.New("it has no GetBody and is larger than 1 MiB")

// keepBody returns req, or if its body can be neither had again nor is too
// large to be kept, a copy whose body is kept while it is sent. Of a body that
// is not kept and can fail, it is seen how it does.
func keepBody(req *http.Request) (*http.Request, *kept) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	if req.GetBody != nil || req.ContentLength > maxKeep {
		if tells(req.Body) {
			return req, nil
		}
		r := *req
		new(wire).watchBody(&r)
		return &r, nil
	}
	k := newKept(req.Body, maxKeep, errTooLarge, func() (store, error) { return new(memory), nil })
	r := *req
	r.Body, _ = k.again()
	return &r, k
}

// A store has what was written to it.
type store interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// memory is a store that nothing can go wrong with.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return copy(p, m.b[off:]), nil }

func (m *memory) Close() error { return nil }

// kept is a body that is read once and can be sent several times. Each attempt
// has a reader of its own, which goes through what is stored and then reads on.
// That keeps attempts apart, even though net/http may still be reading the body
// of one that was answered early. What cannot be stored is for the current
// reader: the newest, or once that is closed, the next that reads on.
type kept struct {
	reading chan struct{} // holds one while src is read; a channel, as that can take long
	src     io.ReadCloser
	max     int64
	tooMuch error // what to say of more than max
	open    func() (store, error)

	mu      sync.Mutex
	store   store // nil before the first byte, and when it is given up
	size    int64 // of what is stored
	lost    error // why there will be no other attempt; nil if there may
	err     error // of src, io.EOF at its end
	current *keptReader
	done    bool // the last attempt has been made
	closed  bool // src has been closed
}

// newKept keeps up to limit bytes of src in what open returns.
func newKept(src io.ReadCloser, limit int64, tooMuch error, open func() (store, error)) *kept {
	return &kept{src: src, max: limit, tooMuch: tooMuch, open: open, reading: make(chan struct{}, 1)}
}

// again returns the body from its start.
func (k *kept) again() (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost != nil {
		return nil, k.lost
	}
	k.current = &keptReader{k: k}
	return k.current, nil
}

var errOver = errors.New("the request is over")

// fault returns why the body ended before its end, if it did.
func (k *kept) fault() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == io.EOF {
		return nil
	}
	return k.err
}

// release says that there will be no other attempt: what is stored is given up,
// and src is closed, if the last attempt is through with them, or else when it is.
func (k *kept) release() {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.done = true
	if k.lost == nil {
		k.lost = errOver
	}
	select {
	case k.reading <- struct{}{}: // nobody is about to add to what is stored
		k.tidy()
		<-k.reading
	default:
	}
	k.mu.Unlock()
	k.close()
}

// abandon is release after a panic: the last attempt may not close its body.
func (k *kept) abandon() {
	if k == nil {
		return
	}
	k.release()
	k.mu.Lock()
	current := k.current
	k.mu.Unlock()
	current.Close()
}

// tidy gives up what nobody will read again. The caller holds mu.
func (k *kept) tidy() {
	if k.lost != nil && k.store != nil && (k.current.closed || k.current.off >= k.size) {
		k.store.Close()
		k.store = nil
	}
}

// close closes src once, when nobody needs it any more.
func (k *kept) close() {
	k.mu.Lock()
	now := k.done && k.current.closed && !k.closed
	k.closed = k.closed || now
	if now {
		k.tidy()
	}
	k.mu.Unlock()
	if now {
		k.src.Close()
	}
}

// remember stores p, which has come from src. If that fails, there will be no
// other attempt, and this one goes on. The caller holds mu.
func (k *kept) remember(p []byte, err error) {
	if len(p) == 0 {
		return
	}
	if k.store == nil && err == nil {
		k.store, err = k.open()
	}
	if err == nil {
		_, err = k.store.Write(p)
	}
	if err != nil {
		k.lost = err
		return
	}
	k.size += int64(len(p))
}

// keptReader is one attempt's body.
type keptReader struct {
	k      *kept
	off    int64 // in what is stored
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
	if !r.may() {
		return 0, errSuperseded
	}
	n, err := r.k.src.Read(p)
	return r.read(p[:n], err)
}

// remembered reads what is stored; it gives nothing where src has to be read.
func (r *keptReader) remembered(p []byte) (int, error) {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case r.closed:
		return 0, http.ErrBodyReadAfterClose
	case k.lost != nil && k.current != r:
		return 0, errSuperseded
	case k.store != nil && r.off < k.size:
		n, err := k.store.ReadAt(p[:min(int64(len(p)), k.size-r.off)], r.off)
		switch r.off += int64(n); {
		case n > 0:
			err = nil
		case err == io.EOF: // the file has been cut
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	return 0, k.err
}

// may reports whether this one may read on in src: if another is the current
// one, all has to be stored for that.
func (r *keptReader) may() bool {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != r && k.current.closed && k.lost == nil {
		k.current = r
	}
	return k.current == r || k.size < k.max
}

// read stores what src gave, which is at this reader's place.
func (r *keptReader) read(p []byte, err error) (int, error) {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
	defer k.failed(err)
	if k.current != r { // it is for the current one too, if for anyone
		if k.closed {
			return 0, errSuperseded
		}
		if k.remember(p, nil); k.lost == nil {
			r.off = k.size
			return len(p), err
		}
		if k.lost != errOver {
			k.err = fmt.Errorf("sodahttp: the body cannot be read on: %w", k.lost)
		}
		return 0, errSuperseded
	}
	if k.lost == nil {
		var full error
		if k.size+int64(len(p)) > k.max {
			full = k.tooMuch
		}
		k.remember(p, full)
	}
	r.off = k.size
	k.tidy()
	return len(p), err
}

// failed notes that no attempt can succeed any more if src has ended so. The
// caller holds mu.
func (k *kept) failed(err error) {
	if err != nil && err != io.EOF && k.lost == nil {
		k.lost = err
	}
}

func (r *keptReader) Close() error {
	r.k.mu.Lock()
	r.closed = true
	r.k.mu.Unlock()
	r.k.close()
	return nil
}
