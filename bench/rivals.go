// Package bench measures this library beside others that do part of what it
// does, on the same work and in one run. It is a module of its own, so that
// none of them reaches a user of the library.
package bench

import (
	"net/http"
	"time"

	"github.com/PuerkitoBio/rehttp"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/transport"
)

// A Contender makes a RoundTripper over base.
type Contender struct {
	Name string
	Wrap func(base http.RoundTripper) http.RoundTripper
}

// What all of them are set to.
const (
	retries   = 3
	firstWait = 500 * time.Millisecond
	lastWait  = 30 * time.Second
)

// Contenders are those that are compared: each with 3 retries, exponential
// waits from 500 ms to 30 s, and otherwise its own defaults. The first sends
// to base alone; ours are next.
func Contenders() []Contender {
	return []Contender{
		{"bare", func(base http.RoundTripper) http.RoundTripper { return base }},
		{"sodahttp", func(base http.RoundTripper) http.RoundTripper { return &transport.Transport{Base: base} }},
		{"sodahttp, Pacer off", func(base http.RoundTripper) http.RoundTripper {
			return &transport.Transport{Base: base, Pacer: &pace.Pacer{Off: true}}
		}},
		{"loop", func(base http.RoundTripper) http.RoundTripper {
			return &Loop{Base: base, Retries: retries, First: firstWait, Longest: lastWait}
		}},
		{"rehttp", func(base http.RoundTripper) http.RoundTripper {
			retry := rehttp.RetryAll(rehttp.RetryMaxRetries(retries), rehttp.RetryHTTPMethods("GET", "HEAD", "PUT", "DELETE"),
				rehttp.RetryAny(rehttp.RetryStatuses(429, 502, 503, 504), rehttp.RetryTemporaryErr()))
			return rehttp.NewTransport(base, retry, rehttp.ExpJitterDelay(firstWait, lastWait))
		}},
		{"go-retryablehttp", func(base http.RoundTripper) http.RoundTripper {
			c := retryablehttp.NewClient()
			c.HTTPClient = &http.Client{Transport: base}
			c.Logger = nil
			c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = retries, firstWait, lastWait
			return &retryablehttp.RoundTripper{Client: c}
		}},
		{"failsafe-go", func(base http.RoundTripper) http.RoundTripper {
			retry := failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(retries).
				WithBackoff(firstWait, lastWait).WithJitterFactor(.5).Build()
			return failsafehttp.NewRoundTripperWithExecutor(base, failsafe.With(retry))
		}},
		{"resty", func(base http.RoundTripper) http.RoundTripper { return Resty(base, retries, firstWait, lastWait) }},
		{"heimdall", func(base http.RoundTripper) http.RoundTripper { return Heimdall(base, retries, firstWait, lastWait) }},
	}
}
