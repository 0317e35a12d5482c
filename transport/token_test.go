package transport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

const badToken = `{"code":"permission_denied","error":true,"message":"Invalid app_token specified"}`

func TestOptionalToken(t *testing.T) {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Token("good"))
	defer srv.Close()
	for _, row := range []struct {
		name     string
		token    transport.AppToken
		own      string // of the caller
		want     int
		requests int
	}{
		{"a valid one", transport.AppToken{Token: "good", Optional: true}, "", 200, 1},
		{"a bad one", transport.AppToken{Token: "bad", Optional: true}, "", 200, 2},
		{"a bad one that is not optional", transport.AppToken{Token: "bad"}, "", 403, 1},
		{"a bad one of the caller's own", transport.AppToken{Token: "good", Optional: true}, "bad", 403, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(srv.Requests())
			row.token.Base = srv.Transport()
			var told []*classify.Error
			row.token.OnRefused = func(e *classify.Error) { told = append(told, e) }
			req := newRequest(t, "GET", srv.URL+"/resource/"+sodatest.SampleID+".json?$limit=1", nil)
			if row.own != "" {
				req.Header.Set("X-App-Token", row.own)
			}
			resp, err := row.token.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if sent := srv.Requests()[before:]; resp.StatusCode != row.want || len(sent) != row.requests {
				t.Errorf("got %d after %d requests, want %d after %d", resp.StatusCode, len(sent), row.want, row.requests)
			}
			if again := row.requests == 2; again != (len(told) == 1) || again && !told[0].AppTokenRefused() {
				t.Errorf("told of %v", told)
			}
			if err := classify.Check(resp); row.want == 403 && (err == nil || !strings.Contains(err.Error(), "token is not valid")) {
				t.Errorf("the 403 came back as %v", err)
			}
		})
	}
}

func TestOptionalTokenOfABody(t *testing.T) {
	for _, row := range []struct {
		name    string
		getBody func() (io.ReadCloser, error)
		answer  string // of the first attempt
		want    string // the bodies that were sent
		status  int
	}{
		{"a body that can be had again", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("rows")), nil }, badToken, "rows rows", 200},
		{"no GetBody", nil, badToken, "rows", 403},
		{"a GetBody that fails", func() (io.ReadCloser, error) { return nil, errors.New("gone") }, badToken, "rows", 403},
		{"a GetBody that gives none", func() (io.ReadCloser, error) { return nil, nil }, badToken, "rows", 403},
		{"another 403", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("rows")), nil }, `{"message":"no"}`, "rows", 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			var sent []string
			refusal := &closes{Reader: strings.NewReader(row.answer)}
			rt := &transport.AppToken{Token: "bad", Optional: true, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
				b, err := io.ReadAll(r.Body)
				r.Body.Close()
				if sent = append(sent, string(b)); err != nil {
					t.Error(err)
				}
				if r.Header.Get("X-App-Token") == "" {
					return answer(200, "done"), nil
				}
				resp := answer(403, "")
				resp.Body = refusal
				return resp, nil
			})}
			body := &closes{Reader: strings.NewReader("rows")}
			req := newRequest(t, "POST", "http://data.test/resource/abcd-1234.json", nil)
			req.Body, req.GetBody = body, row.getBody
			resp, err := rt.RoundTrip(req)
			if err != nil || resp.StatusCode != row.status || strings.Join(sent, " ") != row.want || body.n.Load() != 1 {
				t.Errorf("got %v, %v; sent %q, the body was closed %d times", resp, err, sent, body.n.Load())
			}
			if b, err := io.ReadAll(resp.Body); row.status == 403 && (err != nil || string(b) != row.answer) {
				t.Errorf("the 403 says %q, %v", b, err)
			}
			if closed := refusal.n.Load() == 1; closed != (row.status == 200) {
				t.Errorf("the 403's body was closed: %v", closed)
			}
		})
	}
}

// TestOnRefusedThatPanics: nothing stays open.
func TestOnRefusedThatPanics(t *testing.T) {
	second := &closes{Reader: strings.NewReader("rows")}
	refusal := &closes{Reader: strings.NewReader(badToken)}
	rt := &transport.AppToken{
		Token: "bad", Optional: true,
		OnRefused: func(*classify.Error) { panic("told") },
		Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			r.Body.Close()
			resp := answer(403, "")
			resp.Body = refusal
			return resp, nil
		}),
	}
	req := newRequest(t, "POST", "http://data.test/resource/abcd-1234.json", strings.NewReader("rows"))
	req.GetBody = func() (io.ReadCloser, error) { return second, nil }
	defer func() {
		if p := recover(); p != "told" || second.n.Load() != 1 || refusal.n.Load() != 1 {
			t.Errorf("got %v; the bodies were closed %d and %d times, want once", p, second.n.Load(), refusal.n.Load())
		}
	}()
	rt.RoundTrip(req)
}

func TestAppTokenInPrint(t *testing.T) {
	for _, row := range []struct {
		token transport.AppToken
		want  string
	}{
		{transport.AppToken{Token: "secret", Host: "data.test", Optional: true}, `transport.AppToken{Host: "data.test", Optional: true, Token: ***}`},
		{transport.AppToken{}, `transport.AppToken{Host: "", Optional: false, Token: ""}`},
	} {
		js, err := json.Marshal(row.token)
		var text string
		if err := errors.Join(err, json.Unmarshal(js, &text)); err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{text, fmt.Sprint(row.token), fmt.Sprintf("%+v", &row.token), fmt.Sprintf("%#v", row.token)} {
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		}
	}
}

// TestRefererOfAStray: a header with no value, or with several, is a
// header.
func TestRefererOfAStray(t *testing.T) {
	for _, c := range []struct{ own, want []string }{
		{nil, nil},
		{[]string{"https://a.test/?x=1", "https://a.test/?y=1"}, []string{"https://a.test/", "https://a.test/"}},
	} {
		var got []string
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			got = r.Header["Referer"]
			return answer(200, ""), nil
		})}
		from := newRequest(t, "GET", "https://a.test/", nil)
		hop := newRequest(t, "GET", "https://b.test/", nil)
		hop.Response = &http.Response{StatusCode: 302, Request: from}
		hop.Header["Referer"] = c.own
		resp, err := rt.RoundTrip(hop)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q was sent as %q, %v", c.own, got, err)
		}
		resp.Body.Close()
	}
}
