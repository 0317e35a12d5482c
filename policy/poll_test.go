package policy_test

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
)

func TestIntervals(t *testing.T) {
	const ms, second = time.Millisecond, time.Second
	for _, c := range []struct {
		name string
		poll policy.Polling
		want []time.Duration
	}{
		{"one second, and half as long again, up to ten", policy.Polling{}, []time.Duration{second, 1500 * ms, 2250 * ms, 3375 * ms, 5062500 * time.Microsecond, 7593750 * time.Microsecond, 10 * second, 10 * second}},
		{"an Interval of one's own", policy.Polling{Interval: 4 * second}, []time.Duration{4 * second, 6 * second, 9 * second, 10 * second, 10 * second}},
		{"an Interval beyond the usual longest stays", policy.Polling{Interval: 30 * second}, []time.Duration{30 * second, 30 * second}},
		{"a MaxInterval below the usual first", policy.Polling{MaxInterval: 200 * ms}, []time.Duration{200 * ms, 200 * ms}},
		{"a MaxInterval below Interval", policy.Polling{Interval: 5 * second, MaxInterval: second}, []time.Duration{second, second}},
		{"a MaxInterval above the usual", policy.Polling{Interval: 8 * second, MaxInterval: 15 * second}, []time.Duration{8 * second, 12 * second, 15 * second}},
		{"negative values are the usual ones", policy.Polling{Interval: -1, MaxInterval: -1}, []time.Duration{second, 1500 * ms, 2250 * ms}},
		{"the least values are the usual ones", policy.Polling{Interval: math.MinInt64, MaxInterval: math.MinInt64}, []time.Duration{second, 1500 * ms, 2250 * ms}},
		{"a nanosecond grows", policy.Polling{Interval: 1}, []time.Duration{1, 2, 3, 5, 8, 12}},
		{"the greatest values stay", policy.Polling{Interval: math.MaxInt64, MaxInterval: math.MaxInt64, MaxElapsed: -1}, []time.Duration{math.MaxInt64, math.MaxInt64}},
		{"growth ends at the greatest", policy.Polling{Interval: math.MaxInt64 - 9, MaxInterval: math.MaxInt64, MaxElapsed: -1}, []time.Duration{math.MaxInt64 - 9, math.MaxInt64, math.MaxInt64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := policy.Policy{Poll: c.poll}.Start(get, t0)
			var got []time.Duration
			for range c.want {
				d := run.Next(working, 0, t0, none)
				if d.Action != policy.Poll || d.By != policy.ByPoll {
					t.Fatalf("got %+v", d)
				}
				got = append(got, d.Wait)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// A moment is an outcome that comes some time after the first failure.
type moment struct {
	at         time.Duration
	outcome    classify.Outcome
	retryAfter time.Duration
}

func TestPolling(t *testing.T) {
	const second, minute = time.Second, time.Minute
	twice := func(*http.Request) bool { return true }
	for _, c := range []struct {
		name   string
		policy policy.Policy
		req    *http.Request
		course []moment
		want   policy.Action // at the end
		why    string
	}{
		{"a 202 is polled", policy.Policy{}, get, []moment{{0, working, 0}}, policy.Poll, ""},
		{"a 202 to a write is polled", policy.Policy{}, post, []moment{{0, working, 0}}, policy.Poll, ""},
		{"a 202 to the only attempt is polled", policy.Policy{MaxAttempts: 1}, get, []moment{{0, working, 0}, {0, working, 0}}, policy.Poll, ""},
		{"Off hands it back", policy.Policy{Poll: policy.Polling{Off: true}}, get, []moment{{0, working, 0}}, policy.Stop, "polling is off"},
		{"a result ends it", policy.Policy{}, get, []moment{{0, working, 0}, {second, ok, 0}}, policy.Stop, ""},
		{"a final outcome ends it", policy.Policy{}, get, []moment{{0, working, 0}, {second, notFound, 0}}, policy.Stop, ""},

		{"a poll that ends at 13 minutes is waited for", policy.Policy{}, get, []moment{{0, working, 0}, {13*minute - 1500*time.Millisecond, working, 0}}, policy.Poll, ""},
		{"a poll that ends after 13 minutes is not", policy.Policy{}, get, []moment{{0, working, 0}, {13*minute - 1500*time.Millisecond + 1, working, 0}}, policy.Stop, "the next wait, 1.5s, would outlast Poll.MaxElapsed, 13m0s"},
		{"a poll that ends at MaxElapsed is waited for", policy.Policy{Poll: policy.Polling{MaxElapsed: second}}, get, []moment{{0, working, 0}}, policy.Poll, ""},
		{"a poll that ends after MaxElapsed is not", policy.Policy{Poll: policy.Polling{MaxElapsed: second - 1}}, get, []moment{{0, working, 0}}, policy.Stop, "the next wait, 1s, would outlast Poll.MaxElapsed, 999.999999ms"},
		{"a negative MaxElapsed is none", policy.Policy{Poll: policy.Polling{MaxElapsed: -1}}, get, []moment{{0, working, 0}, {999 * time.Hour, working, 0}}, policy.Poll, ""},
		{"MaxElapsed counts from the first 202", policy.Policy{}, get, []moment{{0, status503, 0}, {minute, working, 0}, {13 * minute, working, 0}}, policy.Poll, ""},
		{"the policy's MaxElapsed does not bound polls", policy.Policy{MaxElapsed: second}, get, []moment{{0, working, 0}, {minute, working, 0}}, policy.Poll, ""},
		{"the policy's MaxElapsed does not bound polls that fail", policy.Policy{MaxElapsed: second}, get, []moment{{0, working, 0}, {minute, status503, 0}}, policy.Poll, ""},
		{"Poll.MaxElapsed bounds polls that fail", policy.Policy{MaxElapsed: -1, Poll: policy.Polling{MaxElapsed: minute}}, get, []moment{{0, working, 0}, {minute, status503, 0}}, policy.Stop, "the next wait, 3s, would outlast Poll.MaxElapsed, 1m0s"},
		{"a Retry-After is waited for", policy.Policy{}, get, []moment{{0, working, 5 * minute}}, policy.Poll, ""},
		{"a Retry-After above MaxRetryAfter is not", policy.Policy{}, get, []moment{{0, working, 5*minute + 1}}, policy.Stop, "the server asks to wait 5m0.000000001s, more than MaxRetryAfter, 5m0s"},

		{"polls that fail are no attempts", policy.Policy{MaxAttempts: 1}, get, []moment{{0, working, 0}, {0, status503, 0}, {0, status429, 0}, {0, noReply, 0}}, policy.Poll, ""},
		{"attempts are no polls", policy.Policy{MaxAttempts: 2}, get, []moment{{0, status503, 0}, {0, working, 0}, {0, status503, 0}, {0, status503, 0}}, policy.Poll, ""},
		{"a write's poll that fails is made again", policy.Policy{}, post, []moment{{0, working, 0}, {0, status503, 0}}, policy.Poll, ""},
		{"a write's attempts are limited before its 202", policy.Policy{Resend: twice, MaxAttempts: 2}, post, []moment{{0, status503, 0}, {0, status503, 0}}, policy.Stop, "2 of 2 attempts made"},
		{"three polls end in a 500", policy.Policy{}, get, []moment{{0, working, 0}, {0, status500, 0}, {0, status500, 0}}, policy.Poll, ""},
		{"three polls that end in a 500 are enough", policy.Policy{}, get, []moment{{0, working, 0}, {0, status500, 0}, {0, status500, 0}, {0, status500, 0}}, policy.Stop, "answered 500 for the 3rd time"},
		{"two polls that end in a 408 are enough", policy.Policy{}, get, []moment{{0, working, 0}, {0, status408, 0}, {0, status408, 0}}, policy.Stop, "answered 408 for the 2nd time"},
		{"a good poll forgets the 500s", policy.Policy{}, get, []moment{{0, working, 0}, {0, status500, 0}, {0, status500, 0}, {0, working, 0}, {0, status500, 0}, {0, status500, 0}}, policy.Poll, ""},
		{"a good poll forgets the 408s", policy.Policy{}, get, []moment{{0, working, 0}, {0, status408, 0}, {0, working, 0}, {0, status408, 0}}, policy.Poll, ""},
		{"the first 202 forgets the 500s", policy.Policy{}, get, []moment{{0, status500, 0}, {0, status500, 0}, {0, working, 0}, {0, status500, 0}}, policy.Poll, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.policy.BackOff = waits(3 * time.Second)
			run := c.policy.Start(c.req, t0)
			for i, m := range c.course {
				d := run.Next(m.outcome, m.retryAfter, t0.Add(m.at), none)
				if i < len(c.course)-1 {
					if d.Action == policy.Stop {
						t.Fatalf("stopped after %d: %+v", i, d)
					}
				} else if d.Action != c.want || d.Why != c.why {
					t.Errorf("got %+v, want %v, %q", d, c.want, c.why)
				}
			}
		})
	}
}

// Batch goes on for an hour whatever happens, save that the same 408 is not
// asked for all that time; Interactive gives up at once.
func TestPresets(t *testing.T) {
	const second, hour = time.Second, time.Hour
	for _, c := range []struct {
		name   string
		policy policy.Policy
		course []moment
		want   policy.Action
	}{
		{"a batch waits for an hour", policy.Batch(), []moment{{0, status429, hour}}, policy.Retry},
		{"a batch waits for no more", policy.Batch(), []moment{{0, status429, hour + 1}}, policy.Stop},
		{"a batch goes on for an hour", policy.Batch(), []moment{{hour - second, status504, 0}}, policy.Retry},
		{"a batch goes on for no more", policy.Batch(), []moment{{hour - second + 1, status504, 0}}, policy.Stop},
		{"a batch polls for an hour", policy.Batch(), []moment{{0, working, 0}, {hour - 1500*time.Millisecond, working, 0}}, policy.Poll},
		{"a batch polls for no more", policy.Batch(), []moment{{0, working, 0}, {hour - 1500*time.Millisecond + 1, working, 0}}, policy.Stop},
		{"a batch asks more than three times for a 500", policy.Batch(), []moment{{0, status500, 0}, {0, status500, 0}, {0, status500, 0}, {0, status500, 0}}, policy.Retry},
		{"a batch asks twice for a 408", policy.Batch(), []moment{{0, classify.Outcome{Class: classify.Transient, Status: 408}, 0}, {0, classify.Outcome{Class: classify.Transient, Status: 408}, 0}}, policy.Stop},
		{"a person waits for 10 s", policy.Interactive(), []moment{{9 * second, status504, 0}}, policy.Retry},
		{"a person waits for no more", policy.Interactive(), []moment{{9*second + 1, status504, 0}}, policy.Stop},
		{"a person waits for a second attempt", policy.Interactive(), []moment{{0, status504, 0}, {0, status504, 0}}, policy.Retry},
		{"a person waits for no fourth attempt", policy.Interactive(), []moment{{0, status504, 0}, {0, status504, 0}, {0, status504, 0}}, policy.Stop},
		{"a person does not wait for a host that is down", policy.Interactive(), []moment{{0, noDial, 0}, {0, noDial, 0}, {0, noDial, 0}}, policy.Stop},
		{"a person polls for 10 s", policy.Interactive(), []moment{{0, working, 0}, {8500 * time.Millisecond, working, 0}}, policy.Poll},
		{"a person polls for no more", policy.Interactive(), []moment{{0, working, 0}, {8500*time.Millisecond + 1, working, 0}}, policy.Stop},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.policy.BackOff = waits(second)
			run, d := c.policy.Start(get, t0), policy.Decision{}
			for _, m := range c.course {
				d = run.Next(m.outcome, m.retryAfter, t0.Add(m.at), none)
			}
			if d.Action != c.want {
				t.Errorf("got %+v, want %v", d, c.want)
			}
		})
	}
	p := policy.Batch()
	p.MaxElapsed, p.BackOff = -1, waits(second)
	for _, o := range []classify.Outcome{noDial, status502, status503, status504, status429} {
		if n := len(course(p, get, o)); n != forever {
			t.Errorf("a batch makes %d attempts at %+v", n, o)
		}
	}
}

func TestContext(t *testing.T) {
	p := policy.Policy{MaxAttempts: 7}
	outer := policy.NewContext(t.Context(), p)
	p.MaxAttempts = 8
	inner, cancel := context.WithCancel(policy.NewContext(outer, p))
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		want int
		ok   bool
	}{
		{"none", t.Context(), 0, false},
		{"one", outer, 7, true},
		{"the nearest, even in a context that has ended", inner, 8, true},
		{"the zero Policy is one too", policy.NewContext(outer, policy.Policy{}), 0, true},
	} {
		if got, ok := policy.FromContext(c.ctx); got.MaxAttempts != c.want || ok != c.ok {
			t.Errorf("%s: got %d, %t; want %d, %t", c.name, got.MaxAttempts, ok, c.want, c.ok)
		}
	}
}

// One Policy serves any number of goroutines, and its runs share nothing.
func TestConcurrency(t *testing.T) {
	p := policy.Batch()
	p.MaxAttempts, p.Hold = 4, false
	p.Resend = func(*http.Request) bool { return true }
	p.LastWord = func(_ policy.Attempt, d policy.Decision) policy.Decision { return d }
	q := p
	q.BackOff = func() backoff.BackOff { return literal() }
	var wg sync.WaitGroup
	for range 16 {
		for _, p := range []*policy.Policy{&p, &q} {
			wg.Go(func() {
				for range 20 {
					if n := len(course(*p, post, status503, working, status502, working, status503, notFound)); n != 6 {
						t.Errorf("%d decisions", n)
					}
					if n := len(course(*p, get, status503)); n != 4 {
						t.Errorf("%d attempts", n)
					}
				}
			})
		}
	}
	wg.Wait()
}

func FuzzNext(f *testing.F) {
	f.Add(uint8(2), uint16(503), int64(0), int64(0), int64(0), int64(0), int64(0), int8(0), int64(0), uint8(0))
	f.Add(uint8(2), uint16(429), int64(math.MaxInt64), int64(1), int64(-1), int64(-1), int64(-1), int8(-1), int64(5), uint8(1))
	f.Add(uint8(3), uint16(202), int64(-1), int64(math.MaxInt64), int64(1), int64(1), int64(math.MaxInt64), int8(1), int64(math.MinInt64), uint8(7))
	f.Add(uint8(1), uint16(500), int64(1e9), int64(math.MinInt64), int64(2e9), int64(3e9), int64(1), int8(9), int64(1e10), uint8(255))
	f.Fuzz(func(t *testing.T, class uint8, status uint16, retryAfter, elapsed, maxElapsed, maxRetryAfter, interval int64, attempts int8, backOff int64, bits uint8) {
		o := classify.Outcome{Class: classify.Class(class % 4), Acted: classify.Acted(bits % 3), Status: int(status)}
		p := policy.Policy{
			MaxAttempts:    int(attempts),
			MaxAttempts500: int(attempts) - 1,
			MaxAttempts408: int(attempts) + 1,
			MaxElapsed:     time.Duration(maxElapsed),
			MaxRetryAfter:  time.Duration(maxRetryAfter),
			Hold:           bits&4 != 0,
			Poll:           policy.Polling{Interval: time.Duration(interval), MaxInterval: time.Duration(backOff), MaxElapsed: time.Duration(maxElapsed), Off: bits&8 != 0},
		}
		if bits&16 != 0 {
			p.BackOff = waits(time.Duration(backOff), time.Duration(interval))
		}
		if bits&32 != 0 {
			p.LastWord = func(_ policy.Attempt, d policy.Decision) policy.Decision { return d }
		}
		req := get
		if bits&64 != 0 {
			req = post
		}
		now := t0.Add(time.Duration(elapsed))
		var deadline time.Time
		if bits&128 != 0 {
			deadline = now.Add(time.Duration(interval ^ maxElapsed))
		}
		floor := max(0, time.Duration(retryAfter))
		run := p.Start(req, t0)
		for i, o := range []classify.Outcome{o, o, status503, working, o, status500} {
			switch d := run.Next(o, time.Duration(retryAfter), now, deadline); {
			case d.Wait < 0:
				t.Fatalf("%d: negative wait: %+v", i, d)
			case d.Action == policy.Stop && (d.Why == "") != (o.Class == classify.Final):
				t.Fatalf("%d: stops without a reason: %+v", i, d)
			case d.Action == policy.Stop && (d.Wait != 0 || d.By != "" || !d.RetryAt.IsZero() && d.RetryAt.Before(now.Add(floor))):
				t.Fatalf("%d: stops with a wait, or to go on too early: %+v", i, d)
			case d.Action == policy.Stop:
				return
			case o.Class == classify.Final, d.Why != "", !d.RetryAt.IsZero():
				t.Fatalf("%d: goes on although it should not: %+v", i, d)
			case d.Wait < floor, d.By == policy.ByServer && d.Wait-floor > min(floor/10, 5*time.Second):
				t.Fatalf("%d: too early or too late for %v: %+v", i, floor, d)
			case !deadline.IsZero() && d.Wait >= deadline.Sub(now):
				t.Fatalf("%d: not before the deadline, in %v: %+v", i, deadline.Sub(now), d)
			}
		}
	})
}
