package transport

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
)

// An Attempt is one sending of a request or of a poll for its result, and what
// was done about it.
type Attempt struct {
	N         int    // from 1, polls included
	Method    string // of the request sent
	URL       string // of the request sent, as classify.Redact shows it
	Status    int    // 0 if there was no response
	Kind      classify.Kind
	Class     classify.Class
	Acted     classify.Acted
	Code      string // the server's error code, where it was looked at
	RequestID string // X-Socrata-RequestId
	Err       error  `json:"-"` // if there was no response; a *url.Error in it shows its URL

	// Queued is the time that the Limiter and the Pacer held the attempt back.
	Queued time.Duration

	// Took is the time from sending until the headers or the error came.
	Took time.Duration

	RetryAfter time.Duration // what the server asked for; 0 if nothing
	Wait       time.Duration // until the next attempt, or its place in the queue of the Pacer
	By         policy.Source // who set Wait
	Why        string        // why no other attempt followed, unless the outcome is final
	RetryAt    time.Time     // when another would make sense, where that is known
}

// String describes the attempt in one line.
func (a Attempt) String() string {
	var b strings.Builder
	if a.N > 0 {
		fmt.Fprintf(&b, "#%d ", a.N)
	}
	fmt.Fprintf(&b, "%s %s: ", a.Method, a.URL)
	if a.Err != nil {
		b.WriteString(errorText(a.Err))
	} else {
		fmt.Fprintf(&b, "%d %s", a.Status, http.StatusText(a.Status))
	}
	if a.Code != "" {
		fmt.Fprintf(&b, " %q", a.Code)
	}
	fmt.Fprintf(&b, ", %v", a.Class)
	if a.Queued > 0 {
		fmt.Fprintf(&b, ", queued %v", a.Queued.Round(time.Millisecond))
	}
	if a.By != "" {
		fmt.Fprintf(&b, ", next in %v (%s)", a.Wait.Round(time.Millisecond), a.By)
	}
	if a.Why != "" {
		b.WriteString(", gave up: " + a.Why)
	}
	return b.String()
}

// attempt describes the outcome in hand.
func (c *call) attempt(o classify.Outcome, now time.Time) Attempt {
	c.n++
	a := Attempt{
		N:      c.n,
		Method: cmp.Or(c.sent.Method, http.MethodGet),
		URL:    classify.Redact(c.sent.URL),
		Status: o.Status,
		Kind:   o.Kind,
		Class:  o.Class,
		Acted:  o.Acted,
		Code:   o.Code,
		Err:    c.err,
		Queued: c.pass.queued,
	}
	if !c.pass.refused {
		a.Took = now.Sub(c.pass.sent)
	}
	if c.resp != nil {
		a.RequestID = c.resp.Header.Get("X-Socrata-Requestid")
		if o.Class != classify.Final {
			a.RetryAfter, _ = classify.RetryAfter(c.resp.Header, now)
		}
	}
	return a
}

// maxHistory bounds what a job that goes on for hours remembers.
const maxHistory = 100

// record adds a to the history.
func (c *call) record(a Attempt) {
	if len(c.history) == maxHistory {
		c.history = append(c.history[:1], c.history[2:]...)
	}
	c.history = append(c.history, a)
}

type historyKey struct{}

func withHistory(req *http.Request, h []Attempt) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), historyKey{}, h))
}

// History returns the attempts that led to resp, in order. It is nil if the
// first answer was the last and nothing more could have been done. Of a request
// that was redirected, it is the last hop's. Of more than 100 attempts it has
// the first and the last 99.
func History(resp *http.Response) []Attempt {
	if resp == nil || resp.Request == nil {
		return nil
	}
	h, _ := resp.Request.Context().Value(historyKey{}).([]Attempt)
	return h
}

// An Event is what OnEvent is told after an attempt.
type Event struct {
	Context context.Context // of the request
	Attempt Attempt
	Next    policy.Action // what follows; the attempt tells after what wait
}

// tellSettled reports a first attempt that was the last.
func (t *Transport) tellSettled(req, sent *http.Request, resp *http.Response, pass *admission) {
	c := &call{t: t, req: req, sent: sent, resp: resp, pass: *pass}
	defer func() {
		if resp != nil { // the hook has panicked
			resp.Body.Close()
		}
	}()
	unread := *resp // the status says all: the body is the caller's
	unread.Body = http.NoBody
	c.history = []Attempt{c.attempt(classify.Of(sent, &unread, nil), time.Now())}
	c.tell(policy.Stop)
	resp = nil
}

// tell reports the last attempt.
func (c *call) tell(next policy.Action) {
	if c.t.OnEvent != nil {
		c.t.OnEvent(Event{c.req.Context(), c.history[len(c.history)-1], next})
	}
}
