package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

func TestEventsTellTheirCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		rt := &transport.Transport{
			Base:  answers(answer(503, ""), answer(200, ""), answer(404, ""), answer(429, ""), answer(200, "")),
			Pacer: &pace.Pacer{Off: true},
			OnEvent: func(e transport.Event) {
				got = append(got, fmt.Sprint(e.Kind, " ", e.Call, " ", e.Attempt().N, " ", e.Attempt().Status, " ", e.Next))
			},
		}
		for range 3 {
			if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			"attempt done 1 1 503 retry", "attempt done 1 2 200 stop",
			"attempt done 2 1 404 stop",
			"attempt done 3 1 429 retry", "attempt done 3 2 200 stop",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// TestEventTellsTheSameWithoutAnAttempt: what an Event tells of its attempt at
// no cost is what the Attempt says.
func TestEventTellsTheSameWithoutAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, answers := range []baseFunc{answers(answer(404, "")), answers(answer(503, ""), answer(200, ""))} {
			told, limiter := 0, rate.NewLimiter(rate.Every(10*time.Second), 1)
			limiter.Allow() // so that the first has to wait
			rt := &transport.Transport{
				Base: baseFunc(func(req *http.Request) (*http.Response, error) {
					time.Sleep(2 * time.Second)
					return answers(req)
				}),
				Limiter: limiter,
				OnEvent: func(e transport.Event) {
					if e.Kind == transport.PaceChanged {
						return
					}
					told++
					a := e.Attempt()
					if e.N() != a.N || e.Status() != a.Status || e.Queued() != a.Queued || e.Took() != a.Took {
						t.Errorf("N %d, status %d, queued %v, took %v; the attempt is %+v", e.N(), e.Status(), e.Queued(), e.Took(), a)
					}
					if a.N == 0 || a.Status == 0 || a.Took != 2*time.Second || a.Queued == 0 {
						t.Errorf("an attempt with too little in it: %+v", a)
					}
				},
			}
			if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil || told == 0 {
				t.Errorf("%d events, %v", told, err)
			}
		}
		if e := (transport.Event{Kind: transport.PaceChanged}); e.N() != 0 || e.Status() != 0 || e.Queued() != 0 || e.Took() != 0 {
			t.Errorf("a change of pace has an attempt: %v", e)
		}
	})
}

func TestEventOfAWaitThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		busy := answer(429, "")
		busy.Header.Set("Retry-After", "60")
		var got []transport.Event
		rt := &transport.Transport{Base: answers(busy), Pacer: &pace.Pacer{Off: true}, OnEvent: func(e transport.Event) { got = append(got, e) }}
		if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if len(got) != 2 || got[1].Kind != transport.WaitCut || got[1].Next != policy.Stop || got[1].Call != got[0].Call {
			t.Fatalf("got %v", got)
		}
		if a := got[1].Attempt(); a.Status != 429 || a.Wait != 2*time.Second || a.Why == "" {
			t.Errorf("the attempt before the wait is %+v", a)
		}
		if a := got[0].Attempt(); a.Why != "" {
			t.Errorf("an attempt that was told changed later on: %v", a)
		}
	})
}

func TestPanickingHookAtAWaitThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		body := &closes{Reader: strings.NewReader("x")}
		req := newRequest(t, "PUT", "http://data.test/", strings.NewReader("x")).WithContext(ctx)
		req.GetBody = func() (io.ReadCloser, error) { return body, nil }
		rt := &transport.Transport{
			Base:   answers(answer(503, "")),
			Policy: policy.Policy{LastWord: func(_ policy.Attempt, d policy.Decision) policy.Decision { d.Wait = 999 * time.Millisecond; return d }},
			OnEvent: func(e transport.Event) {
				if e.Kind == transport.WaitCut {
					panic("hook")
				}
				time.AfterFunc(500*time.Millisecond, cancel)
			},
		}
		defer func() {
			if recover() == nil || body.n.Load() != 1 {
				t.Errorf("the body that was not sent was closed %d times, want once and a panic", body.n.Load())
			}
		}()
		rt.RoundTrip(req)
	})
}

func TestEventOfAResumedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 200, Bytes: 100_000, Cut: 40_000}, sodatest.Reply{Status: 200, Bytes: 100_000}))
		defer srv.Close()
		var got []transport.Event
		rt := &transport.Resume{Base: srv.Transport(), OnEvent: func(e transport.Event) { got = append(got, e) }}
		resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL+"/a?$$app_token=secret", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); n != 100_000 || err != nil {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		if len(got) != 1 || got[0].Kind != transport.BodyResumed || got[0].Good <= 0 || got[0].Good > 40_000 || got[0].Context == nil {
			t.Fatalf("got %v", got)
		}
		a := got[0].Attempt()
		if !errors.Is(a.Err, io.ErrUnexpectedEOF) || a.Status != 200 || !strings.HasSuffix(a.URL, "/a?$$app_token=***") {
			t.Errorf("the attempt is %+v", a)
		}
		if text := got[0].String(); !strings.HasPrefix(text, fmt.Sprintf("resumed after %d bytes: GET http", got[0].Good)) || !strings.Contains(text, "unexpected EOF") {
			t.Errorf("%q", text)
		}
	})
}

func TestPanickingHookOfResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 200, Bytes: 9000, Cut: 4000}, sodatest.Reply{Status: 200, Bytes: 9000}))
		defer srv.Close()
		rt := &transport.Resume{Base: srv.Transport(), OnEvent: func(transport.Event) { panic("hook") }}
		resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			io.Copy(io.Discard, resp.Body)
		}()
		if err := resp.Body.Close(); err != nil { // and the bubble sees what is left open
			t.Error(err)
		}
	})
}

