// Package policy says what to do after an attempt that did not settle a
// request: hand its answer back, send the request again, or ask for the result
// of work in progress, and after what wait.
//
// A [Policy] is one plain value; its zero value is the default, and it is safe
// for concurrent use as long as nobody writes to it. What happens to one
// request is kept in a [Run], which the transport begins only after a first
// attempt has failed.
package policy

import (
	"context"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// A Policy bounds and paces the attempts at a request. The zero value is what
// most programs want; [Batch] and [Interactive] are for those that can wait
// long or not at all.
type Policy struct {
	// MaxAttempts is the most attempts at a request in all, the first one
	// included. Polls are not counted. 1 never sends again; a negative value
	// sets no limit. 0 means 5.
	MaxAttempts int

	// MaxAttempts500 is the most attempts that may end in a status of 500,
	// which Socrata also answers to queries that will never succeed. A
	// negative value leaves it to MaxAttempts. 0 means 3.
	MaxAttempts500 int

	// MaxAttempts408 is the most attempts that may end in a status of 408: a
	// query that took too long mostly does so again. A negative value leaves
	// it to MaxAttempts. 0 means 2.
	MaxAttempts408 int

	// MaxElapsed is the longest time from the first failure to the start of
	// the last attempt. A negative value sets no limit. 0 means 2 minutes.
	MaxElapsed time.Duration

	// MaxRetryAfter is the longest wait that a server may ask for. If it asks
	// for more, its answer is handed back at once: a wait is never cut short.
	// A negative value sets no limit. 0 means 5 minutes.
	MaxRetryAfter time.Duration

	// AttemptTimeout bounds each attempt, polls included, up to the headers of
	// the response. It begins anew with each piece of the request's body, and
	// stands still while the next one is read from its source: a slow source is
	// the caller's own matter, and what is timed is the server, which takes the
	// body and answers. A piece counts as sent once the system has it, which
	// buffers some megabytes: a server that takes those slowly has to do so
	// within this time. Socrata's own limit for a query is 10 minutes. 0 or less
	// means none: then nothing but the context ends an attempt that is never
	// answered.
	AttemptTimeout time.Duration

	// BackOff makes the back-off of one request, so that no two share its
	// state; it is called from many goroutines. It is called, and what it
	// made is Reset, after a request's first failure, and again when polling
	// has gone well in between; backoff.Stop ends the attempts. If it is nil
	// or gives nil, the waits begin at 500 ms and double up to 30 s, each
	// drawn from half to one and a half times that.
	BackOff func() backoff.BackOff

	// Poll is how to ask for the result of a 202. Its zero value polls.
	Poll Polling

	// Hold waits out a host that is down: attempts that find no server, or a
	// 502 or 503, do not count towards MaxAttempts, unless that is 1; only the
	// time does. The default is false.
	Hold bool

	// Resend declares more requests safe to send again after the server may
	// have acted on them, such as upserts into a dataset with a row
	// identifier. It is asked after a failure, and must not read the body. If
	// nil, classify.Idempotent alone decides.
	Resend func(*http.Request) bool

	// LastWord is given each decision about an outcome that is not Final, and
	// returns the one that stands. It can wait longer, stop, or go on where
	// the policy would not; a wait that it makes shorter than the server asked
	// for, and a second write, are its own responsibility. Only the context's
	// deadline outranks it: a wait that would outlast that is not begun. If
	// nil, the decision stands.
	LastWord func(Attempt, Decision) Decision
}

// Polling is how to ask for the result of a 202, with GET, where the server
// said or at the same URL. A poll that fails for the moment, say with a 503, is
// repeated after the policy's back-off; it counts towards the MaxElapsed of
// Polling, and not towards MaxAttempts.
type Polling struct {
	// Interval is the first wait; each further one is half as long again. A
	// Retry-After is a floor. 0 or less means 1 second.
	Interval time.Duration

	// MaxInterval is the longest wait, but for a Retry-After. 0 or less means
	// 10 seconds, or Interval if that is longer.
	MaxInterval time.Duration

	// MaxElapsed is the longest time from the first 202 to the last poll. A
	// negative value sets no limit. 0 means 13 minutes.
	MaxElapsed time.Duration

	// Off hands every 202 back. The default is false.
	Off bool

	// Resend repeats a request that is not a read, body and all, when its 202
	// names no place to ask. It is for servers that take the repetition for
	// the question, as Socrata's publication of a view does; elsewhere it does
	// the work twice. The default is false.
	Resend bool
}

// Batch returns the policy of a job that nobody waits for: no limit on attempts
// but those that end in a 408, an hour from the first failure, Hold, and 15
// minutes for the headers of an answer, which is more than Socrata gives a
// query. An outage of almost an hour is waited out, and for the same hour so is
// a 500 that never heals, as the two cannot be told apart: set MaxAttempts500
// where that is too long.
func Batch() Policy {
	return Policy{
		MaxAttempts:    -1,
		MaxAttempts500: -1,
		MaxElapsed:     time.Hour,
		MaxRetryAfter:  time.Hour,
		AttemptTimeout: 15 * time.Minute,
		Poll:           Polling{MaxElapsed: time.Hour},
		Hold:           true,
	}
}

// Interactive returns the policy of a request that a person waits for: 3
// attempts, 10 seconds from the first failure, and 10 seconds for the headers
// of an answer.
func Interactive() Policy {
	return Policy{
		MaxAttempts:    3,
		MaxElapsed:     10 * time.Second,
		AttemptTimeout: 10 * time.Second,
		Poll:           Polling{MaxElapsed: 10 * time.Second},
	}
}

type contextKey struct{}

// NewContext returns a context whose requests follow p instead of the
// transport's own policy.
func NewContext(ctx context.Context, p Policy) context.Context {
	return context.WithValue(ctx, contextKey{}, &p)
}

// FromContext returns the policy of [NewContext], and whether there is one.
func FromContext(ctx context.Context) (Policy, bool) {
	if p, ok := ctx.Value(contextKey{}).(*Policy); ok {
		return *p, true
	}
	return Policy{}, false
}

// or returns v, or def if v is zero; a negative v is no limit.
func or[N ~int | ~int64](v, def N) (limit N, limited bool) {
	if v == 0 {
		return def, true
	}
	return v, v > 0
}

const (
	defaultMaxAttempts    = 5
	defaultMaxAttempts500 = 3
	defaultMaxAttempts408 = 2
	defaultMaxElapsed     = 2 * time.Minute
	defaultMaxRetryAfter  = 5 * time.Minute

	defaultInterval    = time.Second
	defaultMaxInterval = 10 * time.Second // the official clients poll every 1, 4, 10 or 60 s
	defaultPollElapsed = 13 * time.Minute // as long as soda-java waits
)

// newBackOff returns the back-off for one request.
func (p *Policy) newBackOff() backoff.BackOff {
	if p.BackOff != nil {
		if b := p.BackOff(); b != nil {
			b.Reset() // as backoff.Retry does: a literal is not ready before
			return b
		}
	}
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(500*time.Millisecond),
		backoff.WithMultiplier(2),
		backoff.WithMaxInterval(30*time.Second),
		backoff.WithRandomizationFactor(0.5),
		backoff.WithMaxElapsedTime(0), // the Run keeps the time
	)
}
