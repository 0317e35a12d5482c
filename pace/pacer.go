package pace

import (
	"context"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

// A Pacer decides when requests are sent. It learns the limits of each quota
// from the answers and shares them among all who send on that quota. The zero
// value is ready to use. A Pacer is safe for concurrent use and may serve
// several transports, which then share what it learned.
//
// Its fields must not change after first use.
type Pacer struct {
	// MaxKeys is how many quotas are remembered. Beyond it idle ones are
	// forgotten, first those of which nothing was learned; one with requests
	// waiting or in flight never is. One that only ever answered takes a
	// quarter of a KiB, one that was throttled about two, and one more for each
	// two datasets of it, 256 at most. If 0, 16384.
	MaxKeys int

	// MaxPause bounds how long one Retry-After holds a quota; that of a 503
	// holds it for a minute at most. If 0, an hour.
	MaxPause time.Duration

	// Off lets everything through at once, and nothing is learned. If false,
	// it learns.
	Off bool

	// OnEvent is told of every change of mode, pause and learned rate, by the
	// caller who met it or who comes next, so perhaps by several at once. It
	// holds up that one only, and a panic is that one's. If nil, nobody is
	// told.
	OnEvent func(Event)

	table
}

// A Ticket stands for one send that Wait allowed. It is a small value; every
// ticket must be given back once, to Done or to Abandon.
type Ticket struct {
	line *line
	seq  uint64        // the send's number within its quota
	at   time.Duration // when it was sent, on the line's clock
	n    int32         // in flight with it
	pace float32       // the rate it was sent at; 0 if none was learned
	cap  *dataset      // whose concurrency it counts towards; nil if not counted
}

// Delayed returns t for a send that was held back elsewhere, until now, after
// it was allowed: that time is not the server's.
func (t Ticket) Delayed() Ticket {
	if t.line != nil {
		t.at = t.line.now()
	}
	return t
}

// Held reports whether t would have to wait if it came now, for the end of a
// pause or because nothing goes through. Whoever was held back elsewhere should
// abandon it then, and wait again.
func (t Ticket) Held() bool {
	l := t.line
	if l == nil || l.word.Load()&gate == 0 {
		return false
	}
	l.lock()
	defer l.mu.Unlock()
	isProbe := t.seq > l.cutSeq // one may have followed it meanwhile
	return l.now() < l.resume || l.state == &l.closed && !isProbe || t.cap != nil && t.cap.held
}

// Sent returns when the send was allowed; the zero time if it never was.
func (t Ticket) Sent() time.Time {
	if t.line == nil {
		return time.Time{}
	}
	return t.line.dateNow(t.at)
}

// Wait returns when the quota of k allows one more send, in the order of
// calls, retries first. It returns the cause if ctx ends before, and at once if
// ctx's deadline is before the send's turn: then the error is a [*TooLate],
// which is a [context.DeadlineExceeded]. While there is no need to wait, it
// does not look at ctx.
func (p *Pacer) Wait(ctx context.Context, k Key, retry bool) (Ticket, error) {
	for !p.Off {
		l, t := p.line(k.quota), Ticket{}
		if l.try(&t) {
			return t, nil
		}
		t, err := l.wait(ctx, k.dataset, retry)
		if err != errRetired {
			return t, err
		}
	}
	return Ticket{}, nil
}

// Try is WaitFor without the waiting: it reports whether req may be sent now,
// as far as can be told without the lock of its quota.
func (p *Pacer) Try(req *http.Request) (t Ticket, ok bool) {
	ok = p.Off || p.lineOf(req).try(&t)
	return t, ok
}

// WaitFor is Wait for req, whose key it makes only if it has to.
func (p *Pacer) WaitFor(ctx context.Context, req *http.Request, retry bool) (Ticket, error) {
	if t, ok := p.Try(req); ok {
		return t, nil
	}
	return p.Wait(ctx, KeyOf(req), retry)
}

// Done takes the outcome of the send that t stands for. If the server asked
// to be left alone for a while, asked is true and retryAfter says how long.
func (p *Pacer) Done(t Ticket, o classify.Outcome, retryAfter time.Duration, asked bool) {
	l := t.line
	if l == nil {
		return
	}
	what, a := meaningOf(o), answer{status: o.Status, retryAfter: retryAfter, asked: asked}
	if what != accepted || t.cap != nil {
		l.doneInFlight(t, what, a)
		return
	}
	if shut := l.leave(); shut {
		l.done(t, what, a)
		return
	}
	if allow := l.allow.Load(); 2*uint32(t.n) >= allow && allow < flying {
		l.allow.Add(1)
	}
}

// Abandon gives back a ticket whose send came to nothing that says anything
// about the server: it was cancelled, or never made.
func (p *Pacer) Abandon(t Ticket) {
	switch l := t.line; {
	case l == nil:
	case t.cap != nil:
		l.doneInFlight(t, unknown, answer{})
	case l.leave():
		l.done(t, unknown, answer{})
	}
}

// Meaning is what an outcome says about the limits of the server.
type meaning uint8

const (
	unknown  meaning = iota // nothing
	accepted                // the limiter let it through, whatever became of it
	rejected                // too much
	down                    // nobody is there
)

// An answer is what the server said about a rejected or failed send.
type answer struct {
	status     int
	retryAfter time.Duration
	asked      bool // whether retryAfter was asked for
}

func meaningOf(o classify.Outcome) meaning {
	switch o.Class {
	case classify.Throttled:
		return rejected
	case classify.Transient:
		if o.Status == 502 || o.Status == 0 && o.Acted == classify.ActedNo {
			return down
		}
	case classify.Final:
		if o.Status == 0 {
			return unknown // cancelled, or never sent
		}
	}
	return accepted
}
