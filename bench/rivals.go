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

// Contenders are those that are compared: each with 3 retries, exponential
// waits from 500 ms to 30 s, and otherwise its own defaults.
func Contenders() []Contender {
	return []Contender{
		{"bare", func(base http.RoundTripper) http.RoundTripper { return base }},
		{"sodahttp", func(base http.RoundTripper) http.RoundTripper { return &transport.Transport{Base: base} }},
		{"sodahttp, Pacer off", func(base http.RoundTripper) http.RoundTripper {
			return &transport.Transport{Base: base, Pacer: &pace.Pacer{Off: true}}
		}},
		{"rehttp", func(base http.RoundTripper) http.RoundTripper {
			retry := rehttp.RetryAll(rehttp.RetryMaxRetries(3), rehttp.RetryHTTPMethods("GET", "HEAD", "PUT", "DELETE"),
				rehttp.RetryAny(rehttp.RetryStatuses(429, 502, 503, 504), rehttp.RetryTemporaryErr()))
			return rehttp.NewTransport(base, retry, rehttp.ExpJitterDelay(500*time.Millisecond, 30*time.Second))
		}},
		{"go-retryablehttp", func(base http.RoundTripper) http.RoundTripper {
			c := retryablehttp.NewClient()
			c.HTTPClient = &http.Client{Transport: base}
			c.Logger = nil
			c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 3, 500*time.Millisecond, 30*time.Second
			return &retryablehttp.RoundTripper{Client: c}
		}},
		{"failsafe-go", func(base http.RoundTripper) http.RoundTripper {
			retry := failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(3).
				WithBackoff(500*time.Millisecond, 30*time.Second).WithJitterFactor(.5).Build()
			return failsafehttp.NewRoundTripperWithExecutor(base, failsafe.With(retry))
		}},
	}
}
