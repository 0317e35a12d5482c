package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
)

// A call is a request on the slow path: from the outcome of its first attempt
// on. The loop is go-retryablehttp's, which takes the call for its Base; it
// sees stand-ins, never the responses themselves, and so cannot drain, follow
// or lose them.
type call struct {
	t      *Transport
	req    *http.Request // the caller's, read only
	out    *http.Request // what is sent of it
	keep   *kept         // the body, where it has to be remembered
	policy policy.Policy
	plan   *policy.Run

	number uint64 // for who listens

	pass admission // the last attempt's
	sent *http.Request
	wire *wire // nil if it was the first
	resp *http.Response
	err  error

	next    *http.Request  // the attempt to come
	polling bool           // a 202 has come, and its result is being asked for
	ask     *http.Request  // how; nil to repeat the request itself
	pending *http.Response // the last 202
	last    *http.Response // the answer before, until the next attempt is let through

	n       int       // attempts and polls so far
	decided time.Time // when the next wait began
	turn    time.Time // when the Pacer would have let it go, if that is too late
	history []Attempt
	over    bool // decided: resp or err goes back
}

func newCall(t *Transport, req, out *http.Request, keep *kept) *call {
	p := t.policyOf(req)
	var number uint64
	if t.OnEvent != nil {
		number = t.calls.Add(1)
	}
	return &call{number: number, t: t, req: req, out: out, sent: out, keep: keep, policy: p, plan: p.Start(out, time.Now())}
}

// run takes the outcome in hand and goes on until one can be handed back.
func (c *call) run() (*http.Response, error) {
	defer c.keep.release()
	settled := false
	defer func() {
		if !settled { // a hook has panicked
			c.abandon()
		}
	}()
	loop := &retryablehttp.Client{
		HTTPClient: &http.Client{Transport: c},
		RetryMax:   math.MaxInt, // the policy counts
		CheckRetry: c.checkRetry,
		Backoff:    c.backoff,
	}
	standIn := (&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "stand-in"}, Header: http.Header{}}).
		WithContext(c.req.Context())
	_, err := loop.Do(&retryablehttp.Request{Request: standIn})
	if !c.over { // the context ended during a wait
		if c.next != nil {
			closeBody(c.next)
		}
		c.resp, c.err, c.next = nil, err, nil
		c.stopped("the context ended during the wait")
		c.tell(WaitCut, policy.Stop)
	}
	settled = true
	return c.result()
}

// abandon closes whatever is open.
func (c *call) abandon() {
	c.dropPending()
	if c.resp != nil {
		c.resp.Body.Close()
	}
	if c.next != nil {
		closeBody(c.next)
	}
}

// RoundTrip is the loop's Base: the first time there is an outcome in hand
// already, later it sends what was prepared. The loop gets a stand-in, which
// has nothing to drain, to follow or to fail with.
func (c *call) RoundTrip(*http.Request) (*http.Response, error) {
	if c.next != nil {
		c.again()
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
}

// again makes the attempt that was prepared.
func (c *call) again() {
	c.sent, c.next = c.next, nil
	if c.err = c.t.admit(c.sent, true, &c.pass, c.plan); c.err == nil {
		c.last = nil
		c.sent, c.wire = watch(c.sent)
		c.pass.sent = time.Now()
		c.resp, c.err = c.t.send(c.sent, c.policy.AttemptTimeout, &c.pass)
	}
}

// checkRetry decides what follows the outcome in hand, and gets it ready: if a
// body cannot be had for another attempt, this one's answer is still whole.
func (c *call) checkRetry(context.Context, *http.Response, error) (bool, error) {
	now := time.Now()
	o := c.outcome()
	a := c.attempt(o, now)
	c.pass.done(c.t, o, a.RetryAfter)
	deadline, _ := c.req.Context().Deadline()
	d := c.plan.Next(o, a.RetryAfter, now, deadline)
	if d.Action != policy.Stop {
		if why := c.cannot(d, o, now, deadline); why != "" {
			d = policy.Decision{Why: why, RetryAt: now.Add(d.Wait)}
			if d.RetryAt.Before(c.turn) {
				d.RetryAt = c.turn
			}
		}
	}
	c.decided = now
	a.Wait, a.By, a.Why, a.RetryAt = d.Wait, d.By, d.Why, d.RetryAt
	c.record(a)
	c.tell(AttemptDone, d.Action)
	if d.Action == policy.Stop {
		c.over = true
		return false, nil
	}
	c.putAway()
	return true, nil
}

// backoff returns the wait that was decided.
func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	return c.history[len(c.history)-1].Wait
}

