package bench

import (
	"io"
	"net/http"
	"time"

	"github.com/gojek/heimdall/v7"
	"github.com/gojek/heimdall/v7/httpclient"
	"resty.dev/v3"
)

// Resty makes a RoundTripper of a resty client, which is no RoundTripper by
// itself: it follows no redirects, parses nothing, and retries what its two
// documented conditions name.
func Resty(base http.RoundTripper, retries int, first, longest time.Duration) http.RoundTripper {
	c := resty.NewWithClient(&http.Client{Transport: base}).
		SetRedirectPolicy(resty.RedirectNoPolicy()).
		SetResponseDoNotParse(true).
		SetRetryCount(retries).SetRetryWaitTime(first).SetRetryMaxWaitTime(longest).
		AddRetryConditions(resty.RetryConditionStatusTooManyRequests, resty.RetryConditionStatus5XX, resty.RetryConditionStatusZero)
	return restyTripper{c}
}

type restyTripper struct{ *resty.Client }

func (c restyTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	r := c.R().SetContext(req.Context())
	r.Header = req.Header.Clone()
	if req.Body != nil && req.Body != http.NoBody {
		r.SetBody(io.Reader(req.Body)).SetContentLength(req.ContentLength)
		if req.GetBody != nil { // resty rewinds an io.ReadSeeker
			r.SetBody(&rewinder{req.Body, req.GetBody})
		}
	}
	res, err := r.Execute(req.Method, req.URL.String())
	if err != nil {
		return nil, err
	}
	return res.RawResponse, nil
}

// A rewinder can seek to its start, where it takes a new body.
type rewinder struct {
	io.ReadCloser
	body func() (io.ReadCloser, error)
}

func (r *rewinder) Seek(int64, int) (int64, error) {
	body, err := r.body()
	if err == nil {
		r.ReadCloser = body // http.Client closed the one before
	}
	return 0, err
}

// Heimdall makes a RoundTripper of a heimdall client, which is no RoundTripper
// by itself: it follows no redirects. It retries errors and the 5xx, not the
// 429, and cannot be told to.
func Heimdall(base http.RoundTripper, retries int, first, longest time.Duration) http.RoundTripper {
	return heimdallTripper{httpclient.NewClient(
		httpclient.WithHTTPClient(&http.Client{Transport: base, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}),
		httpclient.WithRetryCount(retries),
		httpclient.WithRetrier(heimdall.NewRetrier(heimdall.NewExponentialBackoff(first, longest, 2, first/2))))}
}

type heimdallTripper struct{ *httpclient.Client }

func (c heimdallTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	next := *req // it may not be a client's request with a RequestURI, and gets another body
	return c.Do(&next)
}
