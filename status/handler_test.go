package status_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/status"
	"github.com/sodahttp/sodahttp/transport"
)

// A shown page, as a program reads it.
type shown struct {
	Time    time.Time `json:"time"`
	NoPacer bool      `json:"no_pacer"`
	Quotas  []struct {
		Quota    string         `json:"quota"`
		Token    int            `json:"token_tag"`
		Mode     string         `json:"mode"`
		Rate     float64        `json:"rate_per_second"`
		Pause    float64        `json:"pause_seconds"`
		Until    time.Time      `json:"pause_until"`
		Waiting  int            `json:"waiting_requests"`
		Backing  int            `json:"backing_off_requests"`
		InFlight int            `json:"in_flight_requests"`
		Retries  float64        `json:"retries_left"`
		Sent     int            `json:"sent_requests"`
		Datasets map[string]int `json:"dataset_limits"`
	} `json:"quotas"`
	Chart struct {
		Step  float64   `json:"step_seconds"`
		Last  float64   `json:"last_step_seconds"`
		End   time.Time `json:"end"`
		Sends []float64 `json:"requests_per_second"`
		Again []float64 `json:"repeats_per_second"`
		Held  []float64 `json:"held_requests"`
	} `json:"chart"`
	Unfinished []listed `json:"unfinished"`
	Requests   []listed `json:"requests"`
}

type listed struct {
	Call     int              `json:"call"`
	Began    time.Time        `json:"began"`
	Ended    time.Time        `json:"ended"`
	Next     time.Time        `json:"next_attempt"`
	Took     float64          `json:"took_seconds"`
	Failed   bool             `json:"failed"`
	Dropped  int              `json:"attempts_not_kept"`
	Attempts []map[string]any `json:"attempts"`
}

func read(t *testing.T, h http.Handler) (p shown) {
	t.Helper()
	w := get(h, "/", "application/json")
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPageOfANight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, stop := aNight(t)
		defer stop()
		p := read(t, page)
		if len(p.Quotas) != 2 || p.NoPacer {
			t.Fatalf("%d quotas", len(p.Quotas))
		}
		q := p.Quotas[0]
		if q.Mode == "open" || q.Pause < 80 || q.Pause > 90 || q.Until.Sub(p.Time).Round(time.Second) != time.Duration(q.Pause*1e9).Round(time.Second) ||
			q.Waiting == 0 || q.Sent < 2500 || q.Retries <= 0 {
			t.Errorf("the quota in its pause is %+v", q)
		}
		if q = p.Quotas[1]; q.Quota != "http://data.cityofnewyork.us" || q.Mode != "open" || q.Sent != 1 || q.Pause != 0 || !q.Until.IsZero() {
			t.Errorf("the other quota is %+v", q)
		}
		if n := len(p.Chart.Sends); n != 60 || p.Chart.Step != 10 || p.Chart.Last != 10-p.Chart.End.Sub(p.Time).Seconds() || p.Chart.Last < 0 || p.Chart.Last >= 10 {
			t.Errorf("the chart has %d steps of %v s to %v", n, p.Chart.Step, p.Chart.End)
		}
		last := len(p.Chart.Sends) - 1
		if s := p.Chart.Sends[last-2]; s < 3.5 || s > 6 {
			t.Errorf("at last %v requests were sent each second, at a limit of 5", s)
		}
		if s, w := p.Chart.Sends[last], p.Chart.Held[last]; s != 0 || w != 5 {
			t.Errorf("in the pause %v requests are sent each second, and %v wait, want none and 5", s, w)
		}
		outage := last - int((p.Chart.End.Sub(p.Time.Add(-7*time.Minute)))/(10*time.Second)) + 1
		if s, w := p.Chart.Sends[outage], p.Chart.Held[outage]; s > 2 || w < 3 {
			t.Errorf("during the outage %v requests were sent each second, and %v waited", s, w)
		}
		counts := map[any]int{}
		for i, r := range p.Requests {
			counts[r.Attempts[len(r.Attempts)-1]["status"]]++
			if i > 0 && r.Ended.After(p.Requests[i-1].Ended) {
				t.Error("the latest request is not the first")
			}
			if !r.Failed && (r.Took < 10 || len(r.Attempts) == 1 && r.Attempts[0]["queued_seconds"] == nil) {
				t.Errorf("listed as slow: %+v", r)
			}
		}
		if counts[404.0] != 1 || counts[400.0] == 0 || counts[200.0] == 0 {
			t.Errorf("listed are %v", counts)
		}
		for kind, text := range map[string]string{"text": get(page, "/", "*/*").Body.String(), "HTML": get(page, "/", "text/html").Body.String()} {
			contains(t, kind, text, "http://data.cityofnewyork.us", "open", "$offset", "96914e023b148fc8410d70febfa818e4", "1m2", "Waiting")
		}
	})
}

