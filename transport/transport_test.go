package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/sodatest/contract"
	"github.com/sodahttp/sodahttp/transport"
)

// baseFunc is a Base in a few words.
type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answers is a Base that gives one response after another.
func answers(all ...*http.Response) baseFunc {
	var n atomic.Int32
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		resp := all[min(int(n.Add(1)), len(all))-1]
		resp.Request = r
		return resp, nil
	}
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body))}
}

func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// closes counts the Close calls of a body.
type closes struct {
	io.Reader
	n atomic.Int32
}

func (c *closes) Close() error { c.n.Add(1); return nil }

func TestContract(t *testing.T) {
	contract.Test(t, func(base http.RoundTripper) http.RoundTripper {
		return &transport.Transport{Base: base}
	})
}

func TestContractWithEverything(t *testing.T) {
	contract.Test(t, func(base http.RoundTripper) http.RoundTripper {
		return &transport.AppToken{Token: "t", Base: &transport.Transport{
			Base:    base,
			Policy:  policy.Policy{AttemptTimeout: 10 * time.Minute},
			Limiter: rate.NewLimiter(1000, 1),
			Pacer:   new(pace.Pacer),
			OnEvent: func(transport.Event) {},
		}}
	})
}

func TestFirstAttemptDoesNotAllocate(t *testing.T) {
	for _, row := range []struct {
		method string
		pacer  *pace.Pacer
	}{{"GET", nil}, {"POST", nil}, {"GET", new(pace.Pacer)}} {
		method := row.method
		resp := &http.Response{StatusCode: 200, Body: http.NoBody}
		rt := &transport.Transport{Pacer: row.pacer, Base: baseFunc(func(*http.Request) (*http.Response, error) { return resp, nil })}
		req := newRequest(t, method, "http://data.test/", strings.NewReader("body with GetBody"))
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := rt.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("the first attempt of a %s allocates %v times", method, n)
		}
	}
}

func TestFirstAttemptIsTheCallersRequest(t *testing.T) {
	req := newRequest(t, "PUT", "http://data.test/", strings.NewReader("x"))
	var got *http.Request
	rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) { got = r; return answer(200, ""), nil })}
	if _, err := rt.RoundTrip(req); err != nil || got != req {
		t.Errorf("Base got %p, %v, want %p itself", got, err, req)
	}
}

func TestBadInput(t *testing.T) {
	fails := baseFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("Base was asked") })
	body := &closes{Reader: strings.NewReader("x")}
	for _, row := range []struct {
		name string
		req  *http.Request
		base http.RoundTripper
		want string
	}{
		{"a nil request", nil, fails, "request is nil"},
		{"a nil URL", &http.Request{Body: body}, fails, "no URL"},
		{"an empty method and no header", &http.Request{URL: &url.URL{Scheme: "http", Host: "data.test"}}, fails, "Base was asked"},
		{"a Base that returns nothing", newRequest(t, "GET", "http://data.test/", nil),
			baseFunc(func(*http.Request) (*http.Response, error) { return nil, nil }), "neither a response nor an error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp, err := (&transport.Transport{Base: row.base}).RoundTrip(row.req)
			if resp != nil || err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, %v, want an error with %q", resp, err, row.want)
			}
		})
	}
	if n := body.n.Load(); n != 1 {
		t.Errorf("the body of the request without a URL was closed %d times, want once", n)
	}
}

func TestBaseThatReturnsBoth(t *testing.T) {
	body := &closes{Reader: strings.NewReader("x")}
	both := errors.New("both")
	rt := &transport.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body}, both
	})}
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
	if resp != nil || err != both || body.n.Load() != 1 {
		t.Errorf("got %v, %v, body closed %d times; want the error alone and the body closed", resp, err, body.n.Load())
	}
}

func TestBaseWithoutBody(t *testing.T) {
	rt := &transport.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 404}, nil
	})}
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
	if err != nil || resp.Body == nil {
		t.Errorf("got %v, %v, want a response with a body", resp, err)
	}
}

