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
// Around it too, [Resume] sees to whole downloads and [Spool] to uploads of what
// can be read only once. With all of them the order is StatusErrors, Resume,
// Spool, Transport, AppToken, from the outside in.
//
// The deadline of a request's context covers all its attempts and waits, and so
// does http.Client.Timeout, which net/http makes such a deadline.
package transport

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
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
// attempts. An error of the request's own body comes back as well, whatever it
// looks like, and nothing is sent again. Redirects are left to the http.Client,
// but a hop to another origin loses X-App-Token.
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
	// be known; the wait ends with the policy's MaxElapsed, and then the answer
	// before comes back, unless it was longer than 64 KiB. If nil, there is no
	// limit.
	Limiter interface{ Wait(context.Context) error }

	// Pacer learns the limits of each quota from the answers and holds every
	// request to them; see package pace for where it is weak. Transports that
	// share one share what it learns. With &pace.Pacer{Off: true} each request
	// backs off by itself. If nil, the Transport has one of its own, which
	// tells OnEvent what it learns. One that is given tells its own OnEvent
	// only; to have that in the same log:
	//
	//	log := transport.LogTo(handler)
	//	pacer.OnEvent = func(e pace.Event) { log(transport.Event{Kind: transport.PaceChanged, Pace: e}) }
	Pacer *pace.Pacer

	// OnEvent is told of each attempt, of a wait that the context cut, and of
	// what the Transport's own Pacer learns, from the goroutine of a RoundTrip,
	// which waits for it. Nobody else does, and a panic is that request's
	// alone. LogTo makes one that logs. If nil, nobody is told.
	OnEvent func(Event)

	queue pace.Queue                 // for the Limiter
	own   atomic.Pointer[pace.Pacer] // if Pacer is nil
	calls atomic.Uint64              // that were told of
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
	back := false
	defer func() {
		if !back { // Base or a hook has panicked
			keep.abandon()
		}
	}()
	resp, err := t.roundTrip(req, first, keep, timeout)
	back = true
	return resp, err
}

// roundTrip sends first, which is what Base gets of req.
func (t *Transport) roundTrip(req, first *http.Request, keep *kept, timeout time.Duration) (*http.Response, error) {
	var pass admission
	var resp *http.Response
	err := t.admitFirst(first, &pass)
	if err == nil {
		if t.Pacer != nil && t.Pacer.Off {
			pass.sent = time.Now() // its tickets do not say
		}
		resp, err = t.send(first, timeout, &pass)
		if err == nil && classify.Settled(resp.StatusCode) {
			keep.release()
			t.settled(req, first, resp, &pass)
			return resp, nil
		}
	}
	c := newCall(t, req, first, keep)
	c.pass, c.resp, c.err = pass, resp, err
	return c.run()
}

// An admission is what the Pacer and the Limiter said to an attempt.
type admission struct {
	ticket  pace.Ticket
	refused bool          // it was never sent
	queued  time.Duration // how long it was held back
	sent    time.Time     // zero if it was not, or when the ticket says
}

// start returns when the attempt was sent; the zero time if it was not.
func (a *admission) start() time.Time {
	if a.refused || !a.sent.IsZero() {
		return a.sent
	}
	return a.ticket.Sent()
}

// done tells the Pacer what came of the attempt.
func (a *admission) done(t *Transport, o classify.Outcome, retryAfter time.Duration) {
	if !a.refused {
		t.pacer().Done(a.ticket, o, retryAfter, retryAfter > 0)
	}
}

// admitFirst admits a first attempt, mostly at once.
func (t *Transport) admitFirst(req *http.Request, pass *admission) error {
	if t.Limiter == nil {
		var now bool
		if pass.ticket, now = t.pacer().Try(req); now {
			return nil
		}
	}
	return t.admit(req, false, pass, t.policyOf(req).Start(req, time.Now()))
}

// pacer returns the Pacer that paces t's requests.
func (t *Transport) pacer() *pace.Pacer {
	if t.Pacer != nil {
		return t.Pacer
	}
	if p := t.own.Load(); p != nil {
		return p
	}
	p := new(pace.Pacer)
	if t.OnEvent != nil {
		p.OnEvent = func(e pace.Event) { t.OnEvent(Event{Kind: PaceChanged, From: t, Pace: e}) }
	}
	t.own.CompareAndSwap(nil, p)
	return t.own.Load()
}

// policyOf returns the policy that req goes by.
func (t *Transport) policyOf(req *http.Request) policy.Policy {
	if p, ok := policy.FromContext(req.Context()); ok {
		return p
	}
	return t.Policy
}

// admit waits until req may be sent: as long as run lets it, except that the
// user's own Limiter may hold a first attempt as long as it likes. If req may
// not be sent, its body is closed.
func (t *Transport) admit(req *http.Request, again bool, pass *admission, run *policy.Run) (err error) {
	*pass = admission{refused: true}
	defer func() {
		if pass.refused { // or a hook or the Limiter has panicked
			closeBody(req)
			t.pacer().Abandon(pass.ticket)
		}
	}()
	now := time.Now()
	for retry := again; ; retry = true {
		if err = t.pass(req, again, retry, pass, run); err != nil || t.Limiter == nil || !pass.ticket.Held() {
			break
		}
		held := pass.ticket // the Pacer has learned meanwhile that it must not go
		pass.ticket = pace.Ticket{}
		t.pacer().Abandon(held)
		if !again {
			run = t.policyOf(req).Start(req, time.Now()) // what the Limiter took is none of its time
		}
	}
	if queued := time.Since(now); queued >= leastQueued {
		pass.queued = queued
	}
	if err != nil {
		return &limitError{err}
	}
	pass.refused = false
	return nil
}

// pass waits for the Pacer, and then for the Limiter.
func (t *Transport) pass(req *http.Request, again, retry bool, pass *admission, run *policy.Run) (err error) {
	ctx := req.Context()
	deadline, _ := ctx.Deadline()
	within := ctx
	if left, bound := run.Left(time.Now(), deadline); bound != "" {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeoutCause(ctx, left, errors.New("the wait would outlast "+bound))
		defer cancel()
	}
	if pass.ticket, err = t.pacer().WaitFor(within, req, retry); err != nil || t.Limiter == nil {
		return err
	}
	if again {
		ctx = within
	}
	err = t.queue.Wait(ctx, t.Limiter)
	pass.ticket = pass.ticket.Delayed()
	return err
}

// leastQueued is the least time that counts as having been held back: less is
// what asking takes.
const leastQueued = time.Millisecond

// send makes one attempt. The ticket is given back only if Base panics: what
// came of the attempt is told later.
func (t *Transport) send(req *http.Request, timeout time.Duration, pass *admission) (resp *http.Response, err error) {
	back := false
	defer func() {
		if !back {
			t.pacer().Abandon(pass.ticket)
		}
	}()
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
