package classify_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
)

const token = "qTzKxWvB3nYp8mLd0sGfR5hJc" // 25 letters and digits, as app tokens have

func TestCheckOfNothing(t *testing.T) {
	if err := classify.Check(nil); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	req := newRequest("GET", dataset+"?$$app_token="+token+"&$limit=5")
	for _, status := range []int{101, 200, 201, 204, 299, 301, 304, 399} {
		if err := classify.Check(respond(req, status, `{"error":true,"code":"internal"}`)); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	err := classify.Check(respond(req, 404, `{"code":"dataset.missing","message":"Not found","data":{"id":"songs"}}`, "X-Socrata-RequestId", "0123abcd"))
	var e *classify.Error
	if !errors.As(fmt.Errorf("page 3: %w", err), &e) {
		t.Fatalf("got %v", err)
	}
	want := classify.Error{Kind: classify.NotFound, Status: 404, Code: "dataset.missing", Message: "Not found", RequestID: "0123abcd", Method: "GET", URL: dataset + "?$$app_token=***&$limit=5"}
	if got := *e; string(got.Data) != `{"id":"songs"}` || got.Kind != want.Kind || got.Status != want.Status || got.Code != want.Code ||
		got.Message != want.Message || got.RequestID != want.RequestID || got.Method != want.Method || got.URL != want.URL {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !errors.Is(err, classify.NotFound) || errors.Is(err, classify.Internal) || errors.Unwrap(err) != classify.NotFound {
		t.Errorf("errors.Is does not see %v", e.Kind)
	}
	if err := classify.Check(respond(req, 599, "")); !errors.Is(err, classify.Unlisted) {
		t.Errorf("599: %v", err)
	}
}

func TestErrorText(t *testing.T) {
	const at = "socrata: GET https://data.example.gov/x: "
	req := newRequest("GET", "https://data.example.gov/x")
	for _, c := range []struct {
		name   string
		status int
		body   string
		header []string
		want   string
	}{
		{"all there is", 404, `{"code":"dataset.missing","message":"Not found"}`, []string{"X-Socrata-RequestId", "abc"}, at + "404 dataset.missing: Not found (request id abc)"},
		{"from the header", 404, "", []string{"X-Error-Code", "not_found", "X-Error-Message", "Not found"}, at + "404 not_found: Not found"},
		{"the header's code goes first, the body's message", 404, `{"code":"a","message":"b"}`, []string{"X-Error-Code", "not_found", "X-Error-Message", "c"}, at + "404 not_found: b"},
		{"a status in the catalogue", 429, "", nil, at + "429 too many requests"},
		{"a status that HTTP knows", 502, "<html>", nil, at + "502 bad gateway"},
		{"a status nobody knows", 599, "", nil, at + "599"},
		{"the query is cut off", 400, `{"code":"x","message":"No such column: y; position: Map(row -> 1, line -> SELECT secret)"}`, nil, at + "400 x: No such column: y"},
		{"a long message", 400, `{"code":"x","message":"` + strings.Repeat("m", 301) + `"}`, nil, at + "400 x: " + strings.Repeat("m", 300) + "…"},
		{"a message just short enough", 400, `{"code":"x","message":"` + strings.Repeat("m", 300) + `"}`, nil, at + "400 x: " + strings.Repeat("m", 300)},
		{"cut within a letter", 400, `{"code":"x","message":"` + strings.Repeat("m", 299) + `éé"}`, nil, at + "400 x: " + strings.Repeat("m", 299) + "…"},
		{"a long code", 400, `{"code":"` + strings.Repeat("c", 101) + `"}`, nil, at + "400 " + strings.Repeat("c", 100) + "…"},
		{"several lines", 400, `{"code":"x\ny","message":"a\r\nb\u001b[31m"}`, nil, at + "400 x y: a  b [31m"},
		{"a pending 202", 202, `{"code":"accepted","ticket":"7"}`, nil, at + "202 accepted"},
	} {
		if got := classify.Check(respond(req, c.status, c.body, c.header...)).Error(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	if got := classify.Check(respond(nil, 500, "")).Error(); got != "socrata: 500 internal" {
		t.Errorf("without a request: %s", got)
	}
	if got := classify.Check(respond(&http.Request{}, 500, "")).Error(); got != "socrata: GET : 500 internal" {
		t.Errorf("without a URL: %s", got)
	}
}

func TestErrorHasNoSecret(t *testing.T) {
	for name, req := range map[string]func(*http.Request){
		"X-App-Token":               func(r *http.Request) { r.Header.Set("X-App-Token", token) },
		"Authorization":             func(r *http.Request) { r.Header.Set("Authorization", "OAuth "+token) },
		"the mistaken header":       func(r *http.Request) { r.Header.Set("Authentication", "OAuth "+token) },
		"$$app_token":               func(r *http.Request) { r.URL.RawQuery = "$$app_token=" + token },
		"app_token, among others":   func(r *http.Request) { r.URL.RawQuery = "$limit=1&app_token=" + token },
		"access_token":              func(r *http.Request) { r.URL.RawQuery = "access_token=" + token },
		"client_secret":             func(r *http.Request) { r.URL.RawQuery = "client_secret=" + token },
		"a job's ticket":            func(r *http.Request) { r.URL.RawQuery = "ticket=" + token },
		"a password":                func(r *http.Request) { r.URL.User = url.UserPassword("me", token) },
		"$$app_token, %-encoded":    func(r *http.Request) { r.URL.RawQuery = "%24%24app_token=%71" + token[1:] },
		"a fragment and app_token=": func(r *http.Request) { r.URL.Fragment, r.URL.RawQuery = token, "app_token="+token },
	} {
		r := newRequest("GET", dataset)
		req(r)
		err := classify.Check(respond(r, 403, `{"code":"permission_denied","message":"Invalid token `+token+` specified, `+token+`"}`, "X-Socrata-RequestId", "abc"))
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		if strings.Contains(text, token) || !strings.Contains(err.Error(), "Invalid token *** specified, *** (request id abc)") {
			t.Errorf("%s: %s", name, text)
		}
	}
	r := newRequest("GET", dataset)
	r.Header.Set("X-App-Token", "a") // no token at all
	if err := classify.Check(respond(r, 403, `{"message":"a bad day"}`)); !strings.Contains(err.Error(), "a bad day") {
		t.Errorf("got %v", err)
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing to hide", "https://x.gov/resource/abcd-1234.json", "https://x.gov/resource/abcd-1234.json"},
		{"a port and an encoded path", "http://x.gov:8080/a%2Fb/c%20d", "http://x.gov:8080/a%2Fb/c%20d"},
		{"userinfo", "https://me:" + token + "@x.gov/", "https://x.gov/"},
		{"a user alone", "https://" + token + "@x.gov/", "https://x.gov/"},
		{"a fragment", "https://x.gov/#access_token=" + token, "https://x.gov/"},
		{"a fragment after a query", "https://x.gov/?$limit=1#" + token, "https://x.gov/?$limit=1"},
		{"$$app_token", "https://x.gov/?$$app_token=" + token, "https://x.gov/?$$app_token=***"},
		{"an encoded name", "https://x.gov/?%24%24app_token=" + token, "https://x.gov/?$$app_token=***"},
		{"a ticket", "https://x.gov/?method=append&ticket=" + token, "https://x.gov/?method=***&ticket=***"},
		{"a token with = in it", "https://x.gov/?t=" + token + "==", "https://x.gov/?t=***"},
		{"a bare token", "https://x.gov/?" + token, "https://x.gov/?***"},
		{"a bare token among others", "https://x.gov/?$limit=1&" + token + "&a=b", "https://x.gov/?$limit=1&***&a=***"},
		{"a token as a name", "https://x.gov/?" + token + "=", "https://x.gov/?***"},
		{"a token as a name with a value", "https://x.gov/?" + token + "=1", "https://x.gov/?***"},
		{"a UUID as a name", "https://x.gov/?a17cf317-d0a7-4f1d-aee5-9afe9f5042e2=1", "https://x.gov/?***"},
		{"a token behind a semicolon", "https://x.gov/?$limit=1;t=" + token, "https://x.gov/?$limit=***"},
		{"a token behind a semicolon, in the name", "https://x.gov/?a;" + token + "=1", "https://x.gov/?***"},
		{"an encoding that is none", "https://x.gov/?%zz=" + token, "https://x.gov/?***"},
		{"no name", "https://x.gov/?=" + token, "https://x.gov/?***"},
		{"a name too long", "https://x.gov/?" + strings.Repeat("a_", 33) + "=1", "https://x.gov/?***"},
		{"people's data", "https://x.gov/?$where=ssn='123-45-6789'&name=Jane", "https://x.gov/?$where=***&name=***"},
		{"columns", "https://x.gov/?:@computed_region_2abc=1&geo.lat=2&expectedDataVersion=3", "https://x.gov/?:@computed_region_2abc=***&geo.lat=***&expectedDataVersion=***"},
		{"numbers that page", "https://x.gov/?$limit=50000&$offset=0&limit=1&offset=2&pageNumber=3&pageSize=4&$$query_timeout_seconds=600", "https://x.gov/?$limit=50000&$offset=0&limit=1&offset=2&pageNumber=3&pageSize=4&$$query_timeout_seconds=600"},
		{"a limit that is no number", "https://x.gov/?$limit=" + token, "https://x.gov/?$limit=***"},
		{"a limit that is a long number", "https://x.gov/?$limit=123456789012345678901", "https://x.gov/?$limit=***"},
		{"a limit of nothing", "https://x.gov/?$limit=", "https://x.gov/?$limit=***"},
		{"empty parts", "https://x.gov/?&a=b&", "https://x.gov/?***&a=***&***"},
		{"an empty query", "https://x.gov/?", "https://x.gov/"},
		{"no host", "mailto:" + token, "mailto:"},
	} {
		u, err := url.Parse(c.in)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := classify.Redact(u); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if before, _ := url.Parse(c.in); *before != *u && before.User == nil {
			t.Errorf("%s: the URL was written on: %s", c.name, u)
		}
	}
	if got := classify.Redact(nil); got != "" {
		t.Errorf("nil: %q", got)
	}
}