func TestGarbageTicketAndLocation(t *testing.T) {
	for _, row := range []struct{ name, location, body string }{
		{"a ticket of 1 MiB", "", `{"ticket":"` + strings.Repeat("x", 1<<20) + `"}`},
		{"a ticket that is a number", "", `{"ticket":7}`},
		{"JSON nested 10,000 deep", "", strings.Repeat(`{"a":`, 10000)},
		{"a Location of control characters", "/\x00\x01", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp := answer(202, row.body)
			if row.location != "" {
				resp.Header.Set("Location", row.location)
			}
			got, err := (&transport.Transport{Base: answers(resp)}).RoundTrip(newRequest(t, "POST", "http://data.test/a", nil))
			if err != nil || got.StatusCode != 202 {
				t.Fatalf("got %v, %v, want the 202", got, err)
			}
			if b, err := io.ReadAll(got.Body); err != nil || string(b) != row.body {
				t.Errorf("the body came back with %d of %d bytes, %v", len(b), len(row.body), err)
			}
		})
	}
}

func TestCutGzip(t *testing.T) {
	resp := answer(400, "\x1f\x8b\x08\x00 cut")
	resp.Header.Set("Content-Encoding", "gzip")
	got, err := (&transport.Transport{Base: answers(resp)}).RoundTrip(newRequest(t, "GET", "http://data.test/a", nil))
	if err != nil || got.StatusCode != 400 {
		t.Fatalf("got %v, %v, want the 400", got, err)
	}
	if b, _ := io.ReadAll(got.Body); string(b) != "\x1f\x8b\x08\x00 cut" {
		t.Errorf("body %q came back changed", b)
	}
}

func TestCancelDuringWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the night is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(why) })
		resp := answer(429, "")
		resp.Header.Set("Retry-After", "60")
		body := &closes{Reader: strings.NewReader("x")}
		req := newRequest(t, "PUT", "http://data.test/", nil).WithContext(ctx)
		req.Body, req.GetBody = http.NoBody, nil
		req.Body = io.NopCloser(strings.NewReader("x"))
		req.GetBody = func() (io.ReadCloser, error) { return body, nil }
		start := time.Now()
		_, err := (&transport.Transport{Base: answers(resp)}).RoundTrip(req)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
		var e *transport.Error
		if !errors.As(err, &e) || !errors.Is(err, context.Canceled) || !errors.Is(err, why) || e.Timeout() {
			t.Errorf("got %v, want an *Error that is Canceled and the cause", err)
		}
		if len(e.History) != 1 || e.History[0].Status != 429 || e.History[0].Wait != 3*time.Second {
			t.Errorf("history %v does not tell the 429 and the wait", e.History)
		}
		if n := body.n.Load(); n != 1 {
			t.Errorf("the body that was not sent was closed %d times, want once", n)
		}
	})
}

func TestClientTimeoutCoversAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Every(1, sodatest.Reply{Status: 504, Delay: 3 * time.Second}))
		defer srv.Close()
		client := &http.Client{Timeout: 5 * time.Second, Transport: &transport.Transport{Base: srv.Transport()}}
		start := time.Now()
		_, err := client.Get(srv.URL)
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want the client's 5s", took)
		}
	})
}

func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(),
			sodatest.Replies(sodatest.Reply{Delay: time.Hour}, sodatest.Reply{Delay: time.Second, Bytes: 200 << 10, Status: 200}))
		defer srv.Close()
		rt := &transport.Transport{Base: srv.Transport(), Policy: policy.Policy{AttemptTimeout: 2 * time.Second}}
		resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		time.Sleep(time.Minute) // long past the timeout, which must not cut the body
		if b, err := io.ReadAll(resp.Body); len(b) != 200<<10 || err != nil {
			t.Errorf("read %d bytes, %v", len(b), err)
		}
		h := transport.History(resp)
		if len(h) != 2 || !errors.Is(h[0].Err, context.DeadlineExceeded) || h[0].Class != classify.Transient || h[0].Took != 2*time.Second || h[1].Took != time.Second {
			t.Errorf("history %v, want an attempt that timed out and one that took a second", h)
		}
	})
}

func TestAttemptTimeoutThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Every(1, sodatest.Reply{Delay: time.Hour}))
		defer srv.Close()
		rt := &transport.Transport{Base: srv.Transport(), Policy: policy.Policy{AttemptTimeout: time.Second, MaxAttempts: 3}}
		_, err := (&http.Client{Transport: rt}).Get(srv.URL)
		var e *transport.Error
		if !errors.As(err, &e) || len(e.History) != 3 || !e.Timeout() || !strings.Contains(err.Error(), "AttemptTimeout, 1s") {
			t.Errorf("got %v, want a timeout after 3 attempts", err)
		}
	})
}

func TestLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{
			Base: answers(answer(504, ""), answer(200, "")),
			Policy: policy.Policy{LastWord: func(a policy.Attempt, d policy.Decision) policy.Decision {
				if a.Status == 504 {
					d.Wait = time.Hour
				}
				return d
			}},
		}
		start := time.Now()
		if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil || resp.StatusCode != 200 {
			t.Errorf("got %v, %v", resp, err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("waited %v, want the hour that LastWord said", took)
		}
	})
}

func TestLimiterPacesRetriesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{
			Base:    answers(answer(504, ""), answer(504, ""), answer(200, "")),
			Limiter: rate.NewLimiter(rate.Every(time.Minute), 1),
		}
		start := time.Now()
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil || resp.StatusCode != 200 || time.Since(start).Round(time.Microsecond) != 2*time.Minute {
			t.Errorf("got %v, %v after %v, want 200 after 2 minutes", resp, err, time.Since(start))
		}
	})
}

func TestLimiterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := rate.NewLimiter(rate.Every(time.Minute), 1)
		lim.Allow()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		body := &closes{Reader: strings.NewReader("x")}
		req := newRequest(t, "PUT", "http://data.test/", nil).WithContext(ctx)
		req.Body = body
		start := time.Now()
		_, err := (&transport.Transport{Base: answers(answer(200, "")), Limiter: lim}).RoundTrip(req)
		var e *transport.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || !e.Timeout() || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want DeadlineExceeded at once", err, time.Since(start))
		}
		if n := body.n.Load(); n != 1 {
			t.Errorf("the body was closed %d times, want once", n)
		}
	})
}

// failing is a Limiter that lets the first n through.
type failing struct{ n int }

func (f *failing) Wait(context.Context) error {
	if f.n--; f.n < 0 {
		return errors.New("no more")
	}
	return nil
}

func TestLimiterFailsBetweenPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Base: answers(answer(202, "soon"), answer(202, "later")), Limiter: &failing{2}}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil || resp.StatusCode != 202 {
			t.Fatalf("got %v, %v, want the 202", resp, err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "later" {
			t.Errorf("body %q", b)
		}
	})
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := answer(429, `{"errorCode":"too-many-requests"}`)
		first.Header.Set("Retry-After", "2")
		first.Header.Set("X-Socrata-RequestId", "96914e023b148fc8410d70febfa818e4")
		var events []transport.Event
		rt := &transport.Transport{
			Base:    answers(first, answer(503, "out")),
			Policy:  policy.Policy{MaxAttempts: 2},
			Pacer:   &pace.Pacer{Off: true},
			OnEvent: func(e transport.Event) { events = append(events, e) },
		}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "https://data.test/resource/abcd-1234.json?$limit=5&$$app_token=secret", nil))
		if err != nil {
			t.Fatal(err)
		}
		h := transport.History(resp)
		if len(h) != 2 || len(events) != 2 {
			t.Fatalf("%d attempts, %d events, want 2 and 2", len(h), len(events))
		}
		if a := h[0]; a.Status != 429 || a.Kind != classify.TooManyRequests || a.Class != classify.Throttled || a.Acted != classify.ActedNo ||
			a.RetryAfter != 2*time.Second || a.Wait < 2*time.Second || a.By != policy.ByServer || a.RequestID == "" || a.Why != "" {
			t.Errorf("first attempt %+v", a)
		}
		if a := h[1]; a.Status != 503 || a.Why != "2 of 2 attempts made" || a.Wait != 0 {
			t.Errorf("last attempt %+v", a)
		}
		if events[0].Next != policy.Retry || events[1].Next != policy.Stop || events[1].Attempt().N != 2 || events[0].Context == nil {
			t.Errorf("events %+v", events)
		}
		text := h[0].String() + h[1].String()
		for _, want := range []string{"GET https://data.test/resource/abcd-1234.json?$limit=5", "429 Too Many Requests", "throttled", "server", "gave up: 2 of 2"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not say %q", text, want)
			}
		}
		if strings.Contains(text, "secret") {
			t.Errorf("%q tells the secret", text)
		}
	})
}