// TestRequestsListed tells what is listed from what is not, and what is told of
// it.
func TestRequestsListed(t *testing.T) {
	for _, row := range []struct {
		name    string
		base    func(n int, req *http.Request) (*http.Response, error)
		timeout time.Duration
		listed  bool
		failed  bool
		took    float64
		waited  float64 // in all
		sent    float64
		last    string // of the attempt
	}{
		{"a success", func(int, *http.Request) (*http.Response, error) { return answer(200), nil }, 0, false, false, 0, 0, 1, ""},
		{"a redirect", func(int, *http.Request) (*http.Response, error) { return answer(302), nil }, 0, false, false, 0, 0, 1, ""},
		{"a success after a retry", func(n int, _ *http.Request) (*http.Response, error) {
			return answer([]int{503, 200}[n]), nil
		}, 0, false, false, 1, 1, 2, ""},
		{"a slow success", func(int, *http.Request) (*http.Response, error) {
			time.Sleep(20 * time.Second)
			return answer(200), nil
		}, 0, true, false, 20, 0, 1, `"status":200`},
		{"a success that waited", func(n int, _ *http.Request) (*http.Response, error) {
			return answer([]int{429, 200}[n], "Retry-After", "20"), nil
		}, 0, true, false, 20, 20, 2, `"status":200`},
		{"not found", func(int, *http.Request) (*http.Response, error) { return answer(404), nil }, 0, true, true, 0, 0, 1, `"status":404`},
		{"a final error", func(int, *http.Request) (*http.Response, error) { return nil, errors.New("no") }, 0, true, true, 0, 0, 1, `"error":"no"`},
		{"a 202 that goes back", func(int, *http.Request) (*http.Response, error) { return answer(202), nil }, 0, true, true, 0, 0, 1, `"why":"polling is off"`},
		{"attempts used up", func(int, *http.Request) (*http.Response, error) { return answer(503), nil }, 0, true, true, 2, 2, 3, `"why":"3 of 3 attempts made"`},
		{"a wait that is cut", func(int, *http.Request) (*http.Response, error) { return answer(503), nil }, 500 * time.Millisecond, true, true, 0.5, 0.5, 1, `"why":"the context ended during the wait"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if row.timeout > 0 {
					time.AfterFunc(row.timeout, cancel)
				}
				page, n := new(status.Handler), -1
				rt := &transport.Transport{OnEvent: page.OnEvent, Pacer: &pace.Pacer{Off: true}, Policy: policy.Policy{
					MaxAttempts: 3, Poll: policy.Polling{Off: true},
					LastWord: func(_ policy.Attempt, d policy.Decision) policy.Decision { // waits to the second
						d.Wait = d.Wait.Round(time.Second)
						if d.Action == policy.Retry && d.By == policy.ByBackOff {
							d.Wait = time.Second
						} else if d.By == policy.ByServer {
							d.Wait = 20 * time.Second
						}
						return d
					},
				}, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
					n++
					return row.base(n, r)
				})}
				req, _ := http.NewRequestWithContext(ctx, "GET", "http://data.test/resource/abcd-1234.json?$limit=5", nil)
				rt.RoundTrip(req)
				time.Sleep(10 * time.Second) // so that the step is over
				p := read(t, page)
				if !p.NoPacer {
					t.Error("a page without a Pacer does not say so")
				}
				if sum := 10 * sum(p.Chart.Sends); sum != row.sent {
					t.Errorf("the chart has %v sends, want %v", sum, row.sent)
				}
				if sum := 10 * sum(p.Chart.Again); sum != row.sent-1 {
					t.Errorf("the chart has %v repeats, want %v", sum, row.sent-1)
				}
				if sum := 10 * sum(p.Chart.Held); sum < row.waited-.001 || sum > row.waited+.001 {
					t.Errorf("the chart has %v s of waiting, want %v", sum, row.waited)
				}
				if listed := len(p.Requests) == 1; listed != row.listed || len(p.Unfinished) > 0 {
					t.Fatalf("listed are %+v, and %+v", p.Requests, p.Unfinished)
				}
				if !row.listed {
					return
				}
				r := p.Requests[0]
				if r.Failed != row.failed || r.Took != row.took || r.Call != 1 || !r.Ended.Equal(r.Began.Add(time.Duration(r.Took*1e9))) || len(r.Attempts) != int(row.sent) {
					t.Errorf("listed is %+v", r)
				}
				last, _ := json.Marshal(r.Attempts[len(r.Attempts)-1])
				contains(t, "the last attempt", string(last), row.last)
			})
		})
	}
}

func sum(all []float64) (sum float64) {
	for _, v := range all {
		sum += v
	}
	return sum
}

// TestWaitingNow: who waits between two attempts is on the chart, counted with
// the quota and in a list of its own, from the start and while it lasts.
func TestWaitingNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := &status.Handler{Pacer: new(pace.Pacer)}
		rt := &transport.Transport{OnEvent: page.OnEvent, Pacer: page.Pacer, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/quick" {
				return answer(200), nil
			}
			return answer(429, "Retry-After", "70"), nil
		})}
		send(t, rt, "http://other.test/quick")
		go send(t, rt, "http://DATA.test:80/resource/abcd-1234.json")
		time.Sleep(5 * time.Second)
		p := read(t, page)
		if len(p.Unfinished) != 1 || !p.Unfinished[0].Next.After(p.Time.Add(time.Minute)) {
			t.Errorf("after 5 s, unfinished is %+v", p.Unfinished)
		}
		if q := p.Quotas; len(q) != 2 || q[0].Quota != "http://data.test" || q[0].Backing != 1 || q[0].Waiting != 0 || q[1].Backing != 0 {
			t.Errorf("after 5 s, the quotas are %+v", q)
		}
		time.Sleep(30 * time.Second)
		p = read(t, page)
		if sum := 10*sum(p.Chart.Held[:59]) + p.Chart.Last*p.Chart.Held[59]; sum != 35 {
			t.Errorf("the chart has %v s of waiting, want 35", sum)
		}
		if len(p.Unfinished) != 1 || p.Unfinished[0].Took != 35 || !p.Unfinished[0].Ended.IsZero() || len(p.Requests) != 0 {
			t.Fatalf("unfinished is %+v", p.Unfinished)
		}
		left := p.Unfinished[0].Next.Sub(p.Time).Round(100 * time.Millisecond) // 70 s and some jitter
		contains(t, "the text", get(page, "/", "").Body.String(), "STILL BEING TRIED", fmt.Sprintf("backs off, 35s, next in %v, call 2", left), "paced  -  ", "NO FAILED OR SLOW REQUESTS", ", waits 1m1")
		time.Sleep(time.Hour)
		if p := read(t, page); len(p.Unfinished) != 0 || len(p.Requests) != 1 || sum(p.Chart.Sends) != 0 {
			t.Errorf("an hour later: %+v", p)
		}
	})
}

// TestWaitsForItsTurn: a request whose back-off is over may be in the queue.
func TestWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := &status.Handler{Pacer: new(pace.Pacer)}
		var sent atomic.Int32
		rt := &transport.Transport{OnEvent: page.OnEvent, Pacer: page.Pacer, Policy: policy.Policy{MaxAttempts: 2}, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			switch n := sent.Add(1); {
			case r.URL.Path == "/other":
				return answer(429, "Retry-After", "60"), nil
			case n == 1:
				return answer(504), nil
			}
			time.Sleep(30 * time.Second)
			return answer(200), nil
		})}
		for _, path := range []string{"/", "/other"} { // the second has all wait
			go send(t, rt, "http://data.test"+path)
			time.Sleep(time.Millisecond)
		}
		contains(t, "the text", get(page, "/", "").Body.String(), "backs off, 2ms, next in", "504 Gateway Timeout, transient, waits ")
		time.Sleep(30 * time.Second)
		text := get(page, "/", "").Body.String()
		contains(t, "the text", text, "waits for its turn, 30s, call 1", "504 Gateway Timeout, transient, waited ", "backs off, 30s, next in ", "throttled, waits 1m")
		contains(t, "the HTML", get(page, "/", "text/html").Body.String(), ">waits for its turn<", ">backs off<", "</time> waited ", " waits 1m")
		if strings.Count(text, "next in") != 1 {
			t.Errorf("one request backs off:\n%s", text)
		}
		time.Sleep(time.Hour)
	})
}

// TestLostRequests: one that never ends, as its RoundTripper panicked, is not
// shown for ever. One that waits for long is.
func TestLostRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, n := &status.Handler{Pacer: new(pace.Pacer)}, 0
		rt := &transport.Transport{OnEvent: page.OnEvent, Pacer: page.Pacer, Base: baseFunc(func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return answer(503), nil
			}
			panic(http.ErrAbortHandler)
		})}
		func() {
			defer func() { recover() }()
			send(t, rt, "http://data.test/")
		}()
		time.Sleep(time.Hour)
		if p := read(t, page); len(p.Unfinished) != 1 {
			t.Errorf("after an hour, unfinished is %+v", p.Unfinished)
		}
		time.Sleep(2 * time.Hour)
		if p := read(t, page); len(p.Unfinished) != 0 || sum(p.Chart.Held) != 0 {
			t.Errorf("after three hours, unfinished is %+v, and held are %v", p.Unfinished, p.Chart.Held)
		}
	})
}

// TestNamesAreDocumented: each name in the JSON is in the package's comment.
func TestNamesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("handler.go")
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(doc), "package status")
	var names func(reflect.Type)
	names = func(s reflect.Type) {
		for s.Kind() == reflect.Slice {
			s = s.Elem()
		}
		if s.Kind() != reflect.Struct || s == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range s.NumField() {
			name := s.Field(i).Tag.Get("json")
			if !regexp.MustCompile(`(?m)^//\t.*\b` + name + `\b`).MatchString(comment) {
				t.Errorf("%s is not in the package's comment", name)
			}
			names(s.Field(i).Type)
		}
	}
	names(reflect.TypeFor[shown]()) // which has all names, or it could not be read
}

