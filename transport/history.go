package transport

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

// attempt describes the outcome in hand.
func (c *call) attempt(o classify.Outcome, now time.Time) Attempt {
	c.n++
	a := newAttempt(c.sent, c.resp, o)
	a.N, a.Err, a.Start, a.Queued = c.n, redacted(c.err, c.sent), c.pass.start(), c.pass.queued
	if !c.pass.refused {
		a.Took = now.Sub(a.Start)
		a.Conn, a.BodySent = c.wire.seen()
	}
	if c.resp != nil && o.Class != classify.Final {
		a.RetryAfter, _ = classify.RetryAfter(c.resp.Header, now)
	}
	return a
}

// notSent says why the request was not let through, and when it would be.
func (c *call) notSent() (why string, retryAt time.Time) {
	var late *pace.TooLate
	ctx := c.req.Context()
	deadline, _ := ctx.Deadline()
	_, bound := c.plan.Left(time.Now(), deadline)
	switch {
	case errors.As(c.err, &late) && bound != "":
		return "its turn would outlast " + bound, late.Turn
	case ctx.Err() != nil:
		return "the context ended before its turn", time.Time{}
	}
	return "it was not let through", time.Time{}
}

// maxHistory bounds what a job that goes on for hours remembers.
const maxHistory = 100

// record adds a to the history.
func (c *call) record(a Attempt) {
	if c.pass.refused {
		a.Why, a.RetryAt = c.notSent()
	}
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
// that was redirected, it is the last hop's. Of a body that [Resume] went on
// with, it is that of the first answer: the attempts after a cut are told to
// OnEvent only. Of more than 100 attempts it has the first and the last 99.
func History(resp *http.Response) []Attempt {
	if resp == nil || resp.Request == nil {
		return nil
	}
	h, _ := resp.Request.Context().Value(historyKey{}).([]Attempt)
	return h
}