func TestHistoryIsFreeWithOneAttempt(t *testing.T) {
	resp, err := (&transport.Transport{Base: answers(answer(404, ""))}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
	if err != nil || transport.History(resp) != nil {
		t.Errorf("got %v, %v; want no history", transport.History(resp), err)
	}
	if transport.History(nil) != nil || transport.History(&http.Response{}) != nil {
		t.Error("a response from elsewhere has a history")
	}
}

func TestHistorySaysWhyThereWasOneAttempt(t *testing.T) {
	req := newRequest(t, "PUT", "http://data.test/", strings.NewReader(strings.Repeat("x", 1<<20+1)))
	req.GetBody = nil
	resp, err := (&transport.Transport{Base: answers(answer(503, ""))}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if h := transport.History(resp); len(h) != 1 || !strings.Contains(h[0].Why, "larger than 1 MiB") {
		t.Errorf("history %v, want the reason", h)
	}
}

func TestRetryAtIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp := answer(429, "")
		resp.Header.Set("Retry-After", "3600")
		got, err := (&transport.Transport{Base: answers(resp)}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		h := transport.History(got)
		if len(h) != 1 || !h[0].RetryAt.Equal(time.Now().Add(time.Hour)) || !strings.Contains(h[0].Why, "MaxRetryAfter") {
			t.Errorf("history %+v, want when to try again", h)
		}
	})
}

func TestErrorAfterAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: "https://data.test/?$limit=1&token=secret", Err: refused}
		})}
		_, err := rt.RoundTrip(newRequest(t, "POST", "https://data.test/", nil))
		var e *transport.Error
		if !errors.As(err, &e) || len(e.History) != 5 || !errors.Is(err, refused) || e.Timeout() {
			t.Fatalf("got %v, want an *Error with 5 attempts", err)
		}
		for _, text := range []string{err.Error(), e.History[0].String()} {
			if strings.Contains(text, "secret") || !strings.Contains(text, "connection refused") {
				t.Errorf("%q", text)
			}
		}
		if !strings.Contains(err.Error(), "after 5 attempts") || !strings.Contains(err.Error(), "5 of 5") {
			t.Errorf("%q does not say how often and why no more", err)
		}
	})
}

func TestErrorTextHidesAURLThatIsNone(t *testing.T) {
	a := transport.Attempt{Err: &url.Error{Op: "Get", URL: "http://data.test/%zz?secret", Err: errors.New("no")}}
	if text := a.String(); strings.Contains(text, "secret") || !strings.Contains(text, "***") {
		t.Errorf("%q", text)
	}
	b := transport.Attempt{Status: 409, Code: "soda.row.dataset-version-mismatch"}
	if text := b.String(); !strings.Contains(text, `"soda.row.dataset-version-mismatch"`) {
		t.Errorf("%q lacks the code", text)
	}
}

func TestErrorOfOneAttemptIsBasesOwn(t *testing.T) {
	own := errors.New("unsupported protocol scheme")
	rt := &transport.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) { return nil, own })}
	if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != own {
		t.Errorf("got %v, want Base's own error", err)
	}
}

func TestGetBodyThatFails(t *testing.T) {
	req := newRequest(t, "PUT", "http://data.test/", strings.NewReader("x"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("the file is gone") }
	resp, err := (&transport.Transport{Base: answers(answer(503, "whole"))}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "whole" || resp.StatusCode != 503 {
		t.Errorf("got %d %q, want the 503 whole", resp.StatusCode, b)
	}
	if h := transport.History(resp); len(h) != 1 || !strings.Contains(h[0].Why, "the file is gone") {
		t.Errorf("history %v does not say why", h)
	}
}

func TestRedirectsLoseTheToken(t *testing.T) {
	seen := make(map[string]string)
	var mu sync.Mutex
	note := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Path] = r.Header.Get("X-App-Token") + r.Header.Get("Authentication")
	}
	var a, b *httptest.Server
	b = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(w, r)
		http.Redirect(w, r, a.URL+"/back", http.StatusFound)
	}))
	defer b.Close()
	a = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(w, r)
		switch r.URL.Path {
		case "/start":
			http.Redirect(w, r, "/same", http.StatusFound)
		case "/same":
			http.Redirect(w, r, b.URL+"/away", http.StatusFound)
		}
	}))
	defer a.Close()
	for name, rt := range map[string]http.RoundTripper{
		"set by hand":      &transport.Transport{},
		"AppToken inside":  &transport.Transport{Base: &transport.AppToken{Token: "secret"}},
		"AppToken outside": &transport.AppToken{Token: "secret", Base: &transport.Transport{}},
		"AppToken alone":   &transport.AppToken{Token: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			clear(seen)
			req := newRequest(t, "GET", a.URL+"/start", nil)
			if name == "set by hand" {
				req.Header.Set("X-App-Token", "secret")
			}
			req.Header.Set("Authentication", "OAuth mine")
			client := &http.Client{Transport: rt}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			client.CloseIdleConnections()
			want := map[string]string{"/start": "secretOAuth mine", "/same": "secretOAuth mine", "/away": "", "/back": ""}
			for path, token := range want {
				if got, ok := seen[path]; !ok || got != token {
					t.Errorf("%s was sent %q, want %q", path, got, token)
				}
			}
			if len(seen) != len(want) {
				t.Errorf("the hops were %v", seen)
			}
		})
	}
}

