package transport_test

import (
	"cmp"
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
	"github.com/sodahttp/sodahttp/transport"
)

// TestResumeKnowsTheLength has answers that end well, but not where the body does.
func TestResumeKnowsTheLength(t *testing.T) {
	const whole = "Hello World"
	part := func(from int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-10/11", from))
			w.WriteHeader(206)
			w.(http.Flusher).Flush() // without a length
			io.WriteString(w, text)
		}
	}
	all := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.(http.Flusher).Flush(); io.WriteString(w, text) }
	}
	for _, row := range []struct {
		name  string
		fixed bool // the first answer has a Content-Length
		then  []func(http.ResponseWriter)
		want  string // as far as it is whole
	}{
		{"a part that is too short, and the rest", false, []func(http.ResponseWriter){part(6, "Wo"), part(8, "rld")}, whole},
		{"a part that is empty, and the rest", false, []func(http.ResponseWriter){part(6, ""), part(6, "World")}, whole},
		{"a part that is too short, and all", false, []func(http.ResponseWriter){part(6, "Wo"), all(whole)}, whole},
		{"a part that is too short, and too much", false, []func(http.ResponseWriter){part(6, "Wo"), all(whole + "!")}, "Hello Wo"},
		{"a part that is too long", false, []func(http.ResponseWriter){part(6, "World!!!")}, "Hello "},
		{"all, but less than at first", true, []func(http.ResponseWriter){all("Hello Wo"), all(whole)}, whole},
		{"all, but more than at first", true, []func(http.ResponseWriter){all(whole + " and more")}, "Hello "},
	} {
		for _, http2 := range []bool{false, true} {
			for _, size := range []int{0, 1 << 10, 64 << 10} {
				t.Run(fmt.Sprint(row.name, " ", http2, " ", size), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := -1
						base, stop := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							w.Header().Set("Accept-Ranges", "bytes")
							w.Header().Set("ETag", `"one"`)
							if n++; n > 0 {
								row.then[min(n, len(row.then))-1](w)
								return
							}
							if row.fixed {
								w.Header().Set("Content-Length", "11")
							}
							io.WriteString(w, "Hello ")
							w.(http.Flusher).Flush()
							time.Sleep(time.Second)
							panic(http.ErrAbortHandler)
						}), http2)
						defer stop()
						resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
						if err != nil {
							t.Fatal(err)
						}
						got, err := readAll(resp.Body, size)
						resp.Body.Close()
						if string(got) != row.want || (err == nil) != (row.want == whole) || n != len(row.then) {
							t.Errorf("got %q, %v after %d more requests, want %q after %d", got, err, n, row.want, len(row.then))
						}
						var e *transport.BodyError
						if err != nil && (!errors.As(err, &e) || !e.Changed || e.Good != int64(len(row.want))) {
							t.Errorf("got %+v, want changed data after %d good bytes", err, len(row.want))
						}
					})
				})
			}
		}
	}
}

// TestResumeLearnsTheLength of a second answer, which a Base then ends early.
func TestResumeLearnsTheLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		base := baseFunc(func(*http.Request) (*http.Response, error) {
			resp := answer(200, []string{"", "Hello Wo", "Hello World"}[n])
			resp.ContentLength = 11
			if n++; n == 1 {
				resp.ContentLength = -1
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("Hello "), &broken{io.ErrUnexpectedEOF}))
			}
			return resp, nil
		})
		resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "Hello World" || err != nil || n != 3 {
			t.Errorf("got %q, %v after %d requests", b, err, n)
		}
	})
}

// TestCloseEndsARequest: a Read that is asking again does not outlive Close.
func TestCloseEndsARequest(t *testing.T) {
	for _, gaveUp := range []error{nil, &classify.Error{Status: http.StatusNotFound}} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			base := baseFunc(func(r *http.Request) (*http.Response, error) {
				if n++; n > 1 {
					<-r.Context().Done()
					return nil, cmp.Or(gaveUp, r.Context().Err())
				}
				resp := answer(200, "")
				resp.ContentLength = -1
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("some"), &broken{io.ErrUnexpectedEOF}))
				return resp, nil
			})
			resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			go func() { _, err := io.ReadAll(resp.Body); ended <- err }()
			time.Sleep(time.Second)
			start := time.Now()
			resp.Body.Close()
			if err := <-ended; err != http.ErrBodyReadAfterClose || time.Since(start) != 0 || n != 2 {
				t.Errorf("Close during Read: %v after %v and %d requests", err, time.Since(start), n)
			}
		})
	}
}