// TestTryingAgain: a request that is at a later attempt is listed, and is not
// said to wait.
func TestTryingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, n := &status.Handler{Pacer: new(pace.Pacer)}, 0
		rt := &transport.Transport{OnEvent: page.OnEvent, Pacer: page.Pacer, Base: baseFunc(func(*http.Request) (*http.Response, error) {
			if n++; n == 2 {
				time.Sleep(time.Minute)
			}
			return answer([]int{504, 200}[n-1]), nil
		})}
		go send(t, rt, "http://data.test/")
		time.Sleep(30 * time.Second)
		p := read(t, page)
		if len(p.Unfinished) != 1 || !p.Unfinished[0].Next.IsZero() || p.Quotas[0].Backing != 0 || p.Quotas[0].InFlight != 1 {
			t.Errorf("listed is %+v, of %+v", p.Unfinished, p.Quotas)
		}
		contains(t, "the text", get(page, "/", "").Body.String(), "tries again, 30s, call 1")
		time.Sleep(time.Hour)
	})
}

// TestModesAreExplained, where there are any.
func TestModesAreExplained(t *testing.T) {
	page := &status.Handler{Pacer: new(pace.Pacer)}
	rt := &transport.Transport{Pacer: page.Pacer, Base: baseFunc(func(*http.Request) (*http.Response, error) { return answer(200), nil })}
	meanings := []string{"nothing was refused", "keep to the learned rate", "nothing goes through", "so many requests at once"}
	for _, kind := range []string{"text/plain", "text/html"} {
		if body := get(page, "/", kind).Body.String(); strings.Contains(body, meanings[0]) {
			t.Errorf("%s explains modes of which there is none:\n%s", kind, body)
		}
	}
	send(t, rt, "http://data.test/")
	contains(t, "the text", get(page, "/", "text/plain").Body.String(), append(meanings, "\nopen: ", "\npaced: ", "\nclosed: ", "\nconcurrency: ")...)
	contains(t, "the HTML", get(page, "/", "text/html").Body.String(), append(meanings, ">open</b>", ">paced</b>", ">closed</b>", ">concurrency</b>")...)
}

