package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

var oneSecond = policy.Policy{AttemptTimeout: time.Second, MaxAttempts: 1}

func TestAnswerAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &closes{Reader: strings.NewReader("late")}
		rt := &transport.Transport{Policy: oneSecond, Base: baseFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(2 * time.Second) // deaf to its context
			return &http.Response{StatusCode: 200, Body: body}, nil
		})}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if resp != nil || !errors.Is(err, context.DeadlineExceeded) || body.n.Load() != 1 {
			t.Errorf("got %v, %v, the body closed %d times", resp, err, body.n.Load())
		}
	})
}

func TestTimeoutFreesItsContext(t *testing.T) {
	var ctx context.Context
	fail := errors.New("own")
	base := baseFunc(func(r *http.Request) (*http.Response, error) {
		if ctx = r.Context(); r.URL.Path == "/fails" {
			return nil, fail
		}
		return answer(200, "body"), nil
	})
	rt := &transport.Transport{Policy: oneSecond, Base: base}
	if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/fails", nil)); err != fail || ctx.Err() == nil {
		t.Errorf("got %v; after an error the context is %v", err, ctx.Err())
	}
	for name, end := range map[string]func(io.ReadCloser){
		"read to its end": func(b io.ReadCloser) { io.Copy(io.Discard, b) },
		"closed":          func(b io.ReadCloser) { b.Close() },
	} {
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil || ctx.Err() != nil {
			t.Fatalf("got %v; before the body is %s, the context is %v", err, name, ctx.Err())
		}
		end(resp.Body)
		if ctx.Err() == nil || resp.Request.Context().Err() != nil {
			t.Errorf("after the body is %s, the attempt's context is %v and the request's %v", name, ctx.Err(), resp.Request.Context().Err())
		}
	}
}

func TestLimiterFailsBeforeARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Base: answers(answer(504, "mine")), Limiter: &failing{1}}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatalf("got %v, want the answer before", err)
		}
		body, err := io.ReadAll(resp.Body)
		h := transport.History(resp)
		if resp.StatusCode != 504 || string(body) != "mine" || err != nil || len(h) != 2 || !strings.Contains(fmt.Sprint(h[1].Err), "no more") {
			t.Errorf("got %d %q, %v, and %v", resp.StatusCode, body, err, h)
		}
	})
}

// The answer before is kept as long as it is small, and not beyond the context.
func TestWhatCannotComeBackWhenNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Base: answers(answer(504, strings.Repeat("x", 65<<10))), Limiter: &failing{1}}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		var e *transport.Error
		if resp != nil || !errors.As(err, &e) || len(e.History) != 2 || !strings.Contains(err.Error(), "no more") {
			t.Errorf("after a large answer: %v, %v", resp, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		rt = &transport.Transport{Base: answers(answer(504, ""), answer(504, "")), Limiter: &stuck{n: 1}}
		if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx)); err != nil || resp.StatusCode != 504 || ctx.Err() != nil {
			t.Errorf("just before the deadline: %v, %v", resp, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		rt.Limiter = &stuck{n: 1}
		if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("when it is cancelled: %v, %v", resp, err)
		}
	})
}

// stuck lets n through.
type stuck struct{ n int }

func (s *stuck) Wait(ctx context.Context) error {
	if s.n--; s.n < 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func TestStatusErrorsWithoutARequest(t *testing.T) {
	rt := &transport.StatusErrors{Base: baseFunc(func(*http.Request) (*http.Response, error) { return answer(404, ""), nil })}
	_, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/resource/abcd-1234.json", nil))
	var e *classify.Error
	if !errors.As(err, &e) || e.URL != "http://data.test/resource/abcd-1234.json" {
		t.Errorf("got %v, want an error with the URL", err)
	}
}

func TestErrorTextHidesARepeatedURL(t *testing.T) {
	raw := `http://data.test/?q="secret"`
	a := transport.Attempt{Err: fmt.Errorf("asking %s: %w", raw, &url.Error{Op: "Get", URL: raw, Err: errors.New("no")})}
	if text := a.String(); strings.Contains(text, "secret") {
		t.Errorf("%q", text)
	}
}

func TestLimiterIsBoundedByMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := rate.NewLimiter(rate.Every(10*time.Minute), 1)
		rt := &transport.Transport{Base: answers(answer(503, "")), Limiter: lim, Policy: policy.Policy{MaxElapsed: 10 * time.Second}}
		start := time.Now()
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil || time.Since(start) > 10*time.Second || resp.StatusCode != 503 || !errors.Is(transport.History(resp)[1].Err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v after %v", resp, err, time.Since(start))
		}
	})
}

func TestPauseLongerThanMaxElapsedHandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := answer(429, "")
		busy.Header.Set("Retry-After", "3600")
		rt := &transport.Transport{Base: answers(busy, answer(504, "mine")), Pacer: new(pace.Pacer)}
		if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil || resp.StatusCode != 429 {
			t.Fatalf("got %v, %v", resp, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
		var late *pace.TooLate
		if !errors.As(err, &late) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 || late.Wait < 59*time.Minute {
			t.Errorf("got %v after %v, want a refusal at once that tells the turn", err, time.Since(start))
		}
		// The policy bounds the wait where no deadline does.
		_, err = rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if !errors.As(err, &late) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want a refusal at once that tells the turn", err, time.Since(start))
		}
	})
}

