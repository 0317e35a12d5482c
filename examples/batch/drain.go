package main

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// A drain knows which questions are with the portal, so that the others can be
// given up at once when the run is to stop: those that back off, or wait for
// their turn. It is the lowest RoundTripper, the one that sends.
type drain struct {
	base http.RoundTripper

	mu      sync.Mutex
	stopped bool
	open    map[*question]bool // and whether it is with the portal
}

// A question is one call of ask, with all the requests that it takes.
type question struct{ giveUp context.CancelCauseFunc }

type questionKey struct{}

// begin notes a question, until end is called. Its requests have ctx.
func (d *drain) begin(ctx context.Context) (_ context.Context, end func()) {
	ctx, giveUp := context.WithCancelCause(ctx)
	q := &question{giveUp}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		giveUp(errInterrupted)
	}
	if d.open == nil {
		d.open = map[*question]bool{}
	}
	d.open[q] = false
	return context.WithValue(ctx, questionKey{}, q), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, q)
		giveUp(nil)
	}
}

// stop tells say how many questions are with the portal, and then gives up all
// others, those to come too.
func (d *drain) stop(say func(n int)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	n := 0
	for _, with := range d.open {
		if with {
			n++
		}
	}
	say(n) // before the run can end of it
	for q, with := range d.open {
		if !with {
			q.giveUp(errInterrupted)
		}
	}
}

// sent notes that q goes to the portal, unless it was given up.
func (d *drain) sent(q *question) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		q.giveUp(errInterrupted)
		return false
	}
	d.open[q] = true
	return true
}

// back notes that q is no longer with the portal. What is not its answer would
// be waited for again.
func (d *drain) back(q *question, answered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[q] = false
	if d.stopped && !answered {
		q.giveUp(errInterrupted)
	}
}

// RoundTrip sends a request of a question.
func (d *drain) RoundTrip(req *http.Request) (*http.Response, error) {
	q := req.Context().Value(questionKey{}).(*question)
	if !d.sent(q) {
		return nil, errInterrupted // none has a body to close
	}
	resp, err := d.base.RoundTrip(req)
	if err != nil {
		d.back(q, false)
		return nil, err
	}
	resp.Body = &drainBody{ReadCloser: resp.Body, drain: d, question: q, good: resp.StatusCode == http.StatusOK}
	return resp, nil
}

// CloseIdleConnections closes those of the base.
func (d *drain) CloseIdleConnections() {
	if c, ok := d.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// A drainBody is with the portal until it is closed.
type drainBody struct {
	io.ReadCloser
	drain    *drain
	question *question
	good     bool // it is what was asked for
	whole    bool
}

func (b *drainBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.whole = b.whole || err == io.EOF
	return n, err
}

func (b *drainBody) Close() error {
	err := b.ReadCloser.Close()
	b.drain.back(b.question, b.good && b.whole)
	return err
}
