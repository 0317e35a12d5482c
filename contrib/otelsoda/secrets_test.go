package otelsoda_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// places are where a request has a secret.
var places = []string{"$$app_token", "access_token", "unknown_param", "X-App-Token", "Authorization", "Cookie", "password", "fragment", "body", "Set-Cookie", "Location"}

func secret(place string) string { return "s3cr3t/" + place + "+7f==" }

// TestNoSecretIsTold plants a secret wherever one can travel, lets the server
// and Base repeat the URL, and searches all spans and metrics.
func TestNoSecretIsTold(t *testing.T) {
	for name, base := range map[string]baseFunc{
		"a success":  func(r *http.Request) (*http.Response, error) { return leaky(200, r), nil },
		"a throttle": func(r *http.Request) (*http.Response, error) { return leaky(503, r), nil },
		"a refusal":  func(r *http.Request) (*http.Response, error) { return leaky(403, r), nil },
		"a job": func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" {
				return leaky(500, r), nil
			}
			return leaky(202, r), nil
		},
		"a passing error": func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Put", URL: r.URL.String(), Err: fmt.Errorf("at %s: %w", r.URL.RequestURI(), io.ErrUnexpectedEOF)}
		},
		"a final error": func(r *http.Request) (*http.Response, error) { return nil, errors.New("PUT " + r.URL.String()) },
		"a body's error": func(r *http.Request) (*http.Response, error) {
			resp := leaky(200, r)
			resp.Body = io.NopCloser(torn{errors.New("GET " + r.URL.String())})
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent []*http.Request
				b := newBench(t, &transport.AppToken{Token: secret("X-App-Token"), Base: baseFunc(func(r *http.Request) (*http.Response, error) {
					sent = append(sent, r)
					return base(r)
				})})
				b.Policy.MaxAttempts = 3
				b.Policy.Resend = func(*http.Request) bool { return true }
				b.Policy.Poll = policy.Polling{}
				resp, err := b.RoundTrip(plant(t))
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				var told strings.Builder
				for _, s := range b.spans.GetSpans() {
					fmt.Fprintf(&told, "%s %+v %+v %+v\n", s.Name, s.Attributes, s.Events, s.Status)
				}
				fmt.Fprintln(&told, b.measured())
				look(t, told.String())
				if !strings.Contains(sent[0].URL.RawQuery, url.QueryEscape(secret("access_token"))) || sent[0].URL.User == nil {
					t.Errorf("what was sent is %v", sent[0].URL)
				}
			})
		})
	}
}

type torn struct{ err error }

func (b torn) Read([]byte) (int, error) { return 0, b.err }

// plant returns a request with a secret in every place.
func plant(t *testing.T) *http.Request {
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
	req.Header.Set("Authorization", "Bearer "+secret("Authorization"))
	req.Header.Set("Cookie", "_core_session_id="+secret("Cookie"))
	return req
}

// leaky is a server that repeats what it was told.
func leaky(status int, r *http.Request) *http.Response {
	told := []string{r.URL.String()}
	for _, place := range places {
		told = append(told, secret(place))
	}
	body, _ := json.Marshal(map[string]any{"code": "no", "message": "Jane Doe asked with " + strings.Join(told, " ")})
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(string(body))), Header: http.Header{
		"Content-Type": {"application/json"}, "Set-Cookie": {"_core_session_id=" + secret("Set-Cookie")},
		"Location": {"/jobs/1?ticket=" + url.QueryEscape(secret("Location"))},
	}}
}

// look searches a text for the secrets as they are, escaped, and in base64.
func look(t *testing.T, text string) {
	t.Helper()
	for _, s := range []string{"abcd-1234.json?$$app_token=***", "$limit=5", "data.test"} {
		if !strings.Contains(text, s) {
			t.Errorf("there is no %s to search:\n%s", s, text)
		}
	}
	for _, place := range places {
		s := secret(place)
		for _, form := range []string{
			s, url.QueryEscape(s), url.PathEscape(s), strings.TrimSuffix(s, "==")[7:], // past the first slash
			base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte("me:" + s)),
		} {
			if strings.Contains(text, form) {
				t.Errorf("the secret of %s is told, %q:\n%s", place, form, text)
			}
		}
	}
	if strings.Contains(text, "Jane Doe") {
		t.Errorf("it is told what the server said:\n%s", text)
	}
}
