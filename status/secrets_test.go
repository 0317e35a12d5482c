package status_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/status"
	"github.com/sodahttp/sodahttp/transport"
)

// places are where a request has a secret.
var places = []string{"$$app_token", "access_token", "unknown_param", "X-App-Token", "Authorization", "Cookie", "password", "fragment", "body", "Set-Cookie"}

func secret(place string) string { return "s3cr3t/" + place + "+7f==" }

// TestNoSecretIsShown plants a secret wherever one can travel, lets the server
// and Base repeat them all, and searches the page in each of its forms.
func TestNoSecretIsShown(t *testing.T) {
	all := func(r *http.Request) string {
		var told []string
		for _, place := range places {
			told = append(told, secret(place))
		}
		return r.URL.String() + " " + strings.Join(told, " ")
	}
	for name, base := range map[string]baseFunc{
		"a throttle": func(r *http.Request) (*http.Response, error) { return leaky(503, all(r)), nil },
		"a refusal":  func(r *http.Request) (*http.Response, error) { return leaky(403, all(r)), nil },
		"a lock":     func(r *http.Request) (*http.Response, error) { return leaky(409, all(r)), nil },
		"a passing error": func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Put", URL: r.URL.String(), Err: fmt.Errorf("at %s: %w", r.URL.RequestURI(), io.ErrUnexpectedEOF)}
		},
		"a final error": func(r *http.Request) (*http.Response, error) { return nil, errors.New("PUT " + r.URL.String()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				page := &status.Handler{Pacer: new(pace.Pacer)}
				rt := &transport.Transport{
					Base: &transport.AppToken{Token: secret("X-App-Token"), Base: base}, Pacer: page.Pacer, OnEvent: page.OnEvent,
					Policy: policy.Policy{MaxAttempts: 3},
				}
				for _, own := range []string{secret("X-App-Token"), ""} {
					resp, err := rt.RoundTrip(plant(t, own))
					if err == nil {
						resp.Body.Close()
					}
				}
				for _, kind := range []string{"text/plain", "text/html", "application/json"} {
					look(t, kind, get(page, "/", kind).Body.String())
				}
			})
		})
	}
}

// plant returns a request with a secret in every place.
func plant(t *testing.T, token string) *http.Request {
	q := url.Values{"$limit": {"5"}, "$where": {"name='Jane Doe'"}}
	for _, name := range places[:3] {
		q.Set(name, secret(name))
	}
	u := &url.URL{Scheme: "https", Host: "data.test", Path: "/resource/abcd-1234.json", User: url.UserPassword("me", secret("password")),
		RawQuery: q.Encode(), Fragment: secret("fragment")}
	req, err := http.NewRequestWithContext(t.Context(), "PUT", u.String(), strings.NewReader(secret("body")))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-App-Token", token)
	}
	req.Header.Set("Authorization", "Bearer "+secret("Authorization"))
	req.Header.Set("Cookie", "_core_session_id="+secret("Cookie"))
	return req
}

// leaky is a server that repeats what it was told.
func leaky(status int, told string) *http.Response {
	resp := answer(status, "Content-Type", "application/json", "Set-Cookie", "_core_session_id="+secret("Set-Cookie"))
	body, _ := json.Marshal(map[string]any{"code": "no", "message": "Jane Doe asked with " + told})
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

// look searches a page for the secrets as they are, escaped, and in base64.
func look(t *testing.T, kind, text string) {
	t.Helper()
	contains(t, kind, text, "abcd-1234.json?$$app_token=***", "$limit=5", "data.test") // there is something to search
	text += html.UnescapeString(text)
	for _, place := range places {
		s := secret(place)
		for _, form := range []string{
			s, url.QueryEscape(s), url.PathEscape(s), strings.TrimSuffix(s, "==")[7:], // past the first slash
			base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte("me:" + s)),
		} {
			if form != place && strings.Contains(text, form) {
				t.Errorf("%s shows the secret of %s, %q:\n%s", kind, place, form, text)
			}
		}
	}
	if strings.Contains(text, "Jane Doe") {
		t.Errorf("%s shows what the server said:\n%s", kind, text)
	}
}
