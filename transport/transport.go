// Package transport makes an http.Client reliable against Socrata's Open Data
// API (SODA). [Transport] is an http.RoundTripper that sends a request again
// when that is safe and makes sense, asks for the result of a 202, and hands
// everything else back at once, as it came.
//
//	client := &http.Client{Transport: &transport.Transport{}}
//
// [AppToken] and [StatusErrors] are RoundTrippers to put under and around it:
//
//	client := &http.Client{Transport: &transport.StatusErrors{
//		Base: &transport.Transport{
//			Base: &transport.AppToken{Token: token},
//		},
//	}}
//
// The deadline of a request's context covers all its attempts and waits, and so
// does http.Client.Timeout, which net/http makes such a deadline.
package transport

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
)

// A Transport is an http.RoundTripper that retries, polls and waits by the
// meaning of Socrata's answers. The zero Transport is complete. It is safe for
// concurrent use; its fields must not be changed once it is in use.
//
// It keeps net/http's contract: the request is not modified, its body is closed
// once, and there is either a response or an error. When the attempts are used
// up, the last response comes back with its body unread and no error; without
// a response the error is an [*Error], except that an error which no other
// attempt could change comes back as Base gave it. [History] tells the
// attempts. Redirects are left to the http.Client, but a hop to another origin
// loses X-App-Token.
type Transport struct {
	// Base sends the requests. Its response bodies must allow Close during
	// Read, as net/http's do. If nil, http.DefaultTransport is used, as it was
	// when the program began.
	Base http.RoundTripper

	// Policy bounds and paces the attempts; policy.NewContext overrides it
	// for one request. The zero value makes up to 5 attempts in 2 minutes.
	Policy policy.Policy

	// Limiter is waited on before each attempt and poll, by one request at a
	// time in the order of their coming. A *rate.Limiter of
	// golang.org/x/time/rate fits. How long it will make a retry wait cannot
	// be known, so the answer before has been given up by then; the wait ends
	// with the policy's MaxElapsed. If nil, there is no limit.
	Limiter interface{ Wait(context.Context) error }

	// Pacer learns the limits of each quota from the answers and holds every
	// request to them. Transports that share one share what it learns. If nil,
	// the Transport has one of its own.
	Pacer *pace.Pacer

	// OnEvent is called after each attempt, from the goroutine of its
	// RoundTrip, which waits for it. If nil, nobody is told.
	OnEvent func(Event)

	queue pace.Queue // for the Limiter
	own   pace.Pacer // if there is no Pacer
}

// RoundTrip sends req and returns the answer that settles it. See [Transport].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req == nil {
		return nil, errors.New("sodahttp: the request is nil")
	}
	if req.URL == nil {
		closeBody(req)
		return nil, errors.New("sodahttp: the request has no URL")
	}
	timeout := t.Policy.AttemptTimeout
	if p, ok := policy.FromContext(req.Context()); ok {
		timeout = p.AttemptTimeout
	}
	first, keep := keepBody(withoutSecrets(req))
	var ticket pace.Ticket
	queued, err := t.admit(first.Context(), first, false, &ticket)
	var resp *http.Response
	if err == nil {
		resp, err = t.send(first, timeout, &ticket)
		if err == nil && classify.Settled(resp.StatusCode) {
			t.pacer().Done(ticket, classify.Outcome{Status: resp.StatusCode}, 0, false)
			keep.release()
			if t.OnEvent != nil {
				t.tellSettled(req, first, resp, &ticket, queued)
			}
			return resp, nil
		}
	}
	c := newCall(t, req, first, keep)
	c.ticket, c.queued, c.began, c.resp, c.err = ticket, queued, ticket.Sent(), resp, err
	return c.run()
}

// admit waits until req may be sent, and tells how long that took. If it may
// not be sent before ctx ends, its body is closed.
func (t *Transport) admit(ctx context.Context, req *http.Request, again bool, ticket *pace.Ticket) (queued time.Duration, err error) {
	if t.Limiter != nil {
		came := time.Now()
		err = t.queue.Wait(ctx, t.Limiter)
		queued = time.Since(came)
	}
	if err == nil {
		*ticket, err = t.pacer().WaitFor(ctx, req, again)
		queued += ticket.Waited()
	}
	if err != nil {
		closeBody(req)
		return queued, &limitError{err}
	}
	return queued, nil
}

func (t *Transport) pacer() *pace.Pacer {
	if t.Pacer != nil {
		return t.Pacer
	}
	return &t.own
}

// send makes one attempt. The ticket is given back only if Base panics: what
// came of the attempt is told later.
func (t *Transport) send(req *http.Request, timeout time.Duration, ticket *pace.Ticket) (*http.Response, error) {
	back := false
	defer func() {
		if !back {
			t.pacer().Abandon(*ticket)
		}
	}()
	var resp *http.Response
	var err error
	if timeout > 0 {
		resp, err = sendWithin(t.base(), req, timeout)
	} else {
		resp, err = sound(t.base().RoundTrip(req))
	}
	back = true
	if resp != nil && resp.Request == nil && resp.StatusCode/100 == 3 {
		resp.Request = req // by which the next hop is judged
	}
	return resp, err
}

// sound holds Base to its contract: a response or an error.
func sound(resp *http.Response, err error) (*http.Response, error) {
	switch {
	case err != nil && resp != nil:
		if resp.Body != nil {
			resp.Body.Close()
		}
		return nil, err
	case err == nil && resp == nil:
		return nil, errors.New("sodahttp: Base returned neither a response nor an error")
	case err == nil && resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, err
}

// CloseIdleConnections closes those of Base.
func (t *Transport) CloseIdleConnections() { closeIdle(t.base()) }

func (t *Transport) base() http.RoundTripper { return orDefault(t.Base) }

// defaultBase is http.DefaultTransport as it was at the start: a program that
// puts a Transport in its place must not have it call itself.
var defaultBase = http.DefaultTransport

func orDefault(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		return defaultBase
	}
	return base
}

func closeIdle(base http.RoundTripper) {
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// limitError marks a request that the Limiter or the Pacer did not let through.
type limitError struct{ err error }

func (e *limitError) Error() string { return "sodahttp: not sent: " + e.err.Error() }
func (e *limitError) Unwrap() error { return e.err }
