package classify

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
)

// Of returns the verdict on one attempt at req, which ended in resp or err.
//
// The status decides first. Where the server's error code can change the
// verdict (202, 400, 403, 409, 500, 503), Of looks for it in X-Error-Code and
// then in at most 64 KiB of the body, for at most two seconds, and puts back what
// it read: resp.Body still gives every byte, and closing it stays with the caller.
//
// An err goes before a resp. Errors are told by type; one that is not known is
// Final, and so is every error once the context of req is done. A nil req counts
// as a GET.
func Of(req *http.Request, resp *http.Response, err error) Outcome {
	if err != nil || resp == nil {
		return ofError(req, err)
	}
	o := Outcome{Status: resp.StatusCode, Kind: kindOfStatus(resp.StatusCode)}
	if o.Status >= 200 && o.Status < 300 {
		o.Acted = ActedYes
	}
	switch o.Status {
	case http.StatusAccepted:
		o.accepted(req, resp)
	case http.StatusTooManyRequests:
		o.Class, o.Acted = Throttled, ActedNo
	case http.StatusServiceUnavailable:
		o.Class = Throttled
		o.named(req, resp)
	case http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		o.Class = Transient
	case http.StatusInternalServerError:
		o.Class = Transient
		o.named(req, resp)
		if o.Code == "internal" {
			o.Class = Final
		}
	case http.StatusConflict, http.StatusForbidden:
		o.named(req, resp)
	case http.StatusBadRequest:
		f := o.named(req, resp)
		if f.Message == "" { // a header gave the code alone
			f.Message = readBody(resp).Message
		}
		if strings.HasPrefix(f.Message, "Row data was saved.") {
			o.Acted = ActedYes
		}
	}
	return o
}

// Settled reports whether a response of this status is [Final] whatever else it
// says. Of it, only the Kind, the Code and Acted are left for [Of] to find out.
func Settled(status int) bool {
	switch status {
	case http.StatusAccepted, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return true
}

// named lets the server's error code have its say in o.
func (o *Outcome) named(req *http.Request, resp *http.Response) fields {
	f := read(resp)
	o.Code = withoutCredentials(f.Code, cmp.Or(resp.Request, req))
	if k, ok := kindOfCode(f.Code); ok {
		o.Kind = k
	}
	switch o.Kind {
	case RowCacheTimeout, RowIDCache, UncheckedClientHTTP:
		if !Settled(o.Status) {
			o.Class = Transient
		}
	}
	if refused(f.Code) && !Settled(o.Status) {
		o.Acted = ActedNo
		if o.Class == Final {
			o.Class = Transient
		}
	}
	return f
}

// refused reports whether code says that nothing was applied, come back later.
func refused(code string) bool {
	switch lastSegment(code) {
	case "cannot-acquire-write-lock", // 409 soda.dataset.cannot-acquire-write-lock
		"feedback-in-progress",     // 409 soda.dataset. and update.dataset.
		"collocate-lock-timeout",   // 409 soda.collocate-lock-timeout
		"temporarily-not-writable", // 409 update.dataset.temporarily-not-writable
		"read-only-mode",           // 503 update.read-only-mode
		"schema-out-of-sync":       // 500: the schema was refreshed, nothing else
		return true
	}
	return false
}

// accepted tells a 202 that stands for work in progress from one that is the
// answer. DSMAPI (/api/publishing/) documents 202 as its success. The body is
// read in any case: its connection is free then, and it can still be handed
// back.
func (o *Outcome) accepted(req *http.Request, resp *http.Response) fields {
	if req == nil {
		req = resp.Request
	}
	if req != nil && req.URL != nil && strings.HasPrefix(req.URL.Path, "/api/publishing/") {
		return fields{}
	}
	f := readBody(resp)
	o.Code = withoutCredentials(f.Code, cmp.Or(resp.Request, req))
	switch {
	case f.Failed:
		o.Acted = ActedUnknown // a failed job, whatever its status
	case location(resp) != "":
		if ResultURL(req, resp) != nil {
			o.Class = Pending
		}
	case f.Ticket != "", f.Code == "accepted", readOnly(req):
		o.Class = Pending
	}
	return f
}

// ResultURL returns where the result of a [Pending] 202 is to be asked for with
// GET: its Location or X-SODA2-Location, resolved against the request's URL, or
// that URL itself with the ticket of the body added to its query. It returns nil
// if the 202 names no place, or one that is not a URL of the same origin as the
// request. A read that is Pending with no such place is to be repeated as it was.
// It keeps the request's userinfo and no fragment. A nil req means resp.Request.
func ResultURL(req *http.Request, resp *http.Response) *url.URL {
	if req == nil {
		req = resp.Request
	}
	if req == nil || req.URL == nil {
		return nil
	}
	if loc := location(resp); loc != "" {
		u, err := req.URL.Parse(loc)
		if err != nil || !SameOrigin(u, req.URL) {
			return nil
		}
		u.User, u.Fragment, u.RawFragment = req.URL.User, "", ""
		return u
	}
	t := readBody(resp).Ticket
	if t == "" || len(t) > maxTicket {
		return nil
	}
	u := *req.URL
	u.RawQuery = withTicket(u.RawQuery, t)
	u.Fragment, u.RawFragment = "", ""
	return &u
}

// maxTicket bounds a ticket, which is a UUID of 36 bytes, so that a garbled
// body cannot make a URL that no server takes.
const maxTicket = 512

// withTicket returns the query with its ticket set, and all else as it was.
func withTicket(query, ticket string) string {
	var keep []string
	for part := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(part, "="); part != "" && name != "ticket" {
			keep = append(keep, part)
		}
	}
	return strings.Join(append(keep, "ticket="+url.QueryEscape(ticket)), "&")
}

func location(resp *http.Response) string {
	if l := resp.Header.Get("Location"); l != "" {
		return l
	}
	return resp.Header.Get("X-Soda2-Location")
}

// SameOrigin reports whether a and b have the same scheme, host and port, a
// missing port being the scheme's own (RFC 6454, section 5). A nil URL has
// no origin.
func SameOrigin(a, b *url.URL) bool {
	return a != nil && b != nil && strings.EqualFold(a.Scheme, b.Scheme) &&
		strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	case strings.EqualFold(u.Scheme, "http"):
		return "80"
	}
	return ""
}
