package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

func TestAttemptTimeoutOfOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})}
		ctx := policy.NewContext(t.Context(), oneSecond)
		start := time.Now()
		_, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want a timeout after a second", err, time.Since(start))
		}
	})
}

func TestGetBodyThatGivesNone(t *testing.T) {
	req := newRequest(t, "PUT", "http://data.test/", strings.NewReader("x"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, nil }
	resp, err := (&transport.Transport{Base: answers(answer(503, "whole"))}).RoundTrip(req)
	if err != nil || resp.StatusCode != 503 || !strings.Contains(transport.History(resp)[0].Why, "GetBody gave none") {
		t.Errorf("got %v, %v, want the 503 and the reason", resp, err)
	}
}

// onceOnly must not be read after its end.
type onceOnly struct {
	io.Reader
	over bool
}

func (o *onceOnly) Read(p []byte) (int, error) {
	if o.over {
		return 0, errors.New("read after the end")
	}
	n, err := o.Reader.Read(p)
	o.over = err != nil
	return n, err
}

func TestBodyIsNotReadAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			if got = append(got, string(b)); err != nil {
				t.Error(err)
			}
			if len(got) == 1 {
				return answer(503, ""), nil
			}
			return answer(200, ""), nil
		})}
		if _, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", &onceOnly{Reader: strings.NewReader("all")})); err != nil || strings.Join(got, " ") != "all all" {
			t.Errorf("sent %q, %v", got, err)
		}
	})
}

func TestErrorNamesTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		rt := &transport.Transport{Base: answers(answer(504, ""))}
		_, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
		if want := "sodahttp: context canceled: the context ended during the wait (last answer: 504)"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// An attempt that ended in the Pacer's queue was none that the server saw: what
// it said to the one before is the last answer.
func TestErrorOfAnAttemptThatWasNotSent(t *testing.T) {
	reset := fmt.Errorf("read http://data.test/?$$app_token=secret: %w", syscall.ECONNRESET)
	for name, row := range map[string]struct {
		sent int
		base http.RoundTripper
		want string
	}{
		"one answer":  {1, answers(answer(503, "")), "sodahttp: context canceled: the context ended before its turn (last answer: 503)"},
		"two answers": {2, answers(answer(504, ""), answer(503, "")), "sodahttp: after 2 attempts: context canceled: the context ended before its turn (last answer: 503)"},
		"an error": {1, baseFunc(func(*http.Request) (*http.Response, error) { return nil, reset }),
			"sodahttp: context canceled: the context ended before its turn (last error: read http://data.test/?$$app_token=***: connection reset by peer)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				n := 0
				limiter := waitFunc(func(ctx context.Context) error {
					if n++; n <= row.sent {
						return nil
					}
					cancel()
					<-ctx.Done()
					return ctx.Err()
				})
				rt := &transport.Transport{Base: row.base, Limiter: limiter}
				_, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
				if err == nil || err.Error() != row.want {
					t.Errorf("\n got %v\nwant %s", err, row.want)
				}
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v is not Canceled", err)
				}
			})
		})
	}
}

type waitFunc func(context.Context) error

func (f waitFunc) Wait(ctx context.Context) error { return f(ctx) }

func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Pacer: new(pace.Pacer), Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Millisecond)
			return answer(504, ""), nil
		})}
		spent := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
				if err != nil || resp.StatusCode != 504 {
					t.Errorf("got %v, %v", resp, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				h := transport.History(resp)
				if strings.Contains(h[len(h)-1].Why, "budget") {
					spent++
				}
			})
		}
		wg.Wait()
		if spent < 50 {
			t.Errorf("%d of 100 requests were told that the budget is spent", spent)
		}
	})
}

// TestTurnTooLate: a pause that others were told of ends a request with its
// last answer whole, and the time of its turn.
func TestTurnTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Pacer: new(pace.Pacer), Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			resp := answer(429, "busy")
			if r.URL.Path == "/long" {
				resp.Header.Set("Retry-After", "3600")
			} else {
				time.Sleep(time.Second)
			}
			return resp, nil
		})}
		var wg sync.WaitGroup
		wg.Go(func() {
			resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/short", nil))
			if err != nil {
				t.Error(err)
				return
			}
			h := transport.History(resp)
			b, _ := io.ReadAll(resp.Body)
			if last := h[len(h)-1]; string(b) != "busy" || !strings.Contains(last.Why, "its turn") || time.Until(last.RetryAt) < 59*time.Minute-5*time.Second {
				t.Errorf("%q, %+v", b, last)
			}
		})
		time.Sleep(100 * time.Millisecond)
		if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/long", nil)); err != nil || resp.StatusCode != 429 {
			t.Errorf("got %v, %v", resp, err)
		}
		wg.Wait()
	})
}