// TestResumeFreesItsRequests: at the end of the body, whether it is closed or not.
func TestResumeFreesItsRequests(t *testing.T) {
	for _, rest := range []string{"World", "Earth, and more"} {
		var asked []context.Context
		base := baseFunc(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.Context())
			resp := answer(200, "Hello "+rest)
			if resp.ContentLength = 11; len(asked) == 1 {
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("Hello "), &broken{io.ErrUnexpectedEOF}))
			}
			return resp, nil
		})
		resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); (err == nil) != (rest == "World") {
			t.Error(err)
		}
		if len(asked) != 2 || asked[0].Err() != nil || asked[1].Err() == nil {
			t.Errorf("%d requests; the second one's context has not ended", len(asked))
		}
	}
}

// TestReadAfterClose gives nothing, though there is something that was read ahead.
func TestReadAfterClose(t *testing.T) {
	for _, read := range []int64{10, 10_000} {
		resp := answer(200, strings.Repeat("x", 10_000))
		resp.Header.Set("Content-Type", "text/csv")
		resp, err := (&transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) { return resp, nil })}).
			RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := io.CopyN(io.Discard, resp.Body, read); n != read {
			t.Fatalf("read %d bytes", n)
		}
		resp.Body.Close()
		n, err := resp.Body.Read(make([]byte, 10))
		written, werr := resp.Body.(io.WriterTo).WriteTo(io.Discard)
		if n != 0 || err != http.ErrBodyReadAfterClose || written != 0 || werr != http.ErrBodyReadAfterClose {
			t.Errorf("Read gives %d, %v, WriteTo %d, %v", n, err, written, werr)
		}
	}
}

// A forgetful reader gives all it has with its error, which it does not repeat.
type forgetful struct {
	data string
	err  error
}

func (h *forgetful) Read(p []byte) (n int, err error) {
	n, err = copy(p, h.data), io.EOF
	if h.err != nil {
		err = h.err
	}
	h.data, h.err = "", nil
	return n, err
}

func (h *forgetful) Close() error { return nil }

func TestResumeAfterAnErrorSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := errors.New("cut")
		for _, size := range []int{0, 100, 64 << 10} {
			n := 0 // the third answer is not cut
			rt := &transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) {
				resp := answer(200, "")
				resp.ContentLength = -1
				resp.Body = &forgetful{"half of", own}
				if n++; n == 3 {
					resp.Body = io.NopCloser(strings.NewReader("half of it"))
				}
				return resp, nil
			})}
			resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := readAll(resp.Body, size); string(b) != "half of it" || err != nil || n != 3 {
				t.Errorf("reads of %d: %q, %v after %d requests", size, b, err, n)
			}
		}
	})
}

// TestResumeOfABaseThatSaysNothing, neither at first nor when asked again.
func TestResumeOfABaseThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) {
			if n++; n > 1 {
				return nil, nil
			}
			resp := answer(200, "")
			resp.Body = io.NopCloser(&broken{io.ErrUnexpectedEOF})
			return resp, nil
		})}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		var e *transport.BodyError
		if _, err := io.ReadAll(resp.Body); !errors.As(err, &e) || n != 2 { // a Base that breaks its contract will do so again
			t.Errorf("got %v after %d requests", err, n)
		}
		if resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); resp != nil || err == nil {
			t.Errorf("at first: got %v, %v, want an error", resp, err)
		}
	})
}

// TestResumeOfCodings: a part is asked for in the coding that the first answer
// had, and joined if it may be in that.
func TestResumeOfCodings(t *testing.T) {
	for _, row := range []struct {
		accept, first, then, asked string
		undone                     bool // by Base
		parts                      int
	}{
		{"", "", "", "identity", false, 1},
		{"", "", "identity", "identity", false, 1},
		{"gzip", "gzip", "gzip", "gzip", false, 1},
		{"gzip", "gzip", "", "gzip", false, 1}, // as RFC 9110 advises for If-Range
		{"gzip", "gzip", "br", "gzip", false, 0},
		{"", "", "", "identity", true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var asked []string
			n, parts := 0, 0
			base := baseFunc(func(r *http.Request) (*http.Response, error) {
				resp := answer(200, "Hello World")
				resp.ContentLength = 11
				resp.Header = http.Header{"Etag": {`"one"`}, "Accept-Ranges": {"bytes"}, "Content-Encoding": {row.first}}
				if n++; n == 1 {
					resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("Hello "), &broken{io.ErrUnexpectedEOF}))
				} else if r.Header.Get("Range") != "" {
					parts++
					asked = append(asked, r.Header.Get("Accept-Encoding"))
					resp = answer(206, "World")
					resp.ContentLength = 5
					resp.Uncompressed = row.undone
					resp.Header = http.Header{"Etag": {`"one"`}, "Content-Range": {"bytes 6-10/11"}, "Content-Encoding": {row.then}}
				}
				return resp, nil
			})
			req := newRequest(t, "GET", "http://data.test/", nil)
			if row.accept != "" {
				req.Header.Set("Accept-Encoding", row.accept)
			}
			resp, err := (&transport.Resume{Base: base}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			if want := 3 - row.parts; string(b) != "Hello World" || err != nil || n != want || parts != 1 || asked[0] != row.asked {
				t.Errorf("%+v: %q, %v after %d requests, %d of them for parts in %q", row, b, err, n, parts, asked)
			}
		})
	}
}

