package policy_test

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
)

// The words of the tables below.

var (
	t0   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	none time.Time // no deadline

	get  = request(http.MethodGet)
	post = request(http.MethodPost)

	ok        = classify.Outcome{Status: 200, Acted: classify.ActedYes}
	notFound  = classify.Outcome{Status: 404, Kind: classify.NotFound}
	working   = classify.Outcome{Status: 202, Kind: classify.Accepted, Class: classify.Pending, Acted: classify.ActedYes}
	status408 = classify.Outcome{Status: 408, Class: classify.Transient}
	status429 = classify.Outcome{Status: 429, Class: classify.Throttled, Acted: classify.ActedNo}
	status500 = classify.Outcome{Status: 500, Class: classify.Transient}
	status502 = classify.Outcome{Status: 502, Class: classify.Transient}
	status503 = classify.Outcome{Status: 503, Class: classify.Throttled}
	status504 = classify.Outcome{Status: 504, Class: classify.Transient}
	noDial    = classify.Outcome{Class: classify.Transient, Acted: classify.ActedNo}
	noReply   = classify.Outcome{Class: classify.Transient}
)

const forever = 40 // attempts after which a course is taken to have no end

func request(method string) *http.Request {
	req, err := http.NewRequest(method, "https://data.example.gov/resource/abcd-1234.json", nil)
	if err != nil {
		panic(err)
	}
	return req
}

// waits makes back-offs that give one wait after the other, and the last again.
func waits(d ...time.Duration) func() backoff.BackOff {
	return func() backoff.BackOff { return &list{left: d} }
}

type list struct{ left []time.Duration }

func (l *list) Reset() {}
func (l *list) NextBackOff() time.Duration {
	d := l.left[0]
	if len(l.left) > 1 {
		l.left = l.left[1:]
	}
	return d
}

// course runs req through the outcomes, and the last again and again, each at
// the end of its wait, until the policy stops.
func course(p policy.Policy, req *http.Request, outcomes ...classify.Outcome) (ds []policy.Decision) {
	run, now := p.Start(req, t0), t0
	for len(ds) < forever {
		d := run.Next(outcomes[min(len(ds), len(outcomes)-1)], 0, now, none)
		ds = append(ds, d)
		if d.Action == policy.Stop {
			break
		}
		now = now.Add(d.Wait)
	}
	return ds
}

func last(ds []policy.Decision) policy.Decision { return ds[len(ds)-1] }

