package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sodahttp/sodahttp/classify"
)

const appToken = "X-App-Token"

// An AppToken is an http.RoundTripper that adds Socrata's application token to
// requests that have none, and never to a redirect hop to another origin. A
// client that asks other hosts too needs Host. It is safe for concurrent use.
type AppToken struct {
	// Token is the application token, sent as X-App-Token. If empty, requests
	// go out as they are.
	Token string

	// Host is the one that gets the token, with its port unless that is the
	// scheme's own, such as "data.cityofnewyork.us". If empty, every host that
	// is asked other than by a redirect gets it.
	Host string

	// Optional answers a 403 which says that the token is not a valid one by
	// one attempt without it, where the body can be had again: what is public
	// can be read without a token. Every request then costs two, and a Pacer
	// counts them as one: see that somebody is told. If false, the 403 goes
	// back.
	Optional bool

	// OnRefused is told of each 403 that Optional answers with another
	// attempt, before that is made, from the goroutine of the RoundTrip. If
	// nil, nobody is told.
	OnRefused func(*classify.Error)

	// Base sends the requests. If nil, http.DefaultTransport is used.
	Base http.RoundTripper
}

// RoundTrip sends req, or a copy of it with the token.
func (a *AppToken) RoundTrip(req *http.Request) (*http.Response, error) {
	base := orDefault(a.Base)
	if req == nil || strayed(req) {
		return base.RoundTrip(withoutSecrets(req))
	}
	if a.Token == "" || hasToken(req.Header) || a.Host != "" && !a.isHost(req.URL) {
		return base.RoundTrip(req)
	}
	r := *req
	if r.Header = req.Header.Clone(); r.Header == nil {
		r.Header = make(http.Header)
	}
	r.Header.Set(appToken, a.Token)
	resp, err := base.RoundTrip(&r)
	if err != nil || resp == nil {
		return resp, err
	}
	if resp.Request == nil {
		resp.Request = &r // so that a token which the answer repeats is known for one
	}
	if a.Optional && resp.StatusCode == http.StatusForbidden {
		return a.without(base, req, resp)
	}
	return resp, err
}

// without sends req without the token if that is what the 403 in hand is about.
// The server has refused the request at its door, whatever its method.
func (a *AppToken) without(base http.RoundTripper, req *http.Request, resp *http.Response) (*http.Response, error) {
	var said *classify.Error
	if !errors.As(classify.Check(resp), &said) || !said.AppTokenRefused() {
		return resp, nil
	}
	again := *req
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return resp, nil
		}
		body, err := req.GetBody()
		if err != nil || body == nil {
			return resp, nil
		}
		again.Body = body
	}
	drain(resp.Body)
	a.tell(said, &again)
	return base.RoundTrip(&again)
}

// tell tells OnRefused, and closes the body of the next request if it panics.
func (a *AppToken) tell(said *classify.Error, again *http.Request) {
	if a.OnRefused == nil {
		return
	}
	told := false
	defer func() {
		if !told {
			closeBody(again)
		}
	}()
	a.OnRefused(said)
	told = true
}

// isHost reports whether u is of a.Host.
func (a *AppToken) isHost(u *url.URL) bool {
	return u != nil && classify.SameOrigin(u, &url.URL{Scheme: u.Scheme, Host: a.Host})
}

// CloseIdleConnections closes those of Base.
func (a *AppToken) CloseIdleConnections() { closeIdle(orDefault(a.Base)) }

// String keeps the token out of what is printed, and tells whether there is one.
func (a AppToken) String() string {
	token := `""`
	if a.Token != "" {
		token = "***"
	}
	return fmt.Sprintf("transport.AppToken{Host: %q, Optional: %v, Token: %s}", a.Host, a.Optional, token)
}

// GoString keeps the token out of what is printed.
func (a AppToken) GoString() string { return a.String() }

// MarshalText keeps the token out of JSON and logs.
func (a AppToken) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// withoutSecrets returns req, or if it is a redirect hop that has strayed, a
// copy without the tokens that net/http does not know to be secret. It takes
// care of Authorization and cookies itself.
func withoutSecrets(req *http.Request) *http.Request {
	if req == nil || req.Response == nil || !strayed(req) {
		return req
	}
	r := *req
	r.Header = req.Header.Clone()
	for name := range r.Header { // a key set in the map may be in any case
		switch http.CanonicalHeaderKey(name) {
		case appToken, "Authentication": // Socrata's documentation has this for Authorization
			delete(r.Header, name)
		case "Referer": // net/http puts the query there, $$app_token and all
			pages := slices.Clone(r.Header[name])
			for i, page := range pages {
				pages[i], _, _ = strings.Cut(page, "?")
			}
			r.Header[name] = pages
		}
	}
	return &r
}

// hasToken reports whether h has an application token, in whatever case.
func hasToken(h http.Header) bool {
	for name, values := range h {
		if len(name) == len(appToken) && http.CanonicalHeaderKey(name) == appToken && strings.Join(values, "") != "" {
			return true
		}
	}
	return false
}

// strayed reports whether a redirect has ever led req off its origin. The
// http.Client copies the first request's headers to every hop, and so a hop
// that comes back is not trusted again.
func strayed(req *http.Request) bool {
	hops := 0
	for r := req; r.Response != nil; r = r.Response.Request {
		from := r.Response.Request
		if hops++; hops > 100 { // no client follows so many
			return true
		}
		if from == nil || from.URL == nil || r.URL == nil || !sameSite(from.URL, r.URL) {
			return true
		}
	}
	return false
}

// sameSite reports whether to is of the same origin as from, or its upgrade to
// https.
func sameSite(from, to *url.URL) bool {
	upgrade := strings.EqualFold(from.Scheme, "http") && strings.EqualFold(to.Scheme, "https") &&
		strings.EqualFold(from.Hostname(), to.Hostname()) &&
		(from.Port() == "" || from.Port() == "80") && (to.Port() == "" || to.Port() == "443")
	return upgrade || classify.SameOrigin(from, to)
}