func TestRedirectsLoseTheTokenInAnyCase(t *testing.T) {
	var got http.Header
	rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return answer(200, ""), nil
	})}
	req := newRequest(t, "GET", "https://other.test/", nil)
	req.Header["x-app-token"] = []string{"secret"}
	req.Header["authentication"] = []string{"secret"}
	req.Header.Set("Referer", "https://data.test/a?$$app_token=secret")
	req.Response = &http.Response{Request: newRequest(t, "GET", "https://data.test/a?$$app_token=secret", nil)}
	if _, err := rt.RoundTrip(req); err != nil || strings.Contains(fmt.Sprint(got), "secret") || got.Get("Referer") != "https://data.test/a" {
		t.Errorf("sent %v, %v", got, err)
	}
	cycle := newRequest(t, "GET", "https://data.test/", nil)
	cycle.Response = &http.Response{Request: cycle}
	if _, err := rt.RoundTrip(cycle); err != nil {
		t.Error(err)
	}
}

func TestAppTokenSeesATokenInAnyCase(t *testing.T) {
	var got http.Header
	rt := &transport.AppToken{Token: "second", Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return answer(200, ""), nil
	})}
	req := newRequest(t, "GET", "https://data.test/", nil)
	req.Header["x-app-token"] = []string{"own"}
	if _, err := rt.RoundTrip(req); err != nil || got.Get("X-App-Token") != "" {
		t.Errorf("sent %v, %v", got, err)
	}
}

func TestPanickingHookLeavesNothingOpen(t *testing.T) {
	for _, status := range []int{200, 504} {
		body := &closes{Reader: strings.NewReader("x")}
		rt := &transport.Transport{
			Base: baseFunc(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: body}, nil
			}),
			OnEvent: func(transport.Event) { panic("hook") },
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		}()
		if n := body.n.Load(); n != 1 {
			t.Errorf("status %d: the body was closed %d times, want once", status, n)
		}
	}
}

func TestPanickingHookClosesWhatWasPrepared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepted, held := pending("/jobs/1")
		next := &closes{Reader: strings.NewReader("x")}
		n := 0
		rt := &transport.Transport{
			Base:  answers(accepted, answer(503, "")),
			Pacer: &pace.Pacer{Off: true},
			OnEvent: func(transport.Event) {
				if n++; n == 2 {
					panic("hook")
				}
			},
		}
		try := func(req *http.Request) {
			defer func() { recover() }()
			rt.RoundTrip(req)
		}
		try(newRequest(t, "POST", "http://data.test/", nil))
		if held.n.Load() != 1 {
			t.Errorf("the 202 was closed %d times, want once", held.n.Load())
		}
		n = 1
		rt.Base = answers(answer(503, ""))
		req := newRequest(t, "PUT", "http://data.test/", strings.NewReader("x"))
		req.GetBody = func() (io.ReadCloser, error) { return next, nil }
		try(req)
		if next.n.Load() != 1 {
			t.Errorf("the body that was not sent was closed %d times, want once", next.n.Load())
		}
	})
}

func TestPanickingBaseGivesItsTicketBack(t *testing.T) {
	var p pace.Pacer
	rt := &transport.Transport{Pacer: &p, Base: baseFunc(func(*http.Request) (*http.Response, error) { panic("base") })}
	func() {
		defer func() { recover() }()
		rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
	}()
	if s := p.Snapshot(); len(s) != 1 || s[0].InFlight != 0 {
		t.Errorf("%+v, want nothing in flight", s)
	}
}

func TestNestedTransportsGiveTheirTicketsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace.Pacer
		rt := &transport.Transport{Pacer: &p, Base: &transport.Transport{
			Base:    answers(answer(200, "")),
			Limiter: rate.NewLimiter(rate.Every(time.Minute), 1),
		}}
		for range 7 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
			if err == nil {
				resp.Body.Close()
			}
			cancel()
		}
		if s := p.Snapshot(); len(s) != 1 || s[0].InFlight != 0 {
			t.Errorf("%+v, want nothing in flight", s)
		}
	})
}

func TestLimiterHoldsBehindThePacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		perSecond := make(map[int64]int)
		n := 0
		var mu sync.Mutex
		base := baseFunc(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			perSecond[time.Now().Unix()]++
			if n++; n == 5 {
				resp := answer(429, "")
				resp.Header.Set("Retry-After", "60")
				return resp, nil
			}
			return answer(200, ""), nil
		})
		rt := &transport.Transport{Base: base, Pacer: new(pace.Pacer), Limiter: rate.NewLimiter(10, 1), Policy: policy.Batch()}
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil || resp.StatusCode != 200 {
					t.Errorf("got %v, %v", resp, err)
				}
			})
		}
		wg.Wait()
		for at, n := range perSecond {
			if n > 11 {
				t.Errorf("sent %d in second %d, the Limiter allows 10", n, at)
			}
		}
	})
}

func TestSameOriginRedirectOfABaseWithoutRequest(t *testing.T) {
	var tokens []string
	rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		tokens = append(tokens, r.Header.Get("X-App-Token"))
		if len(tokens) == 1 {
			resp := answer(302, "")
			resp.Header.Set("Location", "/b")
			return resp, nil
		}
		return answer(200, ""), nil
	})}
	req := newRequest(t, "GET", "http://data.test/a", nil)
	req.Header.Set("X-App-Token", "mine")
	if _, err := (&http.Client{Transport: rt}).Do(req); err != nil || strings.Join(tokens, " ") != "mine mine" {
		t.Errorf("sent %q, %v", tokens, err)
	}
}

func TestErrorThatIsEmpty(t *testing.T) {
	if text := (&transport.Error{}).Error(); text == "" {
		t.Error("an empty Error says nothing")
	}
	nested := &url.Error{Op: "Get", URL: "http://a.test/?x=secret", Err: &url.Error{Op: "Get", URL: "http://me:secret@b.test/", Err: errors.New("no")}}
	if text := (&transport.Error{Err: nested}).Error(); strings.Contains(text, "secret") {
		t.Errorf("%q", text)
	}
	if b, err := json.Marshal(transport.Attempt{Err: nested}); err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := json.Marshal(&transport.AppToken{Token: "secret"}); err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("%s, %v", b, err)
	}
}

func TestStatusErrorsWithoutABody(t *testing.T) {
	rt := &transport.StatusErrors{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 404, Request: r}, nil
	})}
	if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); !errors.Is(err, classify.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestRedirectHops(t *testing.T) {
	for _, row := range []struct {
		name, from, to string
		keeps          bool
	}{
		{"the same host keeps it", "https://data.test/a", "https://data.test/b", true},
		{"the default port spelled out keeps it", "https://data.test/a", "https://DATA.test:443/b", true},
		{"the upgrade to https keeps it", "http://data.test/a", "https://data.test/b", true},
		{"the upgrade with its ports spelled out keeps it", "http://data.test:80/a", "https://data.test:443/b", true},
		{"an upgrade from another port loses it", "http://data.test:8080/a", "https://data.test/b", false},
		{"an upgrade to another port loses it", "http://data.test/a", "https://data.test:8443/b", false},
		{"a subdomain loses it", "https://data.test/a", "https://www.data.test/b", false},
		{"a parent loses it", "https://www.data.test/a", "https://data.test/b", false},
		{"another port loses it", "https://data.test/a", "https://data.test:8443/b", false},
		{"the way down to http loses it", "https://data.test/a", "http://data.test/b", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, rt := range []func(http.RoundTripper) http.RoundTripper{
				func(b http.RoundTripper) http.RoundTripper { return &transport.Transport{Base: b} },
				func(b http.RoundTripper) http.RoundTripper { return &transport.AppToken{Token: "secret", Base: b} },
			} {
				var got string
				base := baseFunc(func(r *http.Request) (*http.Response, error) {
					got = r.Header.Get("X-App-Token")
					return answer(200, ""), nil
				})
				req := newRequest(t, "GET", row.to, nil)
				req.Header.Set("X-App-Token", "secret")
				req.Response = &http.Response{Request: newRequest(t, "GET", row.from, nil)}
				if _, err := rt(base).RoundTrip(req); err != nil || (got == "secret") != row.keeps {
					t.Errorf("sent %q, %v", got, err)
				}
				if req.Header.Get("X-App-Token") != "secret" {
					t.Error("the caller's request was modified")
				}
			}
		})
	}
	t.Run("a hop from nowhere loses it", func(t *testing.T) {
		var got string
		req := newRequest(t, "GET", "https://data.test/", nil)
		req.Header.Set("X-App-Token", "secret")
		req.Response = &http.Response{}
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("X-App-Token")
			return answer(200, ""), nil
		})}
		if _, err := rt.RoundTrip(req); err != nil || got != "" {
			t.Errorf("sent %q, %v", got, err)
		}
	})
}