func TestAttempts(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name     string
		policy   policy.Policy
		req      *http.Request
		outcomes []classify.Outcome
		attempts int
		why      string
	}{
		{"five by default", policy.Policy{}, get, []classify.Outcome{status503}, 5, "5 of 5 attempts made"},
		{"one is never sent again", policy.Policy{MaxAttempts: 1}, get, []classify.Outcome{status503}, 1, "1 of 1 attempts made"},
		{"one is never sent again under Hold", policy.Policy{MaxAttempts: 1, Hold: true}, get, []classify.Outcome{noDial}, 1, "1 of 1 attempts made"},
		{"two is one more", policy.Policy{MaxAttempts: 2}, get, []classify.Outcome{status504}, 2, "2 of 2 attempts made"},
		{"a negative number is no limit", policy.Policy{MaxAttempts: -1, MaxElapsed: -1}, get, []classify.Outcome{status504}, forever, ""},
		{"the least number is no limit", policy.Policy{MaxAttempts: math.MinInt, MaxElapsed: -1}, get, []classify.Outcome{status504}, forever, ""},
		{"the greatest number is a limit that is not met", policy.Policy{MaxAttempts: math.MaxInt, MaxElapsed: -1}, get, []classify.Outcome{status504}, forever, ""},
		{"a dead host counts without Hold", policy.Policy{}, get, []classify.Outcome{noDial}, 5, "5 of 5 attempts made"},

		{"three end in a 500 by default", policy.Policy{}, get, []classify.Outcome{status500}, 3, "answered 500 for the 3rd time"},
		{"one ends in a 500", policy.Policy{MaxAttempts500: 1}, get, []classify.Outcome{status500}, 1, "answered 500 for the 1st time"},
		{"a negative number leaves the 500s to MaxAttempts", policy.Policy{MaxAttempts500: -1}, get, []classify.Outcome{status500}, 5, "5 of 5 attempts made"},
		{"MaxAttempts bounds the 500s", policy.Policy{MaxAttempts: 2}, get, []classify.Outcome{status500}, 2, "2 of 2 attempts made"},
		{"the 500s are limited without MaxAttempts", policy.Policy{MaxAttempts: -1, MaxAttempts500: 22, MaxElapsed: -1}, get, []classify.Outcome{status500}, 22, "answered 500 for the 22nd time"},
		{"500s with others between are counted", policy.Policy{}, get, []classify.Outcome{status500, status503, status500, status503, status500}, 5, "answered 500 for the 3rd time"},
		{"a 504 is not a 500", policy.Policy{MaxAttempts500: 1}, get, []classify.Outcome{status504}, 5, "5 of 5 attempts made"},

		{"two end in a 408 by default", policy.Policy{}, get, []classify.Outcome{status408}, 2, "answered 408 for the 2nd time"},
		{"one ends in a 408", policy.Policy{MaxAttempts408: 1}, get, []classify.Outcome{status408}, 1, "answered 408 for the 1st time"},
		{"four end in a 408", policy.Policy{MaxAttempts408: 4}, get, []classify.Outcome{status408}, 4, "answered 408 for the 4th time"},
		{"eleven end in a 408", policy.Policy{MaxAttempts: -1, MaxAttempts408: 11, MaxElapsed: -1}, get, []classify.Outcome{status408}, 11, "answered 408 for the 11th time"},
		{"a negative number leaves the 408s to MaxAttempts", policy.Policy{MaxAttempts408: -1}, get, []classify.Outcome{status408}, 5, "5 of 5 attempts made"},
		{"a 408 is not a 500", policy.Policy{MaxAttempts500: 1, MaxAttempts408: 3}, get, []classify.Outcome{status408}, 3, "answered 408 for the 3rd time"},

		{"a final outcome ends it", policy.Policy{}, get, []classify.Outcome{notFound}, 1, ""},
		{"a success ends it", policy.Policy{}, get, []classify.Outcome{status503, ok}, 2, ""},
		{"the back-off ends it", policy.Policy{BackOff: waits(second, backoff.Stop)}, get, []classify.Outcome{status503}, 2, "the back-off has ended"},
		{"a negative wait ends it", policy.Policy{BackOff: waits(second, second, math.MinInt64)}, get, []classify.Outcome{status503}, 3, "the back-off has ended"},

		{"a write is not sent twice", policy.Policy{}, post, []classify.Outcome{status503}, 1, "it may have been acted on, and sending it again could do its work twice"},
		{"a write without a reply is not sent twice", policy.Policy{}, post, []classify.Outcome{noReply}, 1, "it may have been acted on, and sending it again could do its work twice"},
		{"a write that was throttled is sent again", policy.Policy{}, post, []classify.Outcome{status429, ok}, 2, ""},
		{"a write that was never sent is sent again", policy.Policy{}, post, []classify.Outcome{noDial, noDial, status504}, 3, "it may have been acted on, and sending it again could do its work twice"},
		{"a write is sent again if Resend says so", policy.Policy{Resend: func(r *http.Request) bool { return r == post }}, post, []classify.Outcome{status503}, 5, "5 of 5 attempts made"},
		{"a write is not sent again if Resend says no", policy.Policy{Resend: func(r *http.Request) bool { return r != post }}, post, []classify.Outcome{status503}, 1, "it may have been acted on, and sending it again could do its work twice"},
		{"Resend takes nothing away", policy.Policy{Resend: func(*http.Request) bool { return false }}, get, []classify.Outcome{status503}, 5, "5 of 5 attempts made"},
		{"Resend cannot undo a final outcome", policy.Policy{Resend: func(*http.Request) bool { return true }}, post, []classify.Outcome{notFound}, 1, ""},

		{"Hold waits out a host that is not found", policy.Policy{Hold: true, MaxAttempts: 2, MaxElapsed: -1}, get, []classify.Outcome{noDial}, forever, ""},
		{"Hold waits out a host that hangs up", policy.Policy{Hold: true, MaxAttempts: 2, MaxElapsed: -1}, get, []classify.Outcome{noReply}, forever, ""},
		{"Hold waits out a 502", policy.Policy{Hold: true, MaxAttempts: 2, MaxElapsed: -1}, get, []classify.Outcome{status502}, forever, ""},
		{"Hold waits out a 503", policy.Policy{Hold: true, MaxAttempts: 2, MaxElapsed: -1}, get, []classify.Outcome{status503}, forever, ""},
		{"Hold counts a 504", policy.Policy{Hold: true, MaxAttempts: 2}, get, []classify.Outcome{status504}, 2, "2 of 2 attempts made"},
		{"Hold counts a 429", policy.Policy{Hold: true, MaxAttempts: 2}, get, []classify.Outcome{status429}, 2, "2 of 2 attempts made"},
		{"Hold counts a 500", policy.Policy{Hold: true}, get, []classify.Outcome{status500}, 3, "answered 500 for the 3rd time"},
		{"Hold counts what is not down", policy.Policy{Hold: true, MaxAttempts: 2}, get, []classify.Outcome{noDial, status502, status504, noReply, status503, status504}, 6, "2 of 2 attempts made"},
		{"Hold ends with the time", policy.Policy{Hold: true, MaxElapsed: 9 * second, BackOff: waits(3 * second)}, get, []classify.Outcome{noDial}, 5 - 1, "the next wait, 3s, would outlast MaxElapsed, 9s"},
		{"Hold does not send a write twice", policy.Policy{Hold: true}, post, []classify.Outcome{noDial, noReply}, 2, "it may have been acted on, and sending it again could do its work twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.policy.BackOff == nil {
				c.policy.BackOff = waits(second)
			}
			ds := course(c.policy, c.req, c.outcomes...)
			if d := last(ds); len(ds) != c.attempts || d.Why != c.why {
				t.Errorf("%d attempts, %q; want %d, %q", len(ds), d.Why, c.attempts, c.why)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	const (
		second = time.Second
		minute = time.Minute
	)
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	for _, c := range []struct {
		name       string
		policy     policy.Policy
		backOff    time.Duration
		retryAfter time.Duration
		elapsed    time.Duration
		deadline   time.Time
		why        string // empty for a retry
	}{
		{"a wait that ends at 2 minutes is begun", policy.Policy{}, second, 0, 2*minute - second, none, ""},
		{"a wait that ends after 2 minutes is not", policy.Policy{}, second, 0, 2*minute - second + 1, none, "the next wait, 1s, would outlast MaxElapsed, 2m0s"},
		{"a wait that ends at MaxElapsed is begun", policy.Policy{MaxElapsed: minute}, second, 0, minute - second, none, ""},
		{"a wait that ends after MaxElapsed is not", policy.Policy{MaxElapsed: minute}, second, 0, minute - second + 1, none, "the next wait, 1s, would outlast MaxElapsed, 1m0s"},
		{"a wait of nothing is begun at MaxElapsed", policy.Policy{MaxElapsed: minute}, 0, 0, minute, none, ""},
		{"and not after it", policy.Policy{MaxElapsed: minute}, 0, 0, minute + 1, none, "the next wait, 0s, would outlast MaxElapsed, 1m0s"},
		{"a nanosecond is a limit", policy.Policy{MaxElapsed: 1}, 2, 0, 0, none, "the next wait, 0s, would outlast MaxElapsed, 1ns"},
		{"a negative MaxElapsed is none", policy.Policy{MaxElapsed: -1}, second, 0, 1000 * time.Hour, none, ""},
		{"the greatest MaxElapsed is not met", policy.Policy{MaxElapsed: math.MaxInt64}, second, 0, 1000 * time.Hour, none, ""},
		{"the greatest wait outlasts the greatest MaxElapsed", policy.Policy{MaxElapsed: math.MaxInt64}, math.MaxInt64, 0, 1, none, "the next wait, 2562047h47m16.854775807s, would outlast MaxElapsed, 2562047h47m16.854775807s"},
		{"the greatest wait is begun without a limit", policy.Policy{MaxElapsed: -1}, math.MaxInt64, 0, 0, none, ""},
		{"a clock that went back leaves all the time", policy.Policy{MaxElapsed: second}, second, 0, -minute, none, ""},

		{"a Retry-After of 5 minutes is waited for", policy.Policy{MaxElapsed: -1}, second, 5 * minute, 0, none, ""},
		{"a Retry-After of more is not", policy.Policy{MaxElapsed: -1}, second, 5*minute + 1, 0, none, "the server asks to wait 5m0.000000001s, more than MaxRetryAfter, 5m0s"},
		{"a Retry-After of MaxRetryAfter is waited for", policy.Policy{MaxRetryAfter: second}, second, second, 0, none, ""},
		{"a Retry-After above MaxRetryAfter is not", policy.Policy{MaxRetryAfter: second}, second, second + 1, 0, none, "the server asks to wait 1.000000001s, more than MaxRetryAfter, 1s"},
		{"a negative MaxRetryAfter is none", policy.Policy{MaxRetryAfter: -1, MaxElapsed: -1}, second, math.MaxInt64, 0, none, ""},
		{"MaxRetryAfter does not bound the back-off", policy.Policy{MaxRetryAfter: second}, minute, second, 0, none, ""},
		{"a Retry-After that ends at MaxElapsed is waited for", policy.Policy{MaxElapsed: minute}, second, minute, 0, none, ""},
		{"a Retry-After that outlasts MaxElapsed is not", policy.Policy{MaxElapsed: minute}, second, minute, 1, none, "the next wait, 1m0s, would outlast MaxElapsed, 1m0s"},
		{"a negative Retry-After is none", policy.Policy{}, second, math.MinInt64, 0, none, ""},

		{"a wait that ends before the deadline is begun", policy.Policy{}, second, 0, 0, at(second + 1), ""},
		{"a wait that ends at the deadline is not", policy.Policy{}, second, 0, 0, at(second), "the next wait, 1s, would outlast the context's deadline"},
		{"no wait is begun at the deadline", policy.Policy{}, 0, 0, second, at(second), "the next wait, 0s, would outlast the context's deadline"},
		{"no wait is begun after the deadline", policy.Policy{MaxElapsed: -1}, 0, 0, second, at(0), "the next wait, 0s, would outlast the context's deadline"},
		{"no wait is begun ages after the deadline", policy.Policy{MaxElapsed: -1}, 0, 0, second, time.Time{}.Add(1), "the next wait, 0s, would outlast the context's deadline"},
		{"a Retry-After that ends before the deadline is waited for", policy.Policy{}, second, minute, 0, at(minute + 1), ""},
		{"a Retry-After that ends at the deadline is not", policy.Policy{}, second, minute, 0, at(minute), "the next wait, 1m0s, would outlast the context's deadline"},
		{"a deadline bounds without MaxElapsed", policy.Policy{MaxElapsed: -1}, minute, 0, 0, at(minute), "the next wait, 1m0s, would outlast the context's deadline"},
		{"the deadline is named when it comes first", policy.Policy{MaxElapsed: second}, second, 0, 0, at(second), "the next wait, 1s, would outlast the context's deadline"},
		{"MaxElapsed is named when it comes first", policy.Policy{MaxElapsed: second - 1}, second, 0, 0, at(second), "the next wait, 1s, would outlast MaxElapsed, 999.999999ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.policy.BackOff = waits(c.backOff)
			d := c.policy.Start(get, t0).Next(status503, c.retryAfter, at(c.elapsed), c.deadline)
			if d.Why != c.why || (d.Action == policy.Retry) != (c.why == "") || d.Wait < 0 {
				t.Errorf("got %+v, want %q", d, c.why)
			}
		})
	}
}

