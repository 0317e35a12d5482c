package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// pending is a 202 whose body counts its closes.
func pending(location string) (*http.Response, *closes) {
	body := &closes{Reader: strings.NewReader(`{"code":"accepted"}`)}
	resp := &http.Response{StatusCode: 202, Header: make(http.Header), Body: body}
	if location != "" {
		resp.Header.Set("Location", location)
	}
	return resp, body
}

func TestPollRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := pending("/jobs/1?a=b#fragment")
		var poll *http.Request
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/jobs/1" {
				poll = r
				return answer(200, "done"), nil
			}
			return first, nil
		})}
		req := newRequest(t, "POST", "https://me:secret@data.test/api/imports2.json", strings.NewReader("a,b"))
		gone := []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Md5", "If-Match", "If-None-Match",
			"If-Modified-Since", "Range", "Expect", "Idempotency-Key", "X-Idempotency-Key"}
		kept := []string{"X-App-Token", "Authorization", "Accept", "X-Socrata-Requestid"}
		for _, name := range slices.Concat(gone, kept) {
			req.Header.Set(name, "x")
		}
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 || poll == nil {
			t.Fatalf("got %v, %v", resp, err)
		}
		if poll.Method != "GET" || poll.URL.String() != "https://me:secret@data.test/jobs/1?a=b" || poll.Body != nil || poll.GetBody != nil || poll.ContentLength != 0 {
			t.Errorf("polled with %s %s, a body %v of %d bytes", poll.Method, poll.URL, poll.Body, poll.ContentLength)
		}
		for _, name := range gone {
			if poll.Header.Get(name) != "" {
				t.Errorf("the poll has the %s of the body", name)
			}
		}
		for _, name := range kept {
			if poll.Header.Get(name) == "" {
				t.Errorf("the poll lacks %s", name)
			}
		}
		if len(req.Header) != len(gone)+len(kept) || req.Method != "POST" {
			t.Error("the caller's request was modified")
		}
		if resp.Request.URL.Path != "/jobs/1" {
			t.Errorf("the response is to %s", resp.Request.URL)
		}
	})
}

func TestPollOfAHeadIsAHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := pending("/jobs/1")
		method := ""
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/jobs/1" {
				method = r.Method
				return answer(200, ""), nil
			}
			return first, nil
		})}
		if _, err := rt.RoundTrip(newRequest(t, "HEAD", "https://data.test/", nil)); err != nil || method != "HEAD" {
			t.Errorf("polled with %q, %v", method, err)
		}
	})
}

func TestEvery202IsClosedOnce(t *testing.T) {
	refused := errors.New("unknown")
	for _, row := range []struct {
		name   string
		end    func() (*http.Response, error)
		status int // that the caller gets; 0 for an error
	}{
		{"when polling ends well", func() (*http.Response, error) { return answer(200, ""), nil }, 200},
		{"when polling ends in an error", func() (*http.Response, error) { return nil, refused }, 0},
		{"when polling ends with the 202", func() (*http.Response, error) { return answer(503, ""), nil }, 202},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, first := pending("/jobs/1")
				two, second := pending("")
				var last *closes
				n := 0
				rt := &transport.Transport{
					Policy: policy.Policy{Poll: policy.Polling{MaxElapsed: 4 * time.Second}},
					Base: baseFunc(func(r *http.Request) (*http.Response, error) {
						switch n++; n {
						case 1:
							return one, nil
						case 2:
							return two, nil
						}
						resp, err := row.end()
						if resp != nil {
							last = &closes{Reader: resp.Body}
							resp.Body = last
						}
						return resp, err
					}),
				}
				resp, err := rt.RoundTrip(newRequest(t, "POST", "https://data.test/", nil))
				if row.status == 0 {
					if err == nil {
						t.Fatalf("got %v, want an error", resp)
					}
				} else {
					if err != nil || resp.StatusCode != row.status {
						t.Fatalf("got %v, %v, want %d", resp, err, row.status)
					}
					if _, err := io.ReadAll(resp.Body); err != nil {
						t.Error(err)
					}
					resp.Body.Close()
				}
				if first.n.Load() != 1 || second.n.Load() != 1 || last != nil && last.n.Load() == 0 {
					t.Errorf("closed %d, %d times, and the last %v", first.n.Load(), second.n.Load(), last)
				}
			})
		})
	}
}

func TestErrorWithinAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := pending("/jobs/1")
		n := 0
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			switch n++; n {
			case 1:
				return first, nil
			case 2, 3:
				return nil, io.ErrUnexpectedEOF
			}
			return answer(200, r.Method+r.URL.Path), nil
		})}
		resp, err := rt.RoundTrip(newRequest(t, "POST", "https://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "GET/jobs/1" {
			t.Errorf("got %q", b)
		}
	})
}

func TestPollThatFailsForGood(t *testing.T) {
	for _, row := range []struct {
		status, attempts int
	}{{500, 4}, {408, 3}} { // 3 and 2 attempts of their own, behind the 202
		synctest.Test(t, func(t *testing.T) {
			first, _ := pending("/jobs/1")
			rt := &transport.Transport{Base: answers(first, answer(row.status, ""))}
			resp, err := rt.RoundTrip(newRequest(t, "POST", "https://data.test/", nil))
			if err != nil || resp.StatusCode != row.status || len(transport.History(resp)) != row.attempts {
				t.Errorf("got %v, %v after %v, want the %d after %d attempts", resp, err, transport.History(resp), row.status, row.attempts)
			}
		})
	}
}

func TestCancelDuringAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, body := pending("/jobs/1")
		rt := &transport.Transport{Base: answers(first)}
		client := &http.Client{Transport: rt}
		req := newRequest(t, "POST", "https://data.test/", nil)
		ctx, cancel := context.WithCancel(req.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		resp, err := client.Do(req.WithContext(ctx))
		var e *transport.Error
		if resp != nil || !errors.As(err, &e) || e.History[0].Status != 202 || body.n.Load() != 1 {
			t.Errorf("got %v, %v, the 202 closed %d times", resp, err, body.n.Load())
		}
	})
}

func TestRelativeRedirectOfAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := pending("/jobs/7/status")
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			switch r.URL.Path {
			case "/api/imports2.json":
				return first, nil
			case "/jobs/7/status":
				resp := answer(303, "")
				resp.Header.Set("Location", "result")
				return resp, nil
			}
			return answer(200, r.Method+r.URL.Path), nil
		})}
		resp, err := (&http.Client{Transport: rt}).Do(newRequest(t, "POST", "https://data.test/api/imports2.json", nil))
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "GET/jobs/7/result" {
			t.Errorf("got %q", b)
		}
	})
}

func TestRedirectOfARepeatedPostKeepsTheMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, sent := 0, ""
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			switch n++; n {
			case 1:
				return answer(202, ""), nil
			case 2:
				resp := answer(307, "")
				resp.Header.Set("Location", "/api/v3/views/wxyz-1234/query.json")
				resp.Request = r
				return resp, nil
			}
			sent = r.Method + r.URL.Path + string(b)
			return answer(200, ""), nil
		})}
		client := &http.Client{Transport: rt}
		resp, err := client.Do(newRequest(t, "POST", "https://data.test/api/v3/views/abcd-1234/query.json", strings.NewReader("SELECT 1")))
		if err != nil || resp.StatusCode != 200 || sent != "POST/api/v3/views/wxyz-1234/query.jsonSELECT 1" {
			t.Errorf("got %v, %v; sent %q", resp, err, sent)
		}
	})
}

func TestHuge202DoesNotHoldItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 202, Bytes: 200 << 10}, sodatest.Reply{Status: 202, Endless: true}))
		defer srv.Close()
		base := srv.Transport()
		base.MaxConnsPerHost = 1
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		resp, err := (&transport.Transport{Base: base}).RoundTrip(newRequest(t, "GET", srv.URL+"/resource/abcd-1234.json", nil).WithContext(ctx))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v", resp, err)
		}
		resp.Body.Close()
	})
}

func TestPollResendStopsAtAFailedJob(t *testing.T) {
	p := policy.Policy{Poll: policy.Polling{Resend: true}}
	rt := &transport.Transport{Policy: p, Base: answers(answer(202, `{"error":true,"message":"no"}`))}
	resp, err := rt.RoundTrip(newRequest(t, "POST", "https://data.test/", nil))
	if err != nil || resp.StatusCode != 202 || transport.History(resp) != nil {
		t.Errorf("got %v, %v after %v, want the 202 at once", resp, err, transport.History(resp))
	}
}