func TestAppToken(t *testing.T) {
	for _, row := range []struct{ name, token, has, want string }{
		{"is added", "t", "", "t"},
		{"leaves a request that has one", "t", "own", "own"},
		{"is not added when empty", "", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			rt := &transport.AppToken{Token: row.token, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
				got = r.Header.Values("X-App-Token")
				return answer(200, ""), nil
			})}
			req := &http.Request{URL: &url.URL{Scheme: "http", Host: "data.test"}}
			if row.has != "" {
				req.Header = http.Header{"X-App-Token": {row.has}}
			}
			if _, err := rt.RoundTrip(req); err != nil || strings.Join(got, ",") != row.want {
				t.Errorf("sent %q, %v, want %q", got, err, row.want)
			}
		})
	}
}

func TestAppTokenForOneHost(t *testing.T) {
	for url, want := range map[string]string{
		"https://data.test/":      "t",
		"https://DATA.test:443/":  "t",
		"https://data.test:8443/": "",
		"https://other.test/":     "",
		"https://www.data.test/":  "",
	} {
		var got string
		rt := &transport.AppToken{Token: "t", Host: "data.test", Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("X-App-Token")
			return answer(200, ""), nil
		})}
		if _, err := rt.RoundTrip(newRequest(t, "GET", url, nil)); err != nil || got != want {
			t.Errorf("%s was sent %q, %v, want %q", url, got, err, want)
		}
	}
}

func TestAppTokenIsNotPrinted(t *testing.T) {
	a := transport.AppToken{Token: "secret"}
	for _, text := range []string{fmt.Sprint(a), fmt.Sprintf("%+v %#v %s", a, &a, &a)} {
		if strings.Contains(text, "secret") {
			t.Errorf("printed %q", text)
		}
	}
}

func TestInPlaceOfTheDefaultTransport(t *testing.T) {
	was := http.DefaultTransport
	defer func() { http.DefaultTransport = was }()
	srv := sodatest.NewServer()
	defer srv.Close()
	http.DefaultTransport = &transport.StatusErrors{Base: &transport.Transport{}}
	resp, err := http.Get(srv.URL + "/resource/abcd-1234.json")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v", resp, err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

func TestStatusErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &closes{Reader: strings.NewReader(`{"code":"not_found","error":true,"message":"Cannot find view"}`)}
		gone := &http.Response{StatusCode: 404, Header: make(http.Header), Body: body}
		client := &http.Client{Transport: &transport.StatusErrors{Base: &transport.Transport{Base: answers(answer(504, ""), gone)}}}
		resp, err := client.Get("https://data.test/api/views/abcd-1234?token=secret")
		var e *classify.Error
		var after *transport.Error
		if resp != nil || !errors.As(err, &e) || !errors.Is(err, classify.NotFound) || e.Message != "Cannot find view" || body.n.Load() != 1 {
			t.Errorf("got %v, %v, body closed %d times", resp, err, body.n.Load())
		}
		if !errors.As(err, &after) || len(after.History) != 2 || strings.Contains(after.Error(), "secret") {
			t.Errorf("got %v, want the history of 2 attempts", err)
		}
	})
	own := errors.New("own")
	for _, row := range []struct {
		name   string
		base   baseFunc
		status int
		err    error
	}{
		{"a success passes", answers(answer(200, "")), 200, nil},
		{"a redirect passes", answers(answer(302, "")), 302, nil},
		{"a 202 that is not done becomes its kind", func(r *http.Request) (*http.Response, error) { return answer(202, ""), nil }, 0, classify.Accepted},
		{"a 202 of a write that says nothing passes", func(r *http.Request) (*http.Response, error) {
			resp := answer(202, "")
			resp.Request = &http.Request{Method: "POST", URL: r.URL}
			return resp, nil
		}, 202, nil},
		{"an error passes", func(*http.Request) (*http.Response, error) { return nil, own }, 0, own},
		{"a status becomes its kind", func(*http.Request) (*http.Response, error) { return answer(403, ""), nil }, 0, classify.PermissionDenied},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp, err := (&transport.StatusErrors{Base: row.base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
			if !errors.Is(err, row.err) || row.status != 0 && (resp == nil || resp.StatusCode != row.status) {
				t.Errorf("got %v, %v, want %d, %v", resp, err, row.status, row.err)
			}
		})
	}
}

