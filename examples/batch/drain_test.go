package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// A baseFunc is a Base that knows which page it is asked for, by its offset, or
// that it is the count, by none.
type baseFunc func(offset string, req *http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) {
	return f(req.URL.Query().Get("$offset"), req)
}

// refused is a 503 with that Retry-After.
func refused(req *http.Request, after string) *http.Response {
	return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {after}}, Body: io.NopCloser(strings.NewReader("no")), Request: req}
}

// underWay has what may be with the portal when the signal comes.
var underWay = []struct {
	name  string
	page  func(w *world, req *http.Request) (*http.Response, error) // the second of three: the first backs off
	says  string
	after time.Duration // of the signal
	there int           // pages
}{
	{"an answer comes", func(w *world, req *http.Request) (*http.Response, error) {
		time.Sleep(5 * time.Second)
		return w.srv.Transport().RoundTrip(req)
	}, "stopping: waiting for 1 page, 10s at most; Ctrl-C again kills\n", 3 * time.Second, 1},
	{"a body comes slowly", func(w *world, req *http.Request) (*http.Response, error) {
		resp, err := w.srv.Transport().RoundTrip(req)
		resp.Body = late{resp.Body}
		return resp, err
	}, "stopping: waiting for 1 page, ", 4 * time.Second, 1},
	{"a refusal comes", func(w *world, req *http.Request) (*http.Response, error) {
		time.Sleep(5 * time.Second)
		return refused(req, "1"), nil
	}, "stopping: waiting for 1 page, ", 3 * time.Second, 0},
	{"a lost connection", func(w *world, req *http.Request) (*http.Response, error) {
		time.Sleep(5 * time.Second)
		return nil, io.ErrUnexpectedEOF
	}, "stopping: waiting for 1 page, ", 3 * time.Second, 0},
	{"a body is cut", func(w *world, req *http.Request) (*http.Response, error) {
		resp, err := w.srv.Transport().RoundTrip(req)
		resp.Body.Close()
		resp.Body = late{io.NopCloser(io.MultiReader(strings.NewReader("["), iotest.ErrReader(io.ErrUnexpectedEOF)))}
		return resp, err
	}, "stopping: waiting for 1 page, ", 4 * time.Second, 0},
	{"nothing comes", func(w *world, req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	}, "stopping: waiting for 1 page, ", 10 * time.Second, 0},
	{"nothing is there", func(w *world, req *http.Request) (*http.Response, error) { return refused(req, "60"), nil },
		"stopping; Ctrl-C again kills\n", 0, 0},
}

// A first signal gives up at once what waits, and waits for what is with the
// portal, as long as the grace is and no longer.
func TestStopping(t *testing.T) {
	const asked = 2 * time.Second
	for _, tt := range underWay {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, 10_000))
				base := w.Base
				w.Workers = 2
				w.Base = baseFunc(func(offset string, req *http.Request) (*http.Response, error) {
					switch offset {
					case "":
						return base.RoundTrip(req)
					case "200":
						return tt.page(w, req)
					}
					time.Sleep(time.Second)
					return refused(req, "60"), nil
				})
				ctx, stop := context.WithCancel(t.Context())
				time.AfterFunc(asked, stop)
				time.AfterFunc(asked+time.Millisecond, func() {
					if !strings.Contains(w.out.String(), "batch: "+tt.says) {
						t.Errorf("it says at once\n%s", &w.out)
					}
				})
				began := time.Now()
				if got := w.run(ctx); got != exitLater {
					t.Errorf("exit status %d", got)
				}
				if took := time.Since(began); took != asked+tt.after {
					t.Errorf("it took %v, want %v", took, asked+tt.after)
				}
				if !strings.HasSuffix(w.out.String(), "batch: try again with -resume, now: stopped by a signal\n") {
					t.Errorf("it says\n%s", &w.out)
				}
				_, since, _ := strings.Cut(w.out.String(), "batch: stopping")
				for _, words := range []string{"trying now", "next in", "ETA"} {
					if strings.Contains(since, words) {
						t.Errorf("it is stopping, and says %q:\n%s", words, since)
					}
				}
				if tt.after > 5*time.Second && !strings.Contains(since, ", stopping") {
					t.Errorf("the progress does not tell that it is stopping:\n%s", since)
				}
				if pages, err := filepath.Glob(w.Out + ".parts/*.part"); err != nil || len(pages) != tt.there {
					t.Errorf("there are %q (%v), want %d", pages, err, tt.there)
				}
				time.Sleep(time.Second) // for the one that looks
			})
		})
	}
}

// late is a body that begins after 6 s.
type late struct{ io.ReadCloser }

func (l late) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if n > 0 && string(p[:1]) == "[" {
		time.Sleep(6 * time.Second)
	}
	return n, err
}

// What waits for its turn, or for a better copy of the data, is given up at once
// too, and so is the count.
func TestStoppingWhatWaits(t *testing.T) {
	for name, world := range map[string]func(t *testing.T) *world{
		"for its turn": func(t *testing.T) *world {
			w := newWorld(t, sodatest.Generated(sodatest.SampleID, 10_000))
			w.RPS = 0.01
			return w
		},
		"for a copy": func(t *testing.T) *world {
			return newWorld(t, sodatest.Every(2, sodatest.Reply{Header: map[string]string{headerStale: "true"}}), sodatest.Generated(sodatest.SampleID, 100))
		},
		"to count": func(t *testing.T) *world {
			return newWorld(t, sodatest.Outage(0, time.Hour, sodatest.HTML(503)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world(t)
				ctx, stop := context.WithCancel(t.Context())
				time.AfterFunc(2*time.Second, stop)
				began := time.Now()
				if got := w.run(ctx); got != exitLater || !strings.HasSuffix(w.out.String(), "now: stopped by a signal\n") {
					t.Errorf("exit status %d:\n%s", got, &w.out)
				}
				if took := time.Since(began); took != 2*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// What is waited for may be the count.
func TestStoppingTheCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 100), sodatest.Latency(func() time.Duration { return 5 * time.Second }))
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, stop)
		if got := w.run(ctx); got != exitLater || !strings.Contains(w.out.String(), "batch: stopping: waiting for the count, 10s at most;") {
			t.Errorf("exit status %d:\n%s", got, &w.out)
		}
	})
}

// A question goes through its states.
func TestDrain(t *testing.T) {
	answer := func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("[]")), Request: req}, nil
	}
	d := &drain{base: baseFunc(func(_ string, req *http.Request) (*http.Response, error) { return answer(req) })}
	request := func(ctx context.Context) *http.Request {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://data.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	waits, end := d.begin(t.Context())
	defer end()
	asks, end := d.begin(t.Context())
	defer end()
	resp, err := d.RoundTrip(request(asks))
	if err != nil {
		t.Fatal(err)
	}
	d.stop(func(n int) {
		if n != 1 || waits.Err() != nil {
			t.Errorf("%d are with the portal, and of the other there is %v before it is said", n, waits.Err())
		}
	})
	if context.Cause(waits) != errInterrupted || asks.Err() != nil {
		t.Errorf("after the signal: %v, %v", waits.Err(), asks.Err())
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	if resp.Body.Close(); asks.Err() != nil {
		t.Error("a question is given up although its answer is there")
	}
	if _, err := d.RoundTrip(request(asks)); err != errInterrupted || context.Cause(asks) != errInterrupted {
		t.Errorf("it goes to the portal once more: %v", err)
	}
	late, end := d.begin(t.Context())
	defer end()
	if context.Cause(late) != errInterrupted {
		t.Error("a question after the signal is not given up")
	}
}
