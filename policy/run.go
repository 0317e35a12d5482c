package policy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sodahttp/sodahttp/classify"
)

// Action is what comes next.
type Action uint8

const (
	Stop  Action = iota // hand back what there is
	Retry               // send the request again
	Poll                // ask for the result of a 202
)

// String returns "stop", "retry" or "poll".
func (a Action) String() string { return [...]string{"stop", "retry", "poll"}[min(a, Poll)] }

// Source is who set the length of a wait.
type Source string

const (
	ByBackOff Source = "back-off" // the policy's back-off
	ByServer  Source = "server"   // Retry-After or its like
	ByPoll    Source = "poll"     // the interval between polls
)

// An Attempt is what is known when a decision is due.
type Attempt struct {
	classify.Outcome
	N          int           // attempts so far that count; polls do not, nor a dead host under Hold
	Polls      int           // polls so far
	Elapsed    time.Duration // since the first failure
	RetryAfter time.Duration // what the server asked for; 0 if nothing
}

// A Decision is what to do, and why.
type Decision struct {
	Action  Action
	Wait    time.Duration // before doing it
	By      Source        // who set the wait
	Why     string        // for a Stop: why, in a few words; empty if the outcome is final
	RetryAt time.Time     // for a Stop: when another attempt would make sense; zero if unknown
}

// A Run is one request's way through a policy. It is for one goroutine.
type Run struct {
	p       Policy
	req     *http.Request
	began   time.Time // the first failure
	polling time.Time // the first 202; zero if there was none
	backOff backoff.BackOff
	pollGap time.Duration
	n       int // attempts that count
	polls   int
	n500    int
	n408    int
}

// Start begins the run of a request whose first attempt has just failed.
func (p Policy) Start(req *http.Request, now time.Time) *Run {
	return &Run{p: p, req: req, began: now}
}

// Next decides what follows an attempt that came to o at the time now;
// retryAfter is the wait that the server asked for, 0 if it asked for none. A
// wait that would not end before deadline is not begun; the zero time is no
// deadline.
func (r *Run) Next(o classify.Outcome, retryAfter time.Duration, now, deadline time.Time) Decision {
	retryAfter = max(0, retryAfter)
	r.count(o)
	var d Decision
	switch {
	case o.Class == classify.Final:
	case o.Class == classify.Pending:
		d = r.pending(now)
	case !r.polling.IsZero():
		d = r.tryAgain(o, Poll)
	case o.Acted != classify.ActedNo && !r.repeatable():
		d.Why = "it may have been acted on, and sending it again could do its work twice"
	default:
		d = r.tryAgain(o, Retry)
	}
	if d.Action != Stop {
		d = r.fit(d, retryAfter, now, deadline)
	}
	if d.Action == Stop && o.Class != classify.Final && retryAfter > 0 && d.RetryAt.IsZero() {
		d.RetryAt = now.Add(retryAfter)
	}
	if r.p.LastWord != nil && o.Class != classify.Final {
		d = r.lastWord(Attempt{o, r.n, r.polls, elapsed(r.began, now), retryAfter}, d, now, deadline)
	}
	if d.Action == Poll {
		r.polls++
	}
	return d
}

// lastWord lets the policy's LastWord decide, and makes whole what it leaves
// out: a Stop has a reason, and no wait.
func (r *Run) lastWord(a Attempt, d Decision, now, deadline time.Time) Decision {
	d = r.p.LastWord(a, d)
	if d.Action != Stop {
		d.Wait = max(0, d.Wait)
		if deadline.IsZero() || d.Wait < deadline.Sub(now) {
			return d
		}
		return outlasts(d.Wait, byDeadline, now)
	}
	if d.Wait > 0 && d.RetryAt.IsZero() {
		d.RetryAt = now.Add(d.Wait)
	}
	if d.Why == "" {
		d.Why = "LastWord said so"
	}
	d.Wait, d.By = 0, ""
	return d
}

// repeatable reports whether the request does no harm when sent again.
func (r *Run) repeatable() bool {
	return classify.Idempotent(r.req) || r.p.Resend != nil && r.p.Resend(r.req)
}

func (r *Run) count(o classify.Outcome) {
	switch o.Status {
	case http.StatusInternalServerError:
		r.n500++
	case http.StatusRequestTimeout:
		r.n408++
	}
	held := r.p.Hold && r.p.MaxAttempts != 1 && down(o)
	if r.polling.IsZero() && !held {
		r.n++
	}
}

// down reports whether o is what a dead host looks like.
func down(o classify.Outcome) bool {
	return o.Class != classify.Final &&
		(o.Status == 0 || o.Status == http.StatusBadGateway || o.Status == http.StatusServiceUnavailable)
}