// What a slow source takes is not counted, however long it is; a server that
// takes nothing of the body ends its attempt, and so does one that has all of it
// and does not answer.
func TestAttemptTimeoutWaitsForTheRequestBody(t *testing.T) {
	for _, c := range []struct {
		name    string
		pause   time.Duration // of the source, between the pieces of the body
		deaf    time.Duration // of the server, before it reads
		silent  time.Duration // and before it answers
		getBody bool          // and no connection is left for the first body
		ok      bool
	}{
		{name: "a body that moves", pause: 4 * time.Second, ok: true},
		{name: "a slow source", pause: 6 * time.Second, ok: true},
		{name: "a slow source of GetBody", pause: 6 * time.Second, getBody: true, ok: true},
		{name: "a server that does not read", deaf: 6 * time.Second},
		{name: "a server that does not answer", pause: 6 * time.Second, silent: 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net, stop := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(c.deaf)
					b, err := io.ReadAll(r.Body)
					time.Sleep(c.silent)
					fmt.Fprintf(w, "%d, %v", len(b), err)
				}), false)
				defer time.Sleep(time.Minute) // the server lingers
				defer stop()
				rt := &transport.Transport{Policy: policy.Policy{AttemptTimeout: 5 * time.Second, MaxAttempts: 1}, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
					if c.getBody { // as net/http does it
						r.Body.Close()
						again := *r
						again.Body, _ = r.GetBody()
						r = &again
					}
					return net.RoundTrip(r)
				})}
				body := func() (io.ReadCloser, error) { return io.NopCloser(&sleepy{pieces: 5, pause: c.pause}), nil }
				req := newRequest(t, "POST", "http://data.test/resource/abcd-1234.json", nil)
				if req.Body, _ = body(); c.getBody {
					req.GetBody = body
				}
				req.ContentLength = -1
				resp, err := rt.RoundTrip(req)
				if c.ok != (err == nil) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v", err)
				}
				if resp != nil {
					b, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if want := "20480, <nil>"; err != nil || string(b) != want {
						t.Errorf("the server read %q, %v, want %s", b, err, want)
					}
				}
			})
		})
	}
}

// A sleepy source pauses before each piece, which is more than net/http sends
// at once.
type sleepy struct {
	pieces int
	pause  time.Duration
}

func (s *sleepy) Read(p []byte) (int, error) {
	if s.pieces == 0 {
		return 0, io.EOF
	}
	s.pieces--
	time.Sleep(s.pause)
	return copy(p, make([]byte, 4096)), nil
}

// TestAttemptTimeoutKeepsBasesRequest: Base may have sent another request than
// it got, and the answer is to that.
func TestAttemptTimeoutKeepsBasesRequest(t *testing.T) {
	const token = "a-token-of-some-length"
	for _, set := range []bool{true, false} {
		base := &transport.AppToken{Token: token, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			resp := answer(403, `{"message":"no such app_token: `+r.Header.Get("X-App-Token")+`"}`)
			if r.Body.Close(); set {
				resp.Request = r
			}
			return resp, nil
		})}
		req := newRequest(t, "PUT", "http://data.test/", strings.NewReader("x"))
		rt := &transport.Transport{Policy: policy.Policy{AttemptTimeout: time.Minute}, Base: base}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := classify.Check(resp); strings.Contains(err.Error(), token) {
			t.Errorf("%v shows the token", err)
		}
		resp.Body.Close()
		if r := resp.Request; r.Header.Get("X-App-Token") != token || r.Body != req.Body || r.Context() != req.Context() {
			t.Errorf("the answer is to %v, which is not what was sent, or has the attempt's own body or context", r)
		}
	}
}

// What net/http still reads of a body after the answer does not start the time
// of the attempt again, which would cut the answer.
func TestAttemptTimeoutIsOverWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late io.Reader
		rt := &transport.Transport{Policy: policy.Policy{AttemptTimeout: 5 * time.Second}, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			late = r.Body
			resp := answer(200, "")
			resp.Body = io.NopCloser(contextReader{r.Context()})
			return resp, nil
		})}
		resp, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		late.Read(make([]byte, 1))
		time.Sleep(time.Minute)
		if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
			t.Errorf("the answer was cut: %v", err)
		}
		resp.Body.Close()
	})
}

// A contextReader reads as long as its context lasts.
type contextReader struct{ ctx context.Context }

func (r contextReader) Read(p []byte) (int, error) { return len(p), r.ctx.Err() }

// The answer before is not the last word once another attempt was made.
func TestAnswerBeforeAFailureDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &transport.Transport{Limiter: &failing{2}, Base: baseFunc(func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return answer(504, ""), nil
			}
			return nil, io.ErrUnexpectedEOF
		})}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if resp != nil || err == nil || n != 2 {
			t.Errorf("got %v, %v after %d attempts", resp, err, n)
		}
	})
}

// What the Limiter makes a request wait is not the server's round trip.
func TestLimiterIsNoRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pacer pace.Pacer
		rt := &transport.Transport{Pacer: &pacer, Limiter: sleeping(8 * time.Second), Policy: policy.Policy{MaxAttempts: 1}, Base: baseFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return answer(429, ""), nil
		})}
		if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil {
			t.Fatal(err)
		}
		if s := pacer.Snapshot()[0]; s.Mode != pace.Paced || s.Rate < 5 {
			t.Errorf("%+v", s)
		}
	})
}

type sleeping time.Duration

func (s sleeping) Wait(context.Context) error { time.Sleep(time.Duration(s)); return nil }
