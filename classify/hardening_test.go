package classify_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

func TestCredentialsAreBlanked(t *testing.T) {
	const secret = "s3cret-s3cret"
	for name, set := range map[string]func(*http.Request){
		"a second X-App-Token":           func(r *http.Request) { r.Header["X-App-Token"] = []string{"first-token", secret} },
		"a key in lower case":            func(r *http.Request) { r.Header["x-app-token"] = []string{secret} },
		"Authorization without a scheme": func(r *http.Request) { r.Header.Set("Authorization", secret) },
		"Authorization with one":         func(r *http.Request) { r.Header.Set("Authorization", "OAuth "+secret) },
		"a password":                     func(r *http.Request) { r.SetBasicAuth("me", secret) },
		"a user that is a token":         func(r *http.Request) { r.URL.User = url.User(secret) },
		"a second $$app_token":           func(r *http.Request) { r.URL.RawQuery = "$$app_token=first-token&$$app_token=" + secret },
		"a cookie":                       func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "_core_session_id", Value: secret}) },
	} {
		req := newRequest("GET", "https://data.example.gov/resource/abcd-1234.json")
		set(req)
		err := classify.Check(respond(req, 403, `{"message":"no such token: `+secret+`"}`))
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "no such token: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProofOfUnsent(t *testing.T) {
	for _, row := range []struct {
		name  string
		err   error
		class classify.Class
		acted classify.Acted
	}{
		{"a refused connection", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, classify.Transient, classify.ActedNo},
		{"a refusal that was read", &net.OpError{Op: "read", Err: syscall.ECONNREFUSED}, classify.Transient, classify.ActedUnknown},
		{"a proxy that is not available", errors.New("Service Unavailable"), classify.Transient, classify.ActedNo},
		{"a proxy that wants a password", errors.New("Proxy Authentication Required"), classify.Final, classify.ActedUnknown},
	} {
		if o := classify.Of(newRequest("POST", "https://data.example.gov/"), nil, row.err); o.Class != row.class || o.Acted != row.acted {
			t.Errorf("%s: got %v, acted %v, want %v, %v", row.name, o.Class, o.Acted, row.class, row.acted)
		}
	}
}

func TestResetInMilliseconds(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	d, ok := classify.RetryAfter(http.Header{"X-Ratelimit-Reset": {"1700000005000"}}, now)
	if d != 5*time.Second || !ok {
		t.Errorf("got %v, %v, want 5s", d, ok)
	}
}

func TestFailedJob(t *testing.T) {
	err := classify.Check(respond(newRequest("POST", "https://data.example.gov/api/imports2.json"), 202, `{"error":true,"message":"bad row"}`))
	if err == nil || errors.Is(err, classify.Accepted) || !strings.Contains(err.Error(), "202 job failed: bad row") {
		t.Errorf("got %v, want the job's failure", err)
	}
}