// TestQueuedFirstAttempt: what the Pacer holds back is on the chart, too.
func TestQueuedFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := new(status.Handler)
		rt := &transport.Transport{OnEvent: page.OnEvent, Limiter: waiter(3 * time.Second), Base: baseFunc(func(*http.Request) (*http.Response, error) {
			return answer(200), nil
		})}
		send(t, rt, "http://data.test/")
		time.Sleep(10 * time.Second)
		if p := read(t, page); 10*sum(p.Chart.Held) != 3 || len(p.Requests) != 0 {
			t.Errorf("%+v", p)
		}
	})
}

type waiter time.Duration

func (w waiter) Wait(context.Context) error { time.Sleep(time.Duration(w)); return nil }

// TestSeveralTransports: two requests of the same number and context are two.
func TestSeveralTransports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := &status.Handler{Slow: time.Nanosecond}
		for i := range 2 {
			rt := &transport.Transport{OnEvent: page.OnEvent, Pacer: &pace.Pacer{Off: true}, Base: baseFunc(func(*http.Request) (*http.Response, error) {
				return answer(503), nil
			})}
			req, _ := http.NewRequest("GET", fmt.Sprintf("http://data.test/%d", i), nil)
			go rt.RoundTrip(req)
		}
		time.Sleep(time.Millisecond)
		if p := read(t, page); len(p.Unfinished) != 2 || len(p.Unfinished[0].Attempts) != 1 {
			t.Errorf("%+v", p.Unfinished)
		}
		time.Sleep(time.Hour)
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := new(status.Handler)
		long := strings.Repeat("x", 1<<13)
		rt := &transport.Transport{OnEvent: page.OnEvent, Pacer: &pace.Pacer{Off: true},
			Policy: policy.Policy{MaxAttempts: 22, MaxElapsed: -1},
			Base: baseFunc(func(*http.Request) (*http.Response, error) {
				return nil, &longError{long}
			})}
		before := heap()
		for range 250 {
			go send(t, rt, "http://data.test/"+long)
		}
		time.Sleep(time.Minute)
		if p := read(t, page); len(p.Unfinished) != 50 {
			t.Errorf("%d unfinished requests are shown", len(p.Unfinished))
		}
		time.Sleep(24 * time.Hour)
		p := read(t, page)
		if len(p.Requests) != 50 || len(p.Unfinished) != 0 {
			t.Errorf("%d requests are listed, %d unfinished", len(p.Requests), len(p.Unfinished))
		}
		for _, r := range p.Requests {
			if n := len(r.Attempts); r.Attempts[n-1]["n"] != 22.0 || n > 20 || n+r.Dropped != 22 {
				t.Errorf("of 22 attempts there are %d, and %d are said to be left out", n, r.Dropped)
			}
		}
		if grown := heap() - before; grown > 2<<20 {
			t.Errorf("%d bytes are kept", grown)
		}
		runtime.KeepAlive(page)
	})
}

