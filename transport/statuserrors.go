package transport

import (
	"net/http"

	"github.com/sodahttp/sodahttp/classify"
)

// A StatusErrors is an http.RoundTripper that turns an answer which is not a
// success into a *classify.Error, for callers that look at errors only: a
// status of 400 or more, and a 202 whose result did not come in time. It
// belongs around a [Transport], not under it. If there was more than one
// attempt, the error is an [*Error] that unwraps to the *classify.Error. The
// *url.Error that an http.Client puts around either prints the whole URL:
// classify.RedactError is for that. It is safe for concurrent use.
type StatusErrors struct {
	// Base sends the requests. If nil, http.DefaultTransport is used.
	Base http.RoundTripper
}

// RoundTrip sends req.
func (s *StatusErrors) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := orDefault(s.Base).RoundTrip(req)
	if err != nil || resp == nil {
		return resp, err
	}
	if resp.Request == nil {
		resp.Request = req
	}
	if err = classify.Check(resp); err == nil {
		return resp, nil
	}
	history := History(resp)
	drain(resp.Body)
	if history != nil {
		return nil, &Error{Err: err, History: history}
	}
	return nil, err
}

// CloseIdleConnections closes those of Base.
func (s *StatusErrors) CloseIdleConnections() { closeIdle(orDefault(s.Base)) }