// idle counts CloseIdleConnections.
type idle struct {
	http.RoundTripper
	n int
}

func (i *idle) CloseIdleConnections() { i.n++ }

func TestCloseIdleConnections(t *testing.T) {
	base := &idle{}
	for _, rt := range []http.RoundTripper{
		&transport.Transport{Base: base},
		&transport.AppToken{Base: base},
		&transport.StatusErrors{Base: base},
	} {
		(&http.Client{Transport: rt}).CloseIdleConnections()
	}
	if base.n != 3 {
		t.Errorf("reached Base %d times, want 3", base.n)
	}
	(&transport.Transport{Base: answers(answer(200, ""))}).CloseIdleConnections() // which has none
}

func TestSharedByManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.TokenBucket(50, 10), sodatest.Every(7, sodatest.Reply{Status: 504}))
		defer srv.Close()
		client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Policy: policy.Batch()}}
		var wg sync.WaitGroup
		var failed atomic.Int32
		for range 64 {
			wg.Go(func() {
				for range 5 {
					resp, err := client.Get(srv.URL + "/resource/abcd-1234.json?$limit=1")
					if err != nil || resp.StatusCode != 200 {
						failed.Add(1)
						continue
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
		if n := failed.Load(); n != 0 {
			t.Errorf("%d of 320 requests failed", n)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.Batch()
		p.BackOff = nothing
		n := 0
		rt := &transport.Transport{Policy: p, Base: baseFunc(func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return answer(429, ""), nil
			}
			if n <= 1000 {
				return answer(504, ""), nil
			}
			return answer(200, ""), nil
		})}
		last := 0
		rt.OnEvent = func(e transport.Event) { last = e.Attempt().N }
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		h := transport.History(resp)
		if len(h) != 100 || h[0].Status != 429 || h[99].Status != 200 || h[98].Status != 504 || last != 1001 {
			t.Errorf("%d attempts, the last event the %dth; want the first and the last 99 of 1001", len(h), last)
		}
	})
}

// TestOverHTTP2 has real TLS and HTTP/2 below.
func TestOverHTTP2(t *testing.T) {
	want := bodyOf(600 << 10)
	var n atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests) // with the upload still under way
		case 2:
			panic(http.ErrAbortHandler) // RST_STREAM
		case 3:
			w.Header().Set("Location", "/jobs/1")
			w.WriteHeader(http.StatusAccepted)
		default:
			io.WriteString(w, r.Proto+" "+r.Method+" "+r.URL.Path)
		}
		if b, err := io.ReadAll(r.Body); err == nil && len(b) > 0 && !bytes.Equal(b, want) {
			t.Errorf("attempt %d arrived changed", n.Load())
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	p := policy.Policy{BackOff: nothing, Poll: policy.Polling{Interval: time.Millisecond}}
	for _, body := range []io.Reader{bytes.NewReader(want), io.MultiReader(bytes.NewReader(want))} {
		n.Store(0)
		rt := &transport.Transport{Base: srv.Client().Transport, Policy: p}
		resp, err := rt.RoundTrip(newRequest(t, "PUT", srv.URL, body))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "HTTP/2.0 GET /jobs/1" || err != nil || len(transport.History(resp)) != 4 {
			t.Errorf("got %q, %v, history %v", b, err, transport.History(resp))
		}
	}
}