// outcome classifies the attempt. A request that was never sent is final: the
// limiter has had its say.
func (c *call) outcome() classify.Outcome {
	if c.pass.refused {
		return classify.Outcome{Acted: classify.ActedNo}
	}
	if c.resp != nil && c.resp.Request == nil {
		c.resp.Request = c.sent
	}
	if c.err != nil && bodyFault(c.sent) != nil {
		return classify.Outcome{} // it is the caller's own, and will be the same again
	}
	judged := false
	defer func() {
		if !judged { // reading the response has panicked
			c.t.pacer().Abandon(c.pass.ticket)
		}
	}()
	o := classify.Of(c.sent, c.resp, c.err)
	judged = true
	if c.moved() || c.bare(o) && c.policy.Poll.Resend {
		o.Class = classify.Pending
	}
	return o
}

// cannot gets ready what was decided, or says why it cannot be done.
func (c *call) cannot(d policy.Decision, o classify.Outcome, now, deadline time.Time) (why string) {
	key, pacer := pace.KeyOf(c.sent), c.t.pacer()
	left, bound := c.plan.Left(now, deadline)
	if turn := pacer.Turn(key); turn > left {
		c.turn = now.Add(turn)
		return fmt.Sprintf("its turn, in %v, would outlast %s", turn.Round(time.Millisecond), bound)
	}
	if d.Action == policy.Retry && o.Class == classify.Transient && !c.policy.Hold && !pacer.Retry(key) {
		return "the Pacer's retry budget is spent"
	}
	return c.prepare(d.Action)
}

// prepare gets the next attempt ready, or says why there can be none.
func (c *call) prepare(a policy.Action) (why string) {
	if a == policy.Poll {
		if why := c.aim(); why != "" {
			return why
		}
		if c.ask != nil {
			c.next = c.ask
			return ""
		}
	}
	body, err := c.body()
	if err != nil {
		return "the body cannot be sent again: " + errorText(err)
	}
	next := *c.out
	next.Body, next.GetBody = body, c.req.GetBody
	c.next = &next
	return ""
}

// body returns a body for another attempt.
func (c *call) body() (io.ReadCloser, error) {
	switch {
	case c.req.Body == nil || c.req.Body == http.NoBody:
		return c.req.Body, nil
	case c.req.GetBody != nil:
		body, err := c.req.GetBody()
		if err == nil && body == nil {
			err = errors.New("GetBody gave none")
		}
		return body, err
	case c.keep != nil:
		return c.keep.again()
	}
	return nil, errTooLarge
}

// putAway frees the connection of the response in hand. A 202 is kept, being
// what goes back if its result cannot be had; classify has read it to its end,
// and so its connection is free. Of others a copy is kept, if they are small,
// in case the Pacer or the Limiter lets no other attempt through.
func (c *call) putAway() {
	switch {
	case c.resp == nil:
	case c.resp.StatusCode == http.StatusAccepted:
		c.dropPending()
		c.pending = c.resp
		if w, ok := c.resp.Body.(interface{ Whole() bool }); ok && !w.Whole() {
			c.dropPending() // a page that no 202 is, and that holds its connection
		}
	default:
		if b := drain(c.resp.Body); b != nil {
			c.last = c.resp
			c.last.Body = io.NopCloser(bytes.NewReader(b))
		}
	}
	c.resp = nil
}

func (c *call) dropPending() {
	if c.pending != nil {
		c.pending.Body.Close()
		c.pending = nil
	}
}

// stopped notes why an attempt that was to be followed by another was the last.
func (c *call) stopped(why string) {
	last := &c.history[len(c.history)-1]
	last.Why, last.Wait = why, time.Since(c.decided)
}

// result is what goes back to the caller.
func (c *call) result() (*http.Response, error) {
	if c.pending != nil && c.unanswered() {
		if c.resp != nil {
			drain(c.resp.Body)
		}
		c.resp, c.err, c.pending = c.pending, nil, nil
	}
	c.dropPending()
	if c.resp == nil && c.pass.refused && c.last != nil && c.req.Context().Err() == nil {
		c.resp, c.err = c.last, nil
	}
	last := c.history[len(c.history)-1]
	if c.resp != nil {
		c.absolute()
		if len(c.history) > 1 || last.Why != "" {
			c.resp.Request = withHistory(c.resp.Request, c.history)
		}
		return c.resp, nil
	}
	if len(c.history) == 1 && last.Class == classify.Final && !c.pass.refused {
		return nil, redacted(c.err, c.sent) // nothing was done about it, so nothing is said about it
	}
	if ctx := c.req.Context(); ctx.Err() != nil {
		c.err = pace.Cause(ctx)
	}
	return nil, &Error{Err: redacted(c.err, c.sent), History: c.history}
}