func TestRetryAfterIsAFloor(t *testing.T) {
	const second = time.Second
	free := policy.Policy{MaxElapsed: -1, MaxRetryAfter: -1}
	for _, c := range []struct {
		name           string
		backOff, floor time.Duration
		deadline       time.Duration // 0 for none
		from, to       time.Duration // of the wait
		by             policy.Source
	}{
		{"none leaves the back-off", second, 0, 0, second, second, policy.ByBackOff},
		{"less than the back-off leaves it", second, second - 1, 0, second, second, policy.ByBackOff},
		{"as much as the back-off is the server's", second, second, 0, second, 1100 * time.Millisecond, policy.ByServer},
		{"a nanosecond has no room for jitter", 0, 1, 0, 1, 1, policy.ByServer},
		{"twenty have room for two", 0, 20, 0, 20, 22, policy.ByServer},
		{"a tenth is added", 0, 40 * second, 0, 40 * second, 44 * second, policy.ByServer},
		{"5 s are the most that is added", 0, time.Hour, 0, time.Hour, time.Hour + 5*second, policy.ByServer},
		{"nothing is added to the greatest", 0, math.MaxInt64, 0, math.MaxInt64, math.MaxInt64, policy.ByServer},
		{"little is added near the greatest", 0, math.MaxInt64 - 50, 0, math.MaxInt64 - 50, math.MaxInt64, policy.ByServer},
		{"the jitter shrinks before a deadline", 0, 40 * second, 40*second + 11, 40 * second, 40*second + 10, policy.ByServer},
		{"the jitter goes at a deadline", 0, 40 * second, 40*second + 1, 40 * second, 40 * second, policy.ByServer},
		{"a back-off beyond the deadline gives way to it", time.Minute, 40 * second, 41 * second, 40 * second, 41 * second, policy.ByServer},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := free
			p.BackOff = waits(c.backOff)
			var deadline time.Time
			if c.deadline > 0 {
				deadline = t0.Add(c.deadline)
			}
			seen := map[time.Duration]bool{}
			for range 500 {
				d := p.Start(get, t0).Next(status429, c.floor, t0, deadline)
				seen[d.Wait] = true
				if d.Action != policy.Retry || d.Wait < c.from || d.Wait > c.to || d.By != c.by {
					t.Fatalf("got %+v, want from %v to %v by %v", d, c.from, c.to, c.by)
				}
			}
			if spread := min(c.to-c.from, 2); len(seen) < int(spread) {
				t.Errorf("%d different waits from %v to %v", len(seen), c.from, c.to)
			}
		})
	}
}