func TestEventInWords(t *testing.T) {
	for _, row := range []struct {
		e    transport.Event
		want string
	}{
		{transport.Event{Kind: transport.PaceChanged, Pace: pace.Event{Kind: pace.RateChanged, Key: "https://data.test", Mode: pace.Paced, Rate: 5}}, "https://data.test: rate changed, paced, 5/s"},
		{transport.Event{}, ": 0 , final"},
		{transport.Event{Kind: 99}, ": 0 , final"},
	} {
		if got := row.e.String(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
	if got := transport.EventKind(99).String(); got != "unknown" {
		t.Errorf("got %q", got)
	}
}

func TestEventInJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text string
		busy := answer(429, "")
		busy.Header.Set("Retry-After", "3600")
		rt := &transport.Transport{Base: answers(busy), OnEvent: func(e transport.Event) {
			b, err := json.Marshal(e)
			text = string(b) + " " + e.String()
			if err != nil {
				t.Error(err)
			}
		}}
		if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/?q=secret", nil)); err != nil {
			t.Fatal(err)
		}
		want := `{"event":"attempt done","call":1,"next":"stop","attempt":{"n":1,"method":"GET","url":"http://data.test/?q=***","status":429,"kind":"too_many_requests","class":"throttled","acted":"no",` +
			`"start":"2000-01-01T00:00:00Z","retry_after_seconds":3600,"why":"the server asks to wait 1h0m0s, more than MaxRetryAfter, 5m0s","retry_at":"2000-01-01T01:00:00Z"}} ` +
			`call 1: #1 GET http://data.test/?q=***: 429 Too Many Requests, throttled, gave up: the server asks to wait 1h0m0s, more than MaxRetryAfter, 5m0s`
		if text != want {
			t.Errorf("got  %s\nwant %s", text, want)
		}
	})
}

// TestSlowHookHoldsUpItsOwnRequestOnly: an hour in a hook, on both paths, is
// nothing to others, whatever they share with it.
func TestSlowHookHoldsUpItsOwnRequestOnly(t *testing.T) {
	for _, status := range []int{200, 503} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			slow := make(chan struct{})
			rt := &transport.Transport{
				Base: baseFunc(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == "/slow" {
						return answer(status, ""), nil
					}
					return answer(200, ""), nil
				}),
				Policy:  policy.Policy{MaxAttempts: 1},
				Limiter: rate.NewLimiter(rate.Inf, 1),
				Pacer:   new(pace.Pacer),
				OnEvent: func(e transport.Event) {
					if strings.HasSuffix(e.Attempt().URL, "/slow") {
						time.Sleep(time.Hour)
					}
				},
			}
			go func() {
				defer close(slow)
				rt.RoundTrip(newRequest(t, "GET", "http://data.test/slow", nil))
			}()
			synctest.Wait() // the hook is at it
			for range 20 {
				if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(start); took >= time.Hour {
				t.Errorf("after a %d, others waited %v for the hook", status, took)
			}
			<-slow
			if took := time.Since(start); took < time.Hour {
				t.Errorf("nobody was in the hook: %v", took)
			}
		})
	}
}

// TestPanickingHookHarmsItsOwnRequestOnly: what others share is as it was.
func TestPanickingHookHarmsItsOwnRequestOnly(t *testing.T) {
	for _, status := range []int{200, 404, 429} {
		synctest.Test(t, func(t *testing.T) {
			pacer := new(pace.Pacer)
			rt := &transport.Transport{
				Base: baseFunc(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == "/panic" {
						return answer(status, ""), nil
					}
					return answer(200, ""), nil
				}),
				Limiter: rate.NewLimiter(rate.Inf, 1),
				Pacer:   pacer,
				OnEvent: func(e transport.Event) {
					if strings.HasSuffix(e.Attempt().URL, "/panic") {
						panic("hook")
					}
				},
			}
			for range 50 {
				func() {
					defer func() {
						if recover() == nil {
							t.Error("the panic was swallowed")
						}
					}()
					rt.RoundTrip(newRequest(t, "GET", "http://data.test/panic", nil))
				}()
			}
			if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil {
				t.Error(err)
			}
			if s := pacer.Snapshot(); len(s) != 1 || s[0].InFlight != 0 || s[0].Waiting != 0 {
				t.Errorf("after a %d the Pacer holds %+v", status, s)
			}
		})
	}
}

// TestAttemptLeavesTheBody: what a hook asks for is not read from the caller.
func TestAttemptLeavesTheBody(t *testing.T) {
	var a transport.Attempt
	rt := &transport.Transport{Base: answers(answer(403, badToken)), OnEvent: func(e transport.Event) { a = e.Attempt() }}
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
	if err != nil || a.Kind != classify.PermissionDenied || a.Code != "" {
		t.Fatalf("got %v, %+v", err, a)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != badToken || err != nil {
		t.Errorf("the body came back as %q, %v", b, err)
	}
}

// TestKeptAttempt: what a hook keeps of a success is not the caller's any more.
func TestKeptAttempt(t *testing.T) {
	var kept transport.Attempt
	resp := answer(200, "")
	resp.Header.Set("X-Socrata-RequestId", "one")
	rt := &transport.Transport{Base: answers(resp), OnEvent: func(e transport.Event) { kept = e.Attempt() }}
	req := newRequest(t, "GET", "http://data.test/?$offset=1", nil)
	if _, err := rt.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	req.URL.RawQuery = "$offset=2"
	resp.Header.Set("X-Socrata-RequestId", "two")
	if kept.URL != "http://data.test/?$offset=1" || kept.RequestID != "one" || kept.N != 1 || kept.Start.IsZero() || kept.Class.String() != "final" {
		t.Errorf("kept %+v", kept)
	}
}