// tryAgain says how long to wait before trying again, unless the attempts are
// used up. Those made while polling are bounded by time, as a fault of the way
// is not the failure of the job.
func (r *Run) tryAgain(o classify.Outcome, a Action) Decision {
	if limit, ok := or(r.p.MaxAttempts500, defaultMaxAttempts500); ok && o.Status == 500 && r.n500 >= limit {
		return Decision{Why: fmt.Sprintf("answered 500 for the %s time", nth(r.n500))}
	}
	if limit, ok := or(r.p.MaxAttempts408, defaultMaxAttempts408); ok && o.Status == 408 && r.n408 >= limit {
		return Decision{Why: fmt.Sprintf("answered 408 for the %s time", nth(r.n408))}
	}
	if limit, ok := or(r.p.MaxAttempts, defaultMaxAttempts); ok && a == Retry && r.n >= limit {
		return Decision{Why: fmt.Sprintf("%d of %d attempts made", r.n, limit)}
	}
	if r.backOff == nil {
		r.backOff = r.p.newBackOff()
	}
	wait := r.backOff.NextBackOff()
	if wait < 0 { // backoff.Stop
		return Decision{Why: "the back-off has ended"}
	}
	return Decision{Action: a, Wait: wait, By: ByBackOff}
}

// pending says how long to wait before the next poll.
func (r *Run) pending(now time.Time) Decision {
	if r.p.Poll.Off {
		return Decision{Why: "polling is off"}
	}
	if r.polling.IsZero() {
		r.polling = now
	}
	r.backOff, r.n500, r.n408 = nil, 0, 0 // the server is well
	first, _ := or(max(0, r.p.Poll.Interval), defaultInterval)
	longest, _ := or(max(0, r.p.Poll.MaxInterval), max(first, defaultMaxInterval))
	if r.pollGap == 0 {
		r.pollGap = first
	} else if r.pollGap += r.pollGap/2 + r.pollGap%2; r.pollGap < 0 { // overflown
		r.pollGap = longest
	}
	r.pollGap = min(r.pollGap, longest)
	return Decision{Action: Poll, Wait: r.pollGap, By: ByPoll}
}

// fit makes floor, what the server asked for, the least wait, and stops if the
// wait cannot be waited out.
func (r *Run) fit(d Decision, floor time.Duration, now, deadline time.Time) Decision {
	if limit, ok := or(r.p.MaxRetryAfter, defaultMaxRetryAfter); ok && floor > limit {
		return Decision{
			Why:     fmt.Sprintf("the server asks to wait %v, more than MaxRetryAfter, %v", floor, limit),
			RetryAt: now.Add(floor),
		}
	}
	left, bound := r.Left(now, deadline)
	if floor > 0 && (floor >= d.Wait || d.Wait > left) {
		d.Wait, d.By = floor, ByServer
	}
	if d.Wait > left {
		return outlasts(d.Wait, bound, now)
	}
	if d.By == ByServer {
		d.Wait = spread(floor, left)
	}
	return d
}

const byDeadline = "the context's deadline"

// outlasts is what to do about a wait that cannot be waited out.
func outlasts(wait time.Duration, bound string, now time.Time) Decision {
	return Decision{
		Why:     fmt.Sprintf("the next wait, %v, would outlast %s", wait.Round(time.Millisecond), bound),
		RetryAt: now.Add(wait),
	}
}

// elapsed returns how long it is from since to now, and not less than nothing.
func elapsed(since, now time.Time) time.Duration { return max(0, now.Sub(since)) }

// Left returns how long a wait that begins now may be, and what bounds it, in
// words; if nothing does, bound is empty. At the deadline itself there is no
// time left to send; the zero time is no deadline.
func (r *Run) Left(now, deadline time.Time) (left time.Duration, bound string) {
	since, most, def, name := r.began, r.p.MaxElapsed, defaultMaxElapsed, "MaxElapsed"
	if !r.polling.IsZero() {
		since, most, def, name = r.polling, r.p.Poll.MaxElapsed, defaultPollElapsed, "Poll.MaxElapsed"
	}
	left = math.MaxInt64
	if limit, ok := or(most, def); ok {
		left, bound = limit-elapsed(since, now), fmt.Sprintf("%s, %v", name, limit)
	}
	if until := elapsed(now, deadline) - 1; !deadline.IsZero() && until < left {
		left, bound = until, byDeadline
	}
	return left, bound
}

// spread adds up to a tenth of the floor, at most 5 s and not more than what is
// left, so that callers who were told the same do not come back as one. It
// never takes away: the server's wait is a floor.
func spread(floor, left time.Duration) time.Duration {
	room := min(floor/10, 5*time.Second, left-floor)
	if room <= 0 {
		return floor
	}
	return floor + rand.N(room)
}

// nth returns 3rd for 3.
func nth(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