// The waits of the zero Policy are drawn from half to one and a half times
// 500 ms, 1 s, 2 s, ... 30 s.
func TestDefaultBackOff(t *testing.T) {
	for name, build := range map[string]func() backoff.BackOff{
		"no constructor":            nil,
		"a constructor gives nil":   func() backoff.BackOff { return nil },
		"a literal is Reset before": func() backoff.BackOff { return literal() },
	} {
		seen := map[time.Duration]bool{}
		for range 50 {
			middle := 500 * time.Millisecond
			for i, d := range course(policy.Policy{MaxAttempts: -1, MaxElapsed: -1, BackOff: build}, get, status504) {
				seen[d.Wait] = true
				if d.Wait < middle/2 || d.Wait > middle*3/2+1 || d.By != policy.ByBackOff {
					t.Fatalf("%s: wait %d is %v by %q, want around %v", name, i, d.Wait, d.By, middle)
				}
				middle = min(2*middle, 30*time.Second)
			}
		}
		if len(seen) < forever {
			t.Errorf("%s: %d different waits", name, len(seen))
		}
	}
}

// literal is what backoff.Retry takes: it is not ready before its Reset.
func literal() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     500 * time.Millisecond,
		Multiplier:          2,
		MaxInterval:         30 * time.Second,
		RandomizationFactor: 0.5,
		Clock:               backoff.SystemClock,
		Stop:                backoff.Stop,
	}
}