// TestUnfinishedAreForgotten: requests whose end is never told of do not take up
// the room for ever.
func TestUnfinishedAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, before := new(status.Handler), heap()
		for i := range 50_000 {
			page.OnEvent(transport.Event{Call: uint64(i + 1), Next: policy.Retry})
		}
		if grown := heap() - before; grown > 1<<20 {
			t.Errorf("%d bytes are kept", grown)
		}
		time.Sleep(3 * time.Hour)
		page.OnEvent(transport.Event{Call: 1000, Next: policy.Retry})
		page.OnEvent(transport.Event{Call: 1000})
		if p := read(t, page); len(p.Requests) != 1 || len(p.Requests[0].Attempts) != 2 {
			t.Errorf("%+v", p.Requests)
		}
	})
}

type longError struct{ text string }

func (e *longError) Error() string   { return e.text }
func (e *longError) Timeout() bool   { return true }
func (e *longError) Temporary() bool { return true }

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTypes(t *testing.T) {
	h := new(status.Handler)
	for accept, want := range map[string]string{
		"":    "text/plain",
		"*/*": "text/plain",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "text/html",
		"application/json":                      "application/json",
		"application/json, text/plain, */*":     "application/json",
		"application/json;q=0.5, text/html;q=1": "text/html",
		"application/json, text/html;q=0.9":     "application/json",
		"text/html;q=0":                         "text/plain",
		"text/plain, text/html;q=0.1":           "text/plain",
		"text/html;q=x":                         "text/plain",
		"image/png;;":                           "text/plain",
	} {
		w := get(h, "/", accept)
		if got := w.Header().Get("Content-Type"); got != want+"; charset=utf-8" || w.Body.Len() == 0 {
			t.Errorf("Accept: %s got %s", accept, got)
		}
	}
}

