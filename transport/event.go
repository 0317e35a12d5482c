package transport

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
)

// An EventKind says what an [Event] is about.
type EventKind uint8

const (
	AttemptDone EventKind = iota // an attempt is over: Attempt, and Next, which follows it
	WaitCut                      // the context ended during the wait that followed Attempt
	BodyResumed                  // Resume goes on reading a body that was cut: Good, and why in Attempt.Err
	PaceChanged                  // what the Pacer knows of a quota has changed: Pace
)

// String returns the name of k, such as "attempt done".
func (k EventKind) String() string {
	return [...]string{"attempt done", "wait cut", "body resumed", "pace changed", "unknown"}[min(k, 4)]
}

// An Event is what OnEvent is told. Its Attempt method has the rest: which
// request it was, what came of it, and what was waited. An Event is good for the
// time of that call; what Attempt returns may be kept.
type Event struct {
	Context context.Context // of the request; nil for a PaceChanged
	Kind    EventKind
	From    *Transport    // which tells; nil if it is another, such as Resume
	Call    uint64        // the request, counted by its Transport from 1; 0 if it is none of a Transport's
	Next    policy.Action // what follows an AttemptDone; the attempt tells after what wait
	Good    int64         // how many bytes of the body were delivered before the cut of a BodyResumed
	Pace    pace.Event    // zero unless PaceChanged

	attempt *Attempt // nil if it is still to be made, of first
	first   settled
}

// settled is what an Attempt is made of that was the first and the last. That
// is left to who asks for it, as most do not: they want to hear of troubles.
type settled struct {
	sent   *http.Request
	resp   *http.Response
	start  time.Time
	queued time.Duration
	took   time.Duration
}

// Attempt returns the attempt that the event is about; for a PaceChanged, the
// zero Attempt.
func (e Event) Attempt() Attempt {
	switch {
	case e.attempt != nil:
		return *e.attempt
	case e.first.sent == nil:
		return Attempt{}
	}
	f := &e.first
	unread := *f.resp // the header says all: the body is the caller's
	unread.Body = http.NoBody
	a := newAttempt(f.sent, f.resp, classify.Of(f.sent, &unread, nil))
	a.N, a.Start, a.Queued, a.Took = 1, f.start, f.queued, f.took
	return a
}

// N returns the N of the event's attempt without making the rest of it, and so
// do Status, Queued and Took: most who listen want to know no more of a success.
func (e Event) N() int {
	switch {
	case e.attempt != nil:
		return e.attempt.N
	case e.first.sent != nil:
		return 1
	}
	return 0
}

// Status returns the Status of the event's attempt.
func (e Event) Status() int {
	switch {
	case e.attempt != nil:
		return e.attempt.Status
	case e.first.resp != nil:
		return e.first.resp.StatusCode
	}
	return 0
}

// Queued returns the Queued of the event's attempt.
func (e Event) Queued() time.Duration {
	if e.attempt != nil {
		return e.attempt.Queued
	}
	return e.first.queued
}

// Took returns the Took of the event's attempt.
func (e Event) Took() time.Duration {
	if e.attempt != nil {
		return e.attempt.Took
	}
	return e.first.took
}

// String describes the event in one line.
func (e Event) String() string {
	switch {
	case e.Kind == PaceChanged:
		return e.Pace.String()
	case e.Kind == BodyResumed:
		return fmt.Sprintf("resumed after %d bytes: %v", e.Good, e.Attempt())
	case e.Call == 0:
		return e.Attempt().String()
	}
	return fmt.Sprintf("call %d: %v", e.Call, e.Attempt())
}

// settled tells the Pacer, and whoever listens, of a first attempt that was the
// last.
func (t *Transport) settled(req, sent *http.Request, resp *http.Response, pass *admission) {
	if t.OnEvent == nil && (t.Pacer == nil || t.Pacer.OnEvent == nil) {
		t.pacer().Done(pass.ticket, classify.Outcome{Status: resp.StatusCode}, 0, false)
		return
	}
	told := false
	defer func() {
		if !told { // a hook has panicked
			resp.Body.Close()
		}
	}()
	t.pacer().Done(pass.ticket, classify.Outcome{Status: resp.StatusCode}, 0, false)
	if t.OnEvent != nil {
		start := pass.start()
		t.OnEvent(Event{
			Context: req.Context(),
			From:    t,
			Call:    t.calls.Add(1),
			first:   settled{sent, resp, start, pass.queued, time.Since(start)},
		})
	}
	told = true
}

// tell reports the last attempt.
func (c *call) tell(kind EventKind, next policy.Action) {
	if c.t.OnEvent != nil {
		last := c.history[len(c.history)-1]
		c.t.OnEvent(Event{Context: c.req.Context(), Kind: kind, From: c.t, Call: c.number, Next: next, attempt: &last})
	}
}

// tellResumed reports that the body goes on.
func (b *wholeBody) tellResumed() {
	if b.onEvent == nil {
		return
	}
	a := newAttempt(b.req, b.last, classify.Outcome{Status: b.last.StatusCode, Acted: classify.ActedYes})
	a.Err = redacted(b.cut, b.req)
	b.onEvent(Event{Context: b.req.Context(), Kind: BodyResumed, Good: b.good, attempt: &a})
}