func TestNothingOverflows(t *testing.T) {
	ends := []time.Duration{math.MinInt64, -1, 0, 1, time.Hour, math.MaxInt64 / 2, math.MaxInt64}
	backOffs := map[string]func() backoff.BackOff{
		"default": nil,
		"base 0":  func() backoff.BackOff { return backoff.NewExponentialBackOff(backoff.WithInitialInterval(0)) },
		"max 0":   func() backoff.BackOff { return backoff.NewExponentialBackOff(backoff.WithMaxInterval(0)) },
		"zero":    func() backoff.BackOff { return &backoff.ZeroBackOff{} },
		"stop":    func() backoff.BackOff { return &backoff.StopBackOff{} },
	}
	for _, d := range ends {
		backOffs[d.String()] = waits(d)
	}
	for name, build := range backOffs {
		p := policy.Policy{MaxAttempts: -1, MaxAttempts500: -1, MaxElapsed: -1, MaxRetryAfter: -1, BackOff: build}
		run := p.Start(get, t0)
		for n := range 10_001 {
			floor := ends[n%len(ends)]
			d := run.Next(status500, floor, t0, none)
			if stops := d.Action == policy.Stop; d.Wait < 0 || !stops && d.Wait < floor || stops && d.Why == "" {
				t.Fatalf("back-off %s, attempt %d: %+v", name, n, d)
			}
		}
	}
	for _, first := range ends {
		for _, longest := range ends {
			p := policy.Policy{MaxRetryAfter: -1, Poll: policy.Polling{Interval: first, MaxInterval: longest, MaxElapsed: -1}}
			run, before := p.Start(get, t0), time.Duration(1)
			for n := range 200 { // a nanosecond has grown to the greatest by then
				d := run.Next(working, 0, t0, none)
				if d.Action != policy.Poll || d.Wait < before {
					t.Fatalf("Interval %v, MaxInterval %v, poll %d: %+v after %v", first, longest, n, d, before)
				}
				before = d.Wait
			}
		}
	}
}

