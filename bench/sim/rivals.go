package sim

import (
	"net/http"
	"time"

	"github.com/PuerkitoBio/rehttp"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/sodahttp/sodahttp/bench"
)

// All rivals may try as often as they like, and back off from 100 ms to 30 s,
// with jitter where they have it. Heimdall is not among them, since it cannot
// be told to retry a 429.
const (
	manyTries  = 10_000
	firstDelay = 100 * time.Millisecond
	lastDelay  = 30 * time.Second
)

// Clients are what is measured.
var Clients = []Client{
	Ours,
	{"rehttp", newRehttp},
	{"go-retryablehttp", newRetryable},
	{"failsafe-go", newFailsafe},
	{"resty", func(base http.RoundTripper) http.RoundTripper {
		return bench.Resty(base, manyTries, firstDelay, lastDelay)
	}},
	{"loop", func(base http.RoundTripper) http.RoundTripper {
		return &bench.Loop{Base: base, Retries: manyTries, First: firstDelay, Longest: lastDelay}
	}},
}

// Bare is no client at all.
var Bare = Client{"bare", func(base http.RoundTripper) http.RoundTripper { return base }}

func newRehttp(base http.RoundTripper) http.RoundTripper {
	return rehttp.NewTransport(base,
		rehttp.RetryAll(rehttp.RetryMaxRetries(manyTries), rehttp.RetryAny(rehttp.RetryStatuses(429, 502, 503), rehttp.RetryIsErr(func(err error) bool { return err != nil }))),
		rehttp.ExpJitterDelay(firstDelay, lastDelay))
}

func newRetryable(base http.RoundTripper) http.RoundTripper {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base}
	c.Logger = nil
	c.RetryMax = manyTries
	c.RetryWaitMin, c.RetryWaitMax = firstDelay, lastDelay
	c.Backoff = retryablehttp.DefaultBackoff // the only exponential one; it has no jitter
	return &retryablehttp.RoundTripper{Client: c}
}

func newFailsafe(base http.RoundTripper) http.RoundTripper {
	p := failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(-1).
		WithBackoff(firstDelay, lastDelay).WithJitterFactor(0.25).Build()
	return failsafehttp.NewRoundTripper(base, p)
}
