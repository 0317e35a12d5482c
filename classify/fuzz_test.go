package classify_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"", "0", "-5", "1.5", "99999999999999999999", "Sun, 01 Mar 2026 12:01:00 GMT", "Sun Mar  1 12:01:00 2026", `"a";r=0;t=30, "b"`, "limit=1, remaining=0, reset=5", "1772366430"} {
		for i := range 6 {
			f.Add(uint8(i), v, "Sun, 01 Mar 2026 12:00:00 GMT", int64(1772366400))
		}
	}
	names := []string{"Retry-After", "X-SODA2-Retry-After", "RateLimit", "RateLimit-Reset", "X-RateLimit-Reset", "X-RateLimit-Remaining"}
	f.Fuzz(func(t *testing.T, name uint8, value, date string, unix int64) {
		h := make(http.Header)
		h.Set(names[int(name)%len(names)], value)
		h.Add("X-RateLimit-Reset", value)
		h.Set("Date", date)
		if d, ok := classify.RetryAfter(h, time.Unix(unix, 0)); d < 0 || !ok && d != 0 {
			t.Errorf("%v gives %v, %v", h, d, ok)
		}
	})
}

func FuzzOf(f *testing.F) {
	for _, status := range []int{200, 202, 400, 403, 404, 409, 429, 500, 503, 504} {
		for _, body := range bodies {
			f.Add(status, []byte(body), "", "", "", true)
		}
	}
	f.Add(500, []byte(zip(`{"code":"internal"}`)), "", "gzip", "", false)
	f.Add(500, []byte(zip(`{"code":"internal"}`)[:20]), "", "GZIP", "", false)
	f.Add(503, []byte("<html>"), "row_cache_timeout", "br", "", false)
	f.Add(202, []byte(`{"ticket":"7"}`), "", "", "https://evil.example/", true)
	f.Fuzz(func(t *testing.T, status int, body []byte, code, encoding, location string, post bool) {
		req := newRequest("GET", dataset)
		if post {
			req.Method = "POST"
		}
		resp := respond(req, status, string(body), "X-Error-Code", code, "Content-Encoding", encoding, "Location", location)
		got := classify.Of(req, resp, nil)
		if got.Class > classify.Pending || got.Acted > classify.ActedYes || int(got.Kind) > len(golden) || got.Status != status {
			t.Errorf("got %+v", got)
		}
		if classify.Settled(status) && got.Class != classify.Final {
			t.Errorf("%d is settled, but got %v", status, got.Class)
		}
		if again := classify.Of(req, resp, nil); again != got {
			t.Errorf("got %+v, then %+v", got, again)
		}
		err := classify.Check(resp)
		if (err != nil) != (status >= 400 || got.Class == classify.Pending) {
			t.Errorf("%d %v: Check says %v", status, got.Class, err)
		}
		var e *classify.Error
		if errors.As(err, &e) && (strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 700) {
			t.Errorf("Error is %q", err.Error())
		}
		if e != nil && got.Code != "" && (e.Code != got.Code || e.Kind != got.Kind) && status != 202 {
			t.Errorf("Of says %v %q, Check %v %q", got.Kind, got.Code, e.Kind, e.Code)
		}
		if b, err := io.ReadAll(resp.Body); !bytes.Equal(b, body) || err != nil {
			t.Errorf("%d of %d bytes came back, %v", len(b), len(body), err)
		}
	})
}

func FuzzRedact(f *testing.F) {
	for i := range uint8(9) {
		f.Add(i, "$limit", "$$app_token", "&")
		f.Add(i, "a;b", "%24", ";")
		f.Add(i, "", "", "?#")
	}
	f.Fuzz(func(t *testing.T, place uint8, before, name, after string) {
		u := newRequest("GET", dataset).URL
		switch place % 9 {
		case 0:
			u.RawQuery = before + "&" + name + "=" + token + after
		case 1:
			u.RawQuery = before + token + after // bare, or part of a name or value
		case 2:
			u.RawQuery = before + "&" + token + "=" + after
		case 3:
			u.User = url.UserPassword(name, token)
			u.RawQuery = before
		case 4:
			u.User = url.User(token)
			u.RawQuery = after
		case 5:
			u.Fragment = before + token
			u.RawQuery = after
		case 6:
			u.RawQuery = url.QueryEscape(name) + "=" + url.QueryEscape(before+token+after)
		case 7:
			u.RawQuery = url.Values{name: {token}, before: {after, token}}.Encode()
		case 8:
			u.Opaque = before + token
		}
		if strings.Contains(before+name+after, token) {
			return
		}
		got := classify.Redact(u)
		if strings.Contains(got, token) {
			t.Errorf("%s shows the token", got)
		}
		if _, err := url.Parse(got); err != nil {
			t.Errorf("%s is no URL: %v", got, err)
		}
	})
}

func FuzzResultURL(f *testing.F) {
	for _, loc := range []string{"", "/jobs/7", "//evil.example/", "https://evil.example/", "https://data.example.gov@evil.example/", "http://data.example.gov/", "https:jobs", "?a#b", "\\\\evil.example", "https://data.example.gov:443/x"} {
		f.Add(dataset+"?ticket=old", loc, "7cf317cb")
		f.Add("http://me:pw@[::1]:8080/api/imports2#top", loc, "a b&c#d")
	}
	f.Add("//:A:", "0", "0")
	f.Fuzz(func(t *testing.T, at, location, ticket string) {
		req, err := http.NewRequest("POST", at, nil)
		if err != nil {
			return
		}
		before := req.URL.String()
		if _, err := url.Parse(before); err != nil {
			return // net/http's own reading of it is no URL, such as that of //:A:
		}
		u := classify.ResultURL(req, respond(req, 202, `{"ticket":"`+ticket+`"}`, "Location", location))
		if req.URL.String() != before {
			t.Errorf("the request's URL was written on: %s", req.URL)
		}
		if u == nil {
			return
		}
		if !classify.SameOrigin(u, req.URL) {
			t.Errorf("%s sends to %s", req.URL, u)
		}
		if back, err := url.Parse(u.String()); req.URL.Host != "" && (err != nil || !classify.SameOrigin(back, req.URL)) {
			t.Errorf("%s sends to %s, read again: %v, %v", req.URL, u, back, err)
		}
		if u.Fragment != "" || u.User.String() != req.URL.User.String() {
			t.Errorf("%s sends to %s", req.URL, u)
		}
	})
}