// The constructor of back-offs is called when there is a wait to be had from
// it, once, and once more after each poll that went well.
func TestBackOffIsMadeWhenNeeded(t *testing.T) {
	for _, c := range []struct {
		name     string
		policy   policy.Policy
		req      *http.Request
		outcomes []classify.Outcome
		made     int
	}{
		{"not for a final outcome", policy.Policy{}, get, []classify.Outcome{notFound}, 0},
		{"not for the only attempt", policy.Policy{MaxAttempts: 1}, get, []classify.Outcome{status503}, 0},
		{"not for a write", policy.Policy{}, post, []classify.Outcome{status503}, 0},
		{"not for polls", policy.Policy{}, get, []classify.Outcome{working, working, working, ok}, 0},
		{"once for all attempts", policy.Policy{}, get, []classify.Outcome{status503, status504, status503, ok}, 1},
		{"once for all polls that fail", policy.Policy{}, get, []classify.Outcome{working, status503, status504, ok}, 1},
		{"anew after a poll that went well", policy.Policy{}, get, []classify.Outcome{working, status503, status503, working, status503, ok}, 2},
		{"anew after the first 202", policy.Policy{}, get, []classify.Outcome{status503, working, status503, ok}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			made := 0
			c.policy.BackOff = func() backoff.BackOff { made++; return waits(time.Second)() }
			if d := last(course(c.policy, c.req, c.outcomes...)); d.Action != policy.Stop || made != c.made {
				t.Errorf("made %d, %v; want %d", made, d, c.made)
			}
		})
	}
}

