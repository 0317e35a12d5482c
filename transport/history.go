package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

// attempt describes the outcome in hand.
func (c *call) attempt(o classify.Outcome, now time.Time) Attempt {
	c.n++
	a := newAttempt(c.sent, c.resp, o)
	a.N, a.Err, a.Start, a.Queued = c.n, classify.RedactError(c.err), c.pass.sent, c.pass.queued
	if !c.pass.refused {
		a.Took = now.Sub(c.pass.sent)
		a.Conn, a.BodySent = c.wire.seen()
	}
	if c.resp != nil && o.Class != classify.Final {
		a.RetryAfter, _ = classify.RetryAfter(c.resp.Header, now)
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