func TestHeadersAndMethods(t *testing.T) {
	srv := httptest.NewServer(new(status.Handler))
	defer srv.Close()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
		req, _ := http.NewRequest(method, srv.URL, nil)
		req.Header.Set("Accept", "text/html")
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'; ",
		} {
			if !strings.HasPrefix(resp.Header.Get(name), want) {
				t.Errorf("%s has %s: %s", method, name, resp.Header.Get(name))
			}
		}
		switch method {
		case "GET", "HEAD":
			if resp.StatusCode != 200 || resp.ContentLength <= 0 || resp.Header.Get("Vary") != "Accept" {
				t.Errorf("%s got %d, %d bytes, %v", method, resp.StatusCode, resp.ContentLength, resp.Header)
			}
		default:
			if resp.StatusCode != 405 || len(body) > 100 || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s got %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
	}
}

// TestPolicyLetsTheStyleIn: the hash in the header is that of the page's style
// sheet, and there is nothing else that a browser would have to load or run.
func TestPolicyLetsTheStyleIn(t *testing.T) {
	w := get(new(status.Handler), "/", "text/html")
	_, rest, _ := strings.Cut(w.Body.String(), "<style>")
	css, rest, ok := strings.Cut(rest, "</style>")
	hash := sha256.Sum256([]byte(css))
	if !ok || !strings.Contains(w.Header().Get("Content-Security-Policy"), "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'") {
		t.Errorf("the policy is %s", w.Header().Get("Content-Security-Policy"))
	}
	for _, s := range []string{"<script", "style=", "src=", "<link", "<style", "url(", "@import", "onload"} {
		if strings.Contains(rest+css, s) {
			t.Errorf("the page has %s", s)
		}
	}
	contains(t, "the page", w.Body.String(), `http-equiv="refresh"`)
	if strings.Contains(get(new(status.Handler), "/?still", "text/html").Body.String(), "http-equiv") {
		t.Error("the page that holds still does not")
	}
}

func TestNext(t *testing.T) {
	var kinds []transport.EventKind
	h := &status.Handler{Next: func(e transport.Event) { kinds = append(kinds, e.Kind) }}
	for kind := range transport.PaceChanged + 1 {
		h.OnEvent(transport.Event{Kind: kind})
	}
	if len(kinds) != 4 {
		t.Errorf("told of %v", kinds)
	}
}

// TestNextMayPanic: a hook that panics is of its own request, and the page goes
// on.
func TestNextMayPanic(t *testing.T) {
	h := &status.Handler{Next: func(e transport.Event) { panic("hook") }}
	func() {
		defer func() { recover() }()
		h.OnEvent(transport.Event{})
	}()
	if p := read(t, h); len(p.Requests) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestSuccessAllocatesNothing(t *testing.T) {
	rt, req := success(new(status.Handler))
	if n := testing.AllocsPerRun(1000, func() { rt.RoundTrip(req) }); n != 0 {
		t.Errorf("a success allocates %v times", n)
	}
}

func BenchmarkSuccess(b *testing.B) {
	b.Run("no page", func(b *testing.B) {
		rt, req := success(nil)
		for b.Loop() {
			rt.RoundTrip(req)
		}
	})
	b.Run("a page", func(b *testing.B) {
		rt, req := success(new(status.Handler))
		for b.Loop() {
			rt.RoundTrip(req)
		}
	})
}

func success(h *status.Handler) (*transport.Transport, *http.Request) {
	resp := answer(200)
	rt := &transport.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) { return resp, nil }), Pacer: new(pace.Pacer)}
	if h != nil {
		rt.OnEvent = h.OnEvent
	}
	req, _ := http.NewRequest("GET", "http://data.test/resource/abcd-1234.json?$limit=5", nil)
	return rt, req
}