// RetryAt is when it makes sense to try again, for each reason to stop.
func TestRetryAt(t *testing.T) {
	const second = time.Second
	deadline := t0.Add(2 * second)
	stop := func(_ policy.Attempt, d policy.Decision) policy.Decision { return policy.Decision{} }
	stopIt := func(_ policy.Attempt, d policy.Decision) policy.Decision { d.Action = policy.Stop; return d }
	for _, c := range []struct {
		name       string
		policy     policy.Policy
		req        *http.Request
		outcome    classify.Outcome
		retryAfter time.Duration
		want       time.Duration // from now; 0 for unknown
		why        string
	}{
		{"unknown for a final outcome", policy.Policy{}, get, notFound, 9 * second, 0, ""},
		{"unknown when the attempts are used up", policy.Policy{MaxAttempts: 1}, get, status503, 0, 0, "1 of 1 attempts made"},
		{"the server's when the attempts are used up", policy.Policy{MaxAttempts: 1}, get, status503, 9 * second, 9 * second, "1 of 1 attempts made"},
		{"the server's when the 500s are used up", policy.Policy{MaxAttempts500: 1}, get, status500, 9 * second, 9 * second, "answered 500 for the 1st time"},
		{"the server's when the 408s are used up", policy.Policy{MaxAttempts408: 1}, get, status408, 9 * second, 9 * second, "answered 408 for the 1st time"},
		{"the server's when the back-off ends", policy.Policy{BackOff: waits(backoff.Stop)}, get, status503, 9 * second, 9 * second, "the back-off has ended"},
		{"unknown when the back-off ends", policy.Policy{BackOff: waits(backoff.Stop)}, get, status503, 0, 0, "the back-off has ended"},
		{"the server's for a write", policy.Policy{}, post, status503, 9 * second, 9 * second, "it may have been acted on, and sending it again could do its work twice"},
		{"unknown for a write", policy.Policy{}, post, status503, 0, 0, "it may have been acted on, and sending it again could do its work twice"},
		{"the server's when polling is off", policy.Policy{Poll: policy.Polling{Off: true}}, get, working, 9 * second, 9 * second, "polling is off"},
		{"the server's beyond MaxRetryAfter", policy.Policy{MaxRetryAfter: second}, get, status429, 9 * second, 9 * second, "the server asks to wait 9s, more than MaxRetryAfter, 1s"},
		{"the server's beyond the deadline", policy.Policy{}, get, status429, 9 * second, 9 * second, "the next wait, 9s, would outlast the context's deadline"},
		{"the back-off's beyond the deadline", policy.Policy{BackOff: waits(3 * second)}, get, status503, 0, 3 * second, "the next wait, 3s, would outlast the context's deadline"},
		{"the server's beyond MaxElapsed", policy.Policy{MaxElapsed: second}, get, status429, 9 * second, 9 * second, "the next wait, 9s, would outlast MaxElapsed, 1s"},
		{"the server's beyond Poll.MaxElapsed", policy.Policy{Poll: policy.Polling{MaxElapsed: second}}, get, working, 9 * second, 9 * second, "the next wait, 9s, would outlast Poll.MaxElapsed, 1s"},
		{"the interval's beyond Poll.MaxElapsed", policy.Policy{Poll: policy.Polling{MaxElapsed: second, Interval: second + 1}}, get, working, 0, second + 1, "the next wait, 1s, would outlast Poll.MaxElapsed, 1s"},
		{"292 years are a time too", policy.Policy{}, get, status429, math.MaxInt64, math.MaxInt64, "the server asks to wait 2562047h47m16.854775807s, more than MaxRetryAfter, 5m0s"},
		{"the wait that LastWord called off", policy.Policy{LastWord: stopIt, BackOff: waits(second)}, get, status503, 0, second, "LastWord said so"},
		{"unknown when LastWord says nothing", policy.Policy{LastWord: stop}, get, status503, second, 0, "LastWord said so"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want time.Time
			if c.want > 0 {
				want = t0.Add(c.want)
			}
			d := c.policy.Start(c.req, t0).Next(c.outcome, c.retryAfter, t0, deadline)
			if d != (policy.Decision{Why: c.why, RetryAt: want}) {
				t.Errorf("got %+v, want %v, %q", d, want, c.why)
			}
		})
	}
}