// TestNotSent: a request that is not let through says why, and when it would be.
func TestNotSent(t *testing.T) {
	paused := func(t *testing.T) *transport.Transport {
		resp := answer(429, "")
		resp.Header.Set("Retry-After", "900")
		rt := &transport.Transport{Base: answers(resp, answer(200, ""))}
		if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil || resp.StatusCode != 429 {
			t.Fatalf("got %v, %v", resp, err)
		}
		time.Sleep(100 * time.Second)
		return rt
	}
	limited := func(*testing.T) *transport.Transport {
		return &transport.Transport{Base: answers(answer(200, "")), Limiter: refusing{}}
	}
	queued := func(*testing.T) *transport.Transport {
		return &transport.Transport{Base: answers(answer(200, "")), Limiter: waiting{}}
	}
	const turn = "not sent: pace: its turn would come in 13m20s, at 2000-01-01T00:15:00Z, which is too late"
	for _, row := range []struct {
		name   string
		rt     func(*testing.T) *transport.Transport
		within time.Duration
		says   string
		why    string
		at     time.Duration // of the turn, from the beginning
	}{
		{"the policy's time", paused, 0, turn, "its turn would outlast MaxElapsed, 2m0s", 15 * time.Minute},
		{"the context's", paused, time.Minute, turn, "its turn would outlast the context's deadline", 15 * time.Minute},
		{"a Limiter", limited, 0, "not sent: closed on Sundays", "it was not let through", 0},
		{"the queue", queued, time.Minute, "not sent: context deadline exceeded", "the context ended before its turn", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				rt := row.rt(t)
				var told string
				rt.OnEvent = func(e transport.Event) { told = e.Attempt().String() }
				ctx := t.Context()
				if row.within > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, row.within)
					defer cancel()
				}
				_, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
				var e *transport.Error
				if !errors.As(err, &e) || len(e.History) != 1 {
					t.Fatalf("got %v", err)
				}
				a := e.History[0]
				if want := "#1 GET http://data.test/: " + row.says; !strings.HasPrefix(told, want) || told != a.String() || strings.Contains(told, "final") || !strings.HasSuffix(told, ", gave up: "+row.why) {
					t.Errorf("told %q, want %q", told, want)
				}
				if !strings.HasPrefix(err.Error(), "sodahttp: ") || !strings.HasSuffix(err.Error(), ": "+row.why) {
					t.Errorf("the error says %q", err)
				}
				if a.Why != row.why || row.at > 0 && !a.RetryAt.Equal(begin.Add(row.at)) || row.at == 0 && !a.RetryAt.IsZero() {
					t.Errorf("got %+v, want %q and %v", a, row.why, row.at)
				}
			})
		})
	}
}

// slow is a timeout that knows nothing of contexts.
type slow struct{}

func (slow) Error() string { return "net/http: timeout awaiting response headers" }
func (slow) Timeout() bool { return true }

func TestErrorKeepsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: &transport.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) { return nil, slow{} })}}
		_, err := client.Get("http://data.test/")
		var timeout interface{ Timeout() bool }
		var e *transport.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.As(err, &e) || !e.Timeout() || len(e.History) != 5 {
			t.Errorf("got %v, want a timeout after 5 attempts", err)
		}
	})
}

func TestAttemptTellsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := rate.NewLimiter(rate.Every(2*time.Second), 1)
		lim.Allow()
		var text string
		rt := &transport.Transport{Base: answers(answer(200, "")), Limiter: lim, OnEvent: func(e transport.Event) { text = e.Attempt().String() }}
		if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil || !strings.Contains(text, "queued 2s") {
			t.Errorf("%q, %v, want the 2 s in the queue", text, err)
		}
	})
}
