package policy_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
)

// The fields that are left out have their defaults. A back-off keeps state, so
// a policy holds a function that makes one.
func ExamplePolicy() {
	p := policy.Policy{
		MaxAttempts: 3,
		MaxElapsed:  time.Minute,
		BackOff:     func() backoff.BackOff { return backoff.NewConstantBackOff(2 * time.Second) },
	}
	req, _ := http.NewRequest("GET", "https://data.example.gov/resource/abcd-1234.json", nil)
	gatewayTimeout := classify.Outcome{Status: 504, Class: classify.Transient}

	now := time.Now()
	run := p.Start(req, now)
	for {
		d := run.Next(gatewayTimeout, 0, now, time.Time{})
		if d.Action == policy.Stop {
			fmt.Printf("%v: %s\n", d.Action, d.Why)
			break
		}
		fmt.Println(d.Action, d.Wait)
		now = now.Add(d.Wait)
	}
	// Output:
	// retry 2s
	// retry 2s
	// stop: 3 of 3 attempts made
}

// A preset is a Policy like any other: change what does not fit.
func ExampleBatch() {
	p := policy.Batch()
	p.MaxElapsed = 8 * time.Hour // over night
	fmt.Println(p.MaxAttempts, p.MaxElapsed, p.Hold)
	// Output: -1 8h0m0s true
}

func ExampleInteractive() {
	p := policy.Interactive()
	fmt.Println(p.MaxAttempts, p.MaxElapsed)
	// Output: 3 10s
}

// One request of many can have a policy of its own.
func ExampleNewContext() {
	ctx := policy.NewContext(context.Background(), policy.Interactive())
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://data.example.gov/resource/abcd-1234.json", nil)

	p, ok := policy.FromContext(req.Context()) // as the transport does
	fmt.Println(p.MaxAttempts, ok)
	// Output: 3 true
}

// An import that takes a quarter of an hour is asked for at first after 10 s,
// and then less and less often.
func ExamplePolling() {
	p := policy.Policy{Poll: policy.Polling{
		Interval:    10 * time.Second,
		MaxInterval: 30 * time.Second,
		MaxElapsed:  15 * time.Minute,
	}}
	req, _ := http.NewRequest("POST", "https://data.example.gov/api/imports2.json", nil)
	pending := classify.Outcome{Status: 202, Class: classify.Pending}

	now := time.Now()
	run := p.Start(req, now)
	for range 4 {
		d := run.Next(pending, 0, now, time.Time{})
		fmt.Println(d.Action, d.Wait)
		now = now.Add(d.Wait)
	}
	// Output:
	// poll 10s
	// poll 15s
	// poll 22.5s
	// poll 30s
}

// A wait that the context's deadline does not allow is not begun. The decision
// says when another attempt would make sense.
func ExampleRun_Next() {
	req, _ := http.NewRequest("GET", "https://data.example.gov/resource/abcd-1234.json", nil)
	throttled := classify.Outcome{Status: 429, Class: classify.Throttled, Acted: classify.ActedNo}

	now := time.Now()
	run := policy.Policy{}.Start(req, now)
	d := run.Next(throttled, time.Minute, now, now.Add(10*time.Second))
	fmt.Println(d.Action, "as", d.Why)
	fmt.Println("try again in", d.RetryAt.Sub(now))
	// Output:
	// stop as the next wait, 1m0s, would outlast the context's deadline
	// try again in 1m0s
}

// LastWord can change any decision, here to send nothing during maintenance.
func ExamplePolicy_lastWord() {
	maintenance := time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)
	p := policy.Policy{
		LastWord: func(a policy.Attempt, d policy.Decision) policy.Decision {
			if d.Action == policy.Retry && a.Status == 503 {
				return policy.Decision{Why: "maintenance", RetryAt: maintenance.Add(time.Hour)}
			}
			return d
		},
	}
	req, _ := http.NewRequest("GET", "https://data.example.gov/resource/abcd-1234.json", nil)

	run := p.Start(req, maintenance)
	d := run.Next(classify.Outcome{Status: 503, Class: classify.Throttled}, 0, maintenance, time.Time{})
	fmt.Println(d.Action, d.Why, d.RetryAt.Format(time.TimeOnly))
	// Output: stop maintenance 05:00:00
}
