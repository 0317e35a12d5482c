package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// cutOnce is a Base whose first answer is cut after "some". What it answers
// then is up to next, which is given the number of the request, from 1.
func cutOnce(next func(r *http.Request, n int) (*http.Response, error)) (base baseFunc, requests func() int) {
	n := -1
	return func(r *http.Request) (*http.Response, error) {
		if n++; n == 0 {
			resp := answer(200, "")
			resp.ContentLength = -1
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("some"), &broken{io.ErrUnexpectedEOF}))
			return resp, nil
		}
		return next(r, n)
	}, func() int { return n }
}

// readCut reads a body through rt and returns how long that took, and its error.
func readCut(t *testing.T, rt http.RoundTripper, ctx context.Context) (time.Duration, error) {
	t.Helper()
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	start := time.Now()
	_, err = io.Copy(io.Discard, resp.Body)
	return time.Since(start), err
}

func TestResumeIsNeverEarly(t *testing.T) {
	for _, row := range []struct {
		status int
		after  string
		within time.Duration // the deadline; 0 for none
		least  time.Duration // until it is asked again; 0 if never
		says   string
	}{
		{429, "60", 0, time.Minute, ""},
		{503, "290", 0, 290 * time.Second, ""},
		{504, "60", 0, time.Minute, ""},
		{503, "", 0, 250 * time.Millisecond, ""},
		{429, "60", 2 * time.Minute, time.Minute, ""},
		{429, "7200", 0, 0, "the server asks to wait 2h0m0s, more than MaxRetryAfter, 5m0s"},
		{503, "7200", 0, 0, "the server asks to wait 2h0m0s, more than MaxRetryAfter, 5m0s"},
		{503, "60", time.Minute, 0, "the next wait, 1m0s, would outlast the context's deadline"},
	} {
		t.Run(fmt.Sprint(row.status, row.after, row.within), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var refused time.Time
				base, requests := cutOnce(func(r *http.Request, n int) (*http.Response, error) {
					if n == 1 {
						refused = time.Now()
						resp := answer(row.status, "")
						resp.Header.Set("Retry-After", row.after)
						return resp, nil
					}
					if d := time.Since(refused); d < row.least {
						t.Errorf("asked again after %v", d)
					}
					return answer(200, "something"), nil
				})
				ctx := t.Context()
				if row.within > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, row.within)
					defer cancel()
				}
				took, err := readCut(t, &transport.Resume{Base: base}, ctx)
				if row.says == "" {
					if err != nil || requests() != 2 {
						t.Errorf("got %v after %d requests", err, requests())
					}
					return
				}
				var e *transport.BodyError
				var last *transport.Error
				if !errors.As(err, &e) || !errors.As(e.Last, &last) || requests() != 1 || took != 0 {
					t.Fatalf("got %v after %v and %d requests, want a BodyError at once", err, took, requests())
				}
				a := last.History[0]
				if a.Why != row.says || !strings.HasSuffix(err.Error(), row.says) || a.Start.IsZero() || a.RetryAfter < time.Minute || !a.RetryAt.Equal(refused.Add(a.RetryAfter)) {
					t.Errorf("got %q with %+v, want %q", err, a, row.says)
				}
				if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, new(*classify.Error)) {
					t.Errorf("%v does not unwrap to what happened", err)
				}
			})
		})
	}
}

// TestResumeDoesNotMultiplyThePolicy: a Transport that has given up is not
// asked once more.
func TestResumeDoesNotMultiplyThePolicy(t *testing.T) {
	status := func(code int, after string) func(*http.Request, int) (*http.Response, error) {
		return func(*http.Request, int) (*http.Response, error) {
			resp := answer(code, "")
			resp.Header.Set("Retry-After", after)
			return resp, nil
		}
	}
	reset := func(r *http.Request, n int) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
	for _, row := range []struct {
		name    string
		policy  policy.Policy
		then    func(*http.Request, int) (*http.Response, error)
		history int // attempts; 0 if that does not matter
		says    string
		most    time.Duration
	}{
		{"a 504 for ever", policy.Batch(), status(504, ""), 0, "MaxElapsed, 1h0m0s", time.Hour},
		{"a 504 and few attempts", policy.Policy{}, status(504, ""), 5, "5 of 5 attempts made", time.Minute},
		{"a Retry-After that is too long", policy.Policy{}, status(429, "7200"), 1, "more than MaxRetryAfter, 5m0s", 0},
		{"no connection", policy.Policy{MaxAttempts: 3}, reset, 3, "3 of 3 attempts made", time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base, requests := cutOnce(row.then)
				took, err := readCut(t, &transport.Resume{Base: &transport.Transport{Base: base, Policy: row.policy}}, t.Context())
				var e *transport.BodyError
				var last *transport.Error
				if !errors.As(err, &e) || e.Tries != 1 || !errors.As(e.Last, &last) || !strings.Contains(err.Error(), row.says) || took > row.most {
					t.Fatalf("got %v after %v and %d requests", err, took, requests())
				}
				if row.history > 0 && (len(last.History) != row.history || requests() != row.history) {
					t.Errorf("made %d requests, the history has %d, want %d", requests(), len(last.History), row.history)
				}
			})
		})
	}
}

func TestResumeDoesNotInsist(t *testing.T) {
	late := &pace.TooLate{Wait: time.Hour, Turn: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, row := range []struct {
		name     string
		err      error
		requests int
	}{
		{"a turn that is too late", late, 1},
		{"the same within another error", fmt.Errorf("not sent: %w", late), 1},
		{"an error of a Transport", &transport.Error{Err: io.EOF}, 1},
		{"an error that another attempt would end in again", errors.New("bad certificate"), 1},
		{"an error that may pass", io.ErrUnexpectedEOF, 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			base, requests := cutOnce(func(*http.Request, int) (*http.Response, error) { return nil, row.err })
			_, err := readCut(t, &transport.Resume{Base: base}, t.Context())
			var e *transport.BodyError
			if !errors.As(err, &e) || !errors.Is(e.Last, row.err) || e.Tries != row.requests || requests() != row.requests {
				t.Errorf("%s: got %v after %d requests, want %d", row.name, err, requests(), row.requests)
			}
		})
	}
}

// TestResumeOfAnAcceptedExport: a 202 to asking again is asked again, too.
func TestResumeOfAnAcceptedExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, requests := cutOnce(func(_ *http.Request, n int) (*http.Response, error) {
			if n < 3 {
				return answer(202, ""), nil
			}
			return answer(200, "something"), nil
		})
		if _, err := readCut(t, &transport.Resume{Base: base}, t.Context()); err != nil || requests() != 3 {
			t.Errorf("got %v after %d requests", err, requests())
		}
	})
}

// TestHistoryOfAResumedBody is what the comment of History says.
func TestHistoryOfAResumedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
			sodatest.Reply{Status: 503}, sodatest.Reply{Cut: 300}, sodatest.Reply{Status: 504}))
		defer srv.Close()
		rt := &transport.Resume{Base: &transport.Transport{Base: srv.Transport()}}
		resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL+"/resource/abcd-1234.csv", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		h := transport.History(resp)
		if len(srv.Requests()) != 4 || len(h) != 2 || h[0].Status != 503 || h[1].Status != 200 {
			t.Errorf("%d requests, and the history is %v, want those of the first answer", len(srv.Requests()), h)
		}
	})
}