func TestLastWord(t *testing.T) {
	const second = time.Second
	say := func(d policy.Decision) func(policy.Attempt, policy.Decision) policy.Decision {
		return func(policy.Attempt, policy.Decision) policy.Decision { return d }
	}
	retry := func(wait time.Duration) policy.Decision { return policy.Decision{Action: policy.Retry, Wait: wait} }
	for _, c := range []struct {
		name    string
		word    policy.Decision
		outcome classify.Outcome
		req     *http.Request
		want    policy.Decision
	}{
		{"it waits longer", retry(8 * second), status503, get, retry(8 * second)},
		{"it waits less than the server asked for", retry(1), status429, get, retry(1)},
		{"a negative wait is none", retry(-second), status503, get, retry(0)},
		{"it is not asked about a final outcome", retry(second), notFound, get, policy.Decision{}},
		{"it sends a write again", retry(second), status503, post, retry(second)},
		{"it polls", policy.Decision{Action: policy.Poll}, status503, get, policy.Decision{Action: policy.Poll}},
		{"it gives its own reasons", policy.Decision{Why: "the office has closed", RetryAt: t0}, status503, get, policy.Decision{Why: "the office has closed", RetryAt: t0}},
		{"a stop has no wait", policy.Decision{Wait: second, By: policy.ByServer, Why: "so", RetryAt: t0}, status503, get, policy.Decision{Why: "so", RetryAt: t0}},
		{"a wait before the deadline is begun", retry(10*second - 1), status503, get, retry(10*second - 1)},
		{"a wait up to the deadline is not", retry(10 * second), status503, get, policy.Decision{Why: "the next wait, 10s, would outlast the context's deadline", RetryAt: t0.Add(10 * second)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := policy.Policy{LastWord: say(c.word)}
			if d := p.Start(c.req, t0).Next(c.outcome, second, t0, t0.Add(10*second)); d != c.want {
				t.Errorf("got %+v, want %+v", d, c.want)
			}
		})
	}
}

func TestLastWordSeesTheAttempt(t *testing.T) {
	const second = time.Second
	var saw []policy.Attempt
	var given []policy.Decision
	p := policy.Policy{
		Hold:    true,
		BackOff: waits(second),
		LastWord: func(a policy.Attempt, d policy.Decision) policy.Decision {
			saw, given = append(saw, a), append(given, d)
			return d
		},
	}
	run := p.Start(post, t0.Add(second))
	var got []policy.Decision
	for i, o := range []classify.Outcome{status429, noDial, status429, working, status502, working, notFound} {
		got = append(got, run.Next(o, time.Duration(i-1), t0.Add(time.Duration(i)*second), none))
	}
	want := []policy.Attempt{ // the clock is a second behind at first
		{Outcome: status429, N: 1, Polls: 0, Elapsed: 0, RetryAfter: 0},
		{Outcome: noDial, N: 1, Polls: 0, Elapsed: 0, RetryAfter: 0},
		{Outcome: status429, N: 2, Polls: 0, Elapsed: 1 * second, RetryAfter: 1},
		{Outcome: working, N: 3, Polls: 0, Elapsed: 2 * second, RetryAfter: 2},
		{Outcome: status502, N: 3, Polls: 1, Elapsed: 3 * second, RetryAfter: 3},
		{Outcome: working, N: 3, Polls: 2, Elapsed: 4 * second, RetryAfter: 4},
	} // and not the one that is final
	if !slices.Equal(saw, want) {
		t.Errorf("saw  %+v\nwant %+v", saw, want)
	}
	if !slices.Equal(got[:len(got)-1], given) {
		t.Errorf("decided %+v\nalthough  %+v stood", got, given)
	}
}

func TestNames(t *testing.T) {
	var got []string
	for _, a := range []policy.Action{policy.Stop, policy.Retry, policy.Poll, 200} {
		got = append(got, a.String())
	}
	if s := strings.Join(got, " "); s != "stop retry poll poll" {
		t.Errorf("got %q", s)
	}
}