// TestResumeSendsTheBodyAgain with a GET that has one.
func TestResumeSendsTheBodyAgain(t *testing.T) {
	own := errors.New("the question is lost")
	for _, row := range []struct {
		name string
		get  func() (io.ReadCloser, error)
		want int
	}{
		{"GetBody", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("question")), nil }, 2},
		{"no GetBody", nil, 1},
		{"a GetBody that fails", func() (io.ReadCloser, error) { return nil, own }, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			base := baseFunc(func(r *http.Request) (*http.Response, error) {
				if b, err := io.ReadAll(r.Body); string(b) != "question" || err != nil {
					t.Errorf("%s: was asked %q, %v", row.name, b, err)
				}
				r.Body.Close()
				resp := answer(200, "Hello World")
				resp.ContentLength = 11
				if n++; n == 1 {
					resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("Hello "), &broken{io.ErrUnexpectedEOF}))
				}
				return resp, nil
			})
			req := newRequest(t, "GET", "http://data.test/", io.NopCloser(strings.NewReader("question")))
			req.GetBody = row.get
			resp, err := (&transport.Resume{Base: base}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			var e *transport.BodyError
			if n != row.want || (err == nil) != (n == 2) || errors.As(err, &e) != (n == 1 && row.get != nil) || e != nil && !errors.Is(err, own) {
				t.Errorf("%s: %v after %d requests", row.name, err, n)
			}
		})
	}
}

// TestResumeCountsProgress: a byte more is not worth another download.
func TestResumeCountsProgress(t *testing.T) {
	const k = 1 << 10
	for _, row := range []struct {
		name               string
		ranges             bool
		first, step, whole int // each answer is cut so much later than the one before
		attempts           int
		want               int // requests
		good               int
	}{
		{"a byte each time", false, 1, 1, 2000, 5, 6, 6},
		{"a byte each time, by ranges", true, 1, 1, 2000, 5, 6, 6},
		{"enough each time", false, 1, 64 * k, 1024 * k, 1, 17, 1024 * k},
		{"enough each time, by ranges", true, 4096 * k, 64 * k, 5120 * k, 1, 17, 5120 * k},
		{"enough every other time", false, 1, 32 * k, 1024 * k, 2, 33, 1024 * k},
		{"too little for what it costs", false, 4096 * k, 64 * k, 5120 * k, 1, 2, 4160 * k},
		{"too little for what it costs, but four times", false, 4096 * k, 64 * k, 4992 * k, 5, 15, 4992 * k},
	} {
		for _, size := range []int{0, 1000, 64 * k} {
			synctest.Test(t, func(t *testing.T) {
				body := string(bodyOf(row.whole))
				n, shortest := 0, time.Hour
				var last time.Time
				base := baseFunc(func(r *http.Request) (*http.Response, error) {
					if n++; n > 2 {
						shortest = min(shortest, time.Since(last))
					}
					last = time.Now()
					resp := answer(200, "")
					resp.ContentLength = -1
					from, to := 0, min(row.first+(n-1)*row.step, row.whole)
					if row.ranges {
						resp.Header = http.Header{"Etag": {`"one"`}, "Accept-Ranges": {"bytes"}}
						if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
							resp.StatusCode = 206
							resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, row.whole-1, row.whole))
						}
					}
					resp.Body = io.NopCloser(strings.NewReader(body[from:to]))
					if to < row.whole {
						resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[from:to]), &broken{io.ErrUnexpectedEOF}))
					}
					return resp, nil
				})
				resp, err := (&transport.Resume{Base: base, MaxAttempts: row.attempts}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
				if err != nil {
					t.Fatal(err)
				}
				got, err := readAll(resp.Body, size)
				if string(got) != body[:row.good] || (err == nil) != (row.good == row.whole) || n != row.want {
					t.Errorf("%s, reads of %d: %d bytes, %v after %d requests, want %d after %d", row.name, size, len(got), err, n, row.good, row.want)
				}
				if shortest < 250*time.Millisecond {
					t.Errorf("%s, reads of %d: waited %v", row.name, size, shortest)
				}
			})
		}
	}
}
