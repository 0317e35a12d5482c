package transport

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sodahttp/sodahttp/classify"
)

// aim settles how the result of the 202 in hand is asked for, or says why it
// cannot be.
func (c *call) aim() (why string) {
	if c.resp == nil || c.resp.StatusCode != http.StatusAccepted && !c.moved() {
		return "" // the poll failed, not the job: ask as before
	}
	u := classify.ResultURL(c.sent, c.resp)
	switch {
	case u != nil:
		c.ask = c.question(u)
	case c.moved():
		return "the poll was redirected to another origin"
	case c.polling, isRead(c.req), c.policy.Poll.Resend:
		// as before, or the request itself once more
	default:
		return "the 202 names no place to ask, and repeating the request could do its work twice"
	}
	c.polling = true
	return ""
}

// isRead reports whether the request asks its own question: a GET, or one of
// the POSTs that are known to read.
func isRead(req *http.Request) bool {
	return isGet(req) || req.Method == http.MethodPost && classify.Idempotent(req)
}

func isGet(req *http.Request) bool {
	return req.Method == "" || req.Method == http.MethodGet || req.Method == http.MethodHead
}

// question returns a GET of u with the credentials of the request, to which u
// has the same origin, and without what belonged to its body.
func (c *call) question(u *url.URL) *http.Request {
	r := *c.out
	r.URL = u
	if r.Method != http.MethodHead {
		r.Method = http.MethodGet
	}
	r.Header = c.out.Header.Clone()
	for name := range r.Header {
		if ofTheBody(http.CanonicalHeaderKey(name)) {
			delete(r.Header, name)
		}
	}
	r.Body, r.GetBody, r.ContentLength = nil, nil, 0
	r.TransferEncoding, r.Trailer = nil, nil
	return &r
}

// ofTheBody reports whether a header belongs to a request's body or to its own
// resource, and so not to a question about its result.
func ofTheBody(name string) bool {
	switch name {
	case "Expect", "Range", "Idempotency-Key", "X-Idempotency-Key",
		"X-Http-Method", "X-Http-Method-Override", "X-Method-Override":
		return true
	}
	return strings.HasPrefix(name, "Content-") || strings.HasPrefix(name, "If-")
}

// absolute makes the Location of a redirect that a poll was answered with
// independent of where it was asked, as the http.Client reads it by its own
// request's URL.
func (c *call) absolute() {
	loc := c.resp.Header.Get("Location")
	if c.ask == nil || c.resp.StatusCode/100 != 3 || loc == "" {
		return
	}
	if u, err := c.sent.URL.Parse(loc); err == nil {
		c.resp.Header = c.resp.Header.Clone()
		c.resp.Header.Set("Location", u.String())
	}
}

// moved reports whether a poll, other than by the request itself, was answered
// by a redirect that keeps the method. The http.Client would take it for an
// answer to the request, and send a POST again.
func (c *call) moved() bool {
	return c.ask != nil && c.resp != nil && !isGet(c.req) &&
		(c.resp.StatusCode == http.StatusTemporaryRedirect || c.resp.StatusCode == http.StatusPermanentRedirect)
}

// bare reports whether o is a 202 to a write that says nothing of how to go on.
func (c *call) bare(o classify.Outcome) bool {
	return o.Status == http.StatusAccepted && o.Class == classify.Final && o.Acted == classify.ActedYes && o.Code == "" &&
		!strings.HasPrefix(c.sent.URL.Path, "/api/publishing/") &&
		c.resp.Header.Get("Location") == "" && c.resp.Header.Get("X-Soda2-Location") == ""
}

// unanswered reports whether what ended the polling says nothing about the job,
// so that its 202 is still the server's last word.
func (c *call) unanswered() bool {
	last := c.history[len(c.history)-1]
	switch {
	case c.req.Context().Err() != nil:
		return false
	case c.pass.refused:
		return true
	case last.Class == classify.Final, last.Status == http.StatusAccepted:
		return false
	case last.Status == http.StatusInternalServerError, last.Status == http.StatusRequestTimeout:
		return false // it may well be the job that failed
	}
	return true
}
