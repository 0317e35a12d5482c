package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// How much TestResumeAfterCuts does in each of its 16 ways.
var (
	resumeSeeds = flag.Int("resume.seeds", 10, "bodies that are cut, with 1 to 20 cuts each")
	resumeSize  = flag.Int("resume.size", 64<<10, "bytes of each body")
)

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// serve serves h in memory, for a bubble.
func serve(h http.Handler, http2 bool) (base *http.Transport, stop func()) {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	base = &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		p.conns <- theirs
		return ours, nil
	}}
	for _, set := range []*http.Protocols{srv.Protocols, base.Protocols} {
		set.SetHTTP1(!http2)
		set.SetUnencryptedHTTP2(http2)
	}
	var running sync.WaitGroup
	running.Go(func() { srv.Serve(p) })
	return base, func() {
		base.CloseIdleConnections()
		close(p.done)
		srv.Close()
		running.Wait()
	}
}

// A cutter serves one body and breaks it off at random places.
type cutter struct {
	body    []byte
	cuts    int // how often, before it lets the body through
	fixed   bool
	gzip    bool
	ranges  bool
	seed    uint64
	zipped  []byte
	asked   atomic.Int32
	partial atomic.Int32
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(c.asked.Add(1))
	rnd := rand.New(rand.NewPCG(c.seed, uint64(n)))
	body, status := c.body, http.StatusOK
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", `"one"`)
	h.Set("Last-Modified", "Sun, 27 Apr 2025 15:12:09 GMT")
	if c.ranges {
		h.Set("Accept-Ranges", "bytes")
		var from int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && r.Header.Get("If-Range") == `"one"` {
			c.partial.Add(1)
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
			body, status = body[from:], http.StatusPartialContent
		}
	}
	if c.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = c.zipped
		h.Set("Content-Encoding", "gzip")
	}
	if c.fixed {
		h.Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.WriteHeader(status)
	if n > c.cuts {
		w.Write(body)
		return
	}
	w.Write(body[:rnd.IntN(len(body)+1)])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func TestResumeAfterCuts(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		for _, fixed := range []bool{false, true} {
			for _, zip := range []bool{false, true} {
				for _, ranges := range []bool{false, true} {
					name := fmt.Sprintf("%s fixed=%v gzip=%v ranges=%v", proto, fixed, zip, ranges)
					t.Run(name, func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { resumeAfterCuts(t, proto, fixed, zip, ranges) })
					})
				}
			}
		}
	}
}

func resumeAfterCuts(t *testing.T, proto string, fixed, zip, ranges bool) {
	want := bodyOf(*resumeSize)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(want)
	z.Close()
	c := new(cutter)
	base, stop := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ServeHTTP(w, r) }), proto == "HTTP/2")
	defer stop()
	rt := &transport.Resume{Base: base, MaxAttempts: 100}
	for seed := range uint64(*resumeSeeds) {
		c = &cutter{body: want, cuts: 1 + int(7*seed)%20, fixed: fixed, gzip: zip, zipped: zipped.Bytes(), ranges: ranges, seed: seed}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		for err != nil { // cut before the headers: Transport's business
			resp, err = rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		}
		if resp.Proto[:6] != proto[:6] {
			t.Fatalf("spoke %s, want %s", resp.Proto, proto)
		}
		got, err := readAll(resp.Body, []int{0, 700, 64 << 10}[seed%3])
		resp.Body.Close()
		if err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
			t.Fatalf("seed %d: %d of %d bytes, %v", seed, len(got), len(want), err)
		}
		if ranges && !zip && c.cuts > 5 && c.partial.Load() == 0 {
			t.Errorf("seed %d: no Range was ever asked for", seed)
		}
	}
}

// readAll reads a body with a buffer of that size, or by WriteTo if it is 0.
func readAll(body io.Reader, size int) ([]byte, error) {
	var b bytes.Buffer
	if size == 0 {
		_, err := body.(io.WriterTo).WriteTo(&b)
		return b.Bytes(), err
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{body}, make([]byte, size))
	return b.Bytes(), err
}

// parts is a server that is cut once after "Hello " and then answers with what
// the test gives it.
type part struct {
	status int
	header string // "Name: value; Name: value"
	body   string
}

func cutHello(t *testing.T, then part) (string, error) {
	t.Helper()
	n := 0
	base := baseFunc(func(r *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			resp := answer(200, "")
			resp.Header.Set("ETag", `"one"`)
			resp.Header.Set("Accept-Ranges", "bytes")
			resp.ContentLength = 11
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("Hello "), &broken{io.ErrUnexpectedEOF}))
			return resp, nil
		}
		if h := r.Header; n == 2 && (h.Get("Range") != "bytes=6-" || h.Get("If-Range") != `"one"` || h.Get("If-Match")+h.Get("If-None-Match") != "") {
			t.Errorf("asked for the rest with %v", h)
		}
		if n > 2 && then.status == 206 { // its parts are not trusted: it is asked for the whole
			resp := answer(200, "Hello World")
			resp.Header.Set("ETag", `"one"`)
			resp.ContentLength = 11
			return resp, nil
		}
		resp := answer(then.status, then.body)
		resp.ContentLength = -1
		for _, line := range strings.Split(then.header, "; ") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				resp.Header.Add(name, value)
			}
		}
		return resp, nil
	})
	req := newRequest(t, "GET", "http://data.test/", nil)
	req.Header.Set("If-Match", `"one"`) // which would make a 412 of what If-Range makes a 200
	req.Header.Set("If-None-Match", `"none"`)
	resp, err := (&transport.Resume{Base: base, MaxAttempts: 3}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if len(req.Header) != 2 {
		t.Errorf("the caller's header is now %v", req.Header)
	}
	return string(b), err
}

// TestResumeIsNotFooled has the mistakes that clients have made with ranges.
func TestResumeIsNotFooled(t *testing.T) {
	const whole = "Hello World"
	for _, row := range []struct {
		name    string
		then    part
		want    string
		changed bool
		says    string // empty if it is whole
	}{
		{"the rest, as asked for", part{206, `ETag: "one"; Content-Range: bytes 6-10/11`, "World"}, whole, false, ""},
		{"a server that ignores Range", part{200, `ETag: "one"`, whole}, whole, false, ""},
		{"a 206 from another place", part{206, `ETag: "one"; Content-Range: bytes 5-10/11`, " World"}, whole, false, ""},
		{"a 206 that is off by one", part{206, `ETag: "one"; Content-Range: bytes 6-9/11`, "Worl"}, whole, false, ""},
		{"a 206 without a total", part{206, `ETag: "one"; Content-Range: bytes 6-10/*`, "World"}, whole, false, ""},
		{"a 206 of another length", part{206, `ETag: "one"; Content-Range: bytes 6-11/12`, "World!"}, whole, false, ""},
		{"a 206 without Content-Range", part{206, `ETag: "one"; Content-Type: multipart/byteranges`, "--x"}, whole, false, ""},
		{"a 206 with two", part{206, `ETag: "one"; Content-Range: bytes 6-10/11; Content-Range: bytes 6-10/11`, "World"}, whole, false, ""},
		{"a 206 in another coding", part{206, `ETag: "one"; Content-Range: bytes 6-10/11; Content-Encoding: gzip`, "\x1f\x8bzzz"}, whole, false, ""},
		{"a 206 in no coding", part{206, `ETag: "one"; Content-Range: bytes 6-10/11; Content-Encoding: identity`, "World"}, whole, false, ""},
		{"a 206 of other data", part{206, `ETag: "two"; Content-Range: bytes 6-10/11`, "Earth"}, "Hello ", true, `, and the data has changed since: its Etag was "one" and is "two"`},
		{"a 200 of other data", part{200, `ETag: "two"`, "Hello Earth"}, "Hello ", true, `, and the data has changed since: its Etag was "one" and is "two"`},
		{"a 200 without its ETag", part{200, ``, whole}, "Hello ", true, `, and the data has changed since: its Etag was "one" and is gone`},
		{"a 200 that differs though its ETag does not", part{200, `ETag: "one"`, "Howdy World"}, "Hello ", true, `, and the data has changed since: its first 6 bytes were others`},
		{"a 200 in another coding", part{200, `ETag: "one"; Content-Encoding: gzip`, whole}, "Hello ", true, `, and the data has changed since: its Content-Encoding was none and is gzip`},
		{"a 200 that is shorter", part{200, `ETag: "one"`, "Hell"}, "Hello ", true, `, and the data has changed since: its length was 6 bytes or more and is less`},
		{"a 416", part{416, `ETag: "one"; Content-Range: bytes */11`, ""}, "Hello ", false, `; asked again 2 times without enough more: socrata: GET http://data.test/: 416 requested range not satisfiable`},
		{"a 404", part{404, ``, ""}, "Hello ", false, `; asked again once without enough more: socrata: GET http://data.test/: 404 not found`},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := cutHello(t, row.then)
				if got != row.want || (err != nil) != (row.says != "") {
					t.Fatalf("got %q, %v, want %q", got, err, row.want)
				}
				if row.says == "" {
					return
				}
				var e *transport.BodyError
				if !errors.As(err, &e) || e.Good != 6 || e.Changed != row.changed || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %+v, want 6 good bytes, changed %v, unwrapping to the first error", err, row.changed)
				}
				if want := "sodahttp: the body was cut after 6 good bytes (unexpected EOF)" + row.says; err.Error() != want {
					t.Errorf("it says\n%q, want\n%q", err, want)
				}
			})
		})
	}
}

// TestResumeIsNotFooledByHEAD: the length is that of a body which does not come.
func TestResumeIsNotFooledByHEAD(t *testing.T) {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Content-Length", "11")
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("ETag", `"one"`)
	}))
	defer srv.Close()
	rt := &transport.Resume{}
	resp, err := rt.RoundTrip(newRequest(t, "HEAD", srv.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	rt.CloseIdleConnections()
	if len(b) > 0 || err != nil || n != 1 || resp.ContentLength != 11 {
		t.Errorf("read %q, %v after %d requests, with a length of %d", b, err, n, resp.ContentLength)
	}
}

func TestResumeGivesUpWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		base := baseFunc(func(r *http.Request) (*http.Response, error) {
			n++
			resp := answer(200, "")
			resp.ContentLength = -1
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("some"), &broken{io.ErrUnexpectedEOF}))
			return resp, nil
		})
		resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		var e *transport.BodyError
		if string(b) != "some" || !errors.As(err, &e) || e.Changed || e.Tries != 5 || e.Last != io.ErrUnexpectedEOF || n != 6 {
			t.Errorf("got %q, %+v after %d requests, want 1 and 5 without progress", b, err, n)
		}
		if want := "sodahttp: the body was cut after 4 good bytes (unexpected EOF); asked again 5 times without enough more: unexpected EOF"; err.Error() != want {
			t.Errorf("it says\n%q, want\n%q", err, want)
		}
		if _, again := resp.Body.Read(make([]byte, 1)); again != err {
			t.Errorf("reading on gives %v, want the same error", again)
		}
	})
}

// inBand is Socrata's error object as exports have been seen to end in.
const inBand = "{\n  \"error\" : true,\n  \"message\" : \"Internal error\",\n  \"status\" : 500\n}"

func TestTail(t *testing.T) {
	rows := strings.Repeat("\"1\",\"one\"\n", 1000)
	array := "[" + strings.Repeat("{\"id\":\"1\"}\n,", 1000)
	for _, row := range []struct {
		name, kind, body string
		fails            bool
	}{
		{"a CSV that ends in an error", "text/csv; charset=UTF-8", rows + inBand, true},
		{"a CSV that ends in an error and a newline", "text/csv", rows + inBand + "\n\n", true},
		{"a CSV that is cut in a row before the error", "text/csv", rows + "\"2\",\"tw" + inBand, true},
		{"a CSV that is nothing but an error", "text/csv", inBand, true},
		{"a CSV with such a text in a cell", "text/csv", rows + "\"2\",\"" + strings.ReplaceAll(inBand, `"`, `""`) + "\"\n", false},
		{"a CSV with such a text in its middle", "text/csv", rows + inBand + "\n" + rows, false},
		{"an array that ends in an error", "application/json;charset=utf-8", array + "{\"id\":\"2\"}\n" + inBand, true},
		{"an array whose last row looks like one", "application/json", array + inBand + "]\n", false},
		{"an object that looks like one", "application/json", inBand, false},
		{"an error with data in it", "application/json", array + `{"code":"internal","error":true,"data":{"a":{}}}`, true},
		{"an object that is no error", "text/csv", rows + `{"error":false,"message":"no"}`, false},
		{"another type", "text/plain", rows + inBand, false},
		{"an empty array", "application/json", "[]\n", false},
		{"nothing", "text/csv", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 100, 64 << 10} {
				synctest.Test(t, func(t *testing.T) {
					got, n, err := readTail(t, row.kind, row.body, size)
					if !row.fails {
						if got != row.body || err != nil || n != 1 {
							t.Errorf("reads of %d: got %d of %d bytes, %v after %d requests", size, len(got), len(row.body), err, n)
						}
						return
					}
					var e *classify.Error
					if !errors.As(err, &e) || e.Kind != classify.Internal || !errors.Is(err, classify.Internal) || n != 3 {
						t.Errorf("reads of %d: got %v after %d requests, want the object's error after 3", size, err, n)
					}
					if strings.Contains(got, "error") || !strings.HasPrefix(row.body, got) {
						t.Errorf("reads of %d: the error was delivered as data", size)
					}
				})
			}
		})
	}
}

// readTail reads a body of that kind as readAll does.
func readTail(t *testing.T, kind, body string, size int) (got string, n int, err error) {
	base := baseFunc(func(r *http.Request) (*http.Response, error) {
		n++
		resp := answer(200, body)
		resp.ContentLength = -1
		resp.Header.Set("Content-Type", kind)
		return resp, nil
	})
	resp, err := (&transport.Resume{Base: base, MaxAttempts: 2}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
	if err != nil {
		t.Fatal(err)
	}
	b, err := readAll(resp.Body, size)
	return string(b), n, err
}

func TestResumeAfterAnErrorInTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Dataset("wxyz-1234", sodatest.GenerateRows(500)))
		defer srv.Close()
		get := func(rt http.RoundTripper, ext string) []byte {
			resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL+"/resource/wxyz-1234."+ext, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Error(err)
			}
			return b
		}
		rt := &transport.Resume{Base: &transport.Transport{Base: srv.Transport()}}
		for _, ext := range []string{"csv", "json"} {
			want := get(srv.Transport(), ext)
			srv.Script(sodatest.Reply{InBand: true}, sodatest.Reply{Cut: 9000}, sodatest.Reply{Cut: 20000})
			if got := get(rt, ext); !bytes.Equal(got, want) {
				t.Errorf("%s: %d of %d bytes", ext, len(got), len(want))
			}
		}
		if n := len(srv.Requests()); n != 10 {
			t.Errorf("made %d requests, want 10", n)
		}
	})
}

// A choosy writer takes so many bytes, and then fails.
type choosy struct {
	bytes.Buffer
	left int
	err  error
}

func (c *choosy) Write(p []byte) (int, error) {
	n, _ := c.Buffer.Write(p[:min(c.left, len(p))])
	c.left -= n
	if n < len(p) {
		return n, c.err
	}
	return n, nil
}

// TestWriteToThatFails: what a writer did not take is there for the next.
func TestWriteToThatFails(t *testing.T) {
	want := bodyOf(200_000)
	own := errors.New("the disk is full")
	for _, kind := range []string{"text/csv", "text/plain"} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			rt := &transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) {
				resp := answer(200, string(want))
				resp.ContentLength = -1
				resp.Header.Set("Content-Type", kind)
				if n++; n == 1 { // what is cut has to be compared with what was written
					resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(want[:150_000]), &broken{io.ErrUnexpectedEOF}))
				}
				return resp, nil
			})}
			resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for i, fails := range []error{own, nil} {
				w := &choosy{left: 50_001, err: fails}
				n, err := resp.Body.(io.WriterTo).WriteTo(w)
				got = append(got, w.Bytes()...)
				if want := []error{own, io.ErrShortWrite}[i]; err != want || n != 50_001 {
					t.Errorf("%s: wrote %d bytes, %v, want 50001, %v", kind, n, err, want)
				}
			}
			some := make([]byte, 10)
			if _, err := io.ReadFull(resp.Body, some); err != nil {
				t.Error(err)
			}
			var rest bytes.Buffer
			_, err = io.Copy(&rest, resp.Body)
			got = append(append(got, some...), rest.Bytes()...)
			if err != nil || !bytes.Equal(got, want) || n != 2 {
				t.Errorf("%s: %d of %d bytes, %v after %d requests", kind, len(got), len(want), err, n)
			}
			if n, err := resp.Body.(io.WriterTo).WriteTo(&rest); n != 0 || err != nil {
				t.Errorf("%s: at the end, WriteTo gives %d, %v", kind, n, err)
			}
		})
	}
}

// TestShortBodyWhoseTailIsWatched has a Base that ends a body before its
// Content-Length without an error.
func TestShortBodyWhoseTailIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) {
			resp := answer(200, "a,b\n1,2\n"[:min(8, 4*(n+1))])
			resp.Header.Set("Content-Type", "text/csv")
			resp.ContentLength = 8
			n++
			return resp, nil
		})}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "a,b\n1,2\n" || err != nil || n != 2 {
			t.Errorf("got %q, %v after %d requests", b, err, n)
		}
	})
}

func TestResumePassesOnWhatIsNotItsBusiness(t *testing.T) {
	body := io.NopCloser(strings.NewReader("x"))
	for _, row := range []struct {
		name, method, rng string
		status            int
		body              io.ReadCloser
	}{
		{"a POST", "POST", "", 200, body},
		{"a HEAD", "HEAD", "", 200, body},
		{"a range of the caller's", "GET", "bytes=5-", 206, body},
		{"a 404", "GET", "", 404, body},
		{"a 101", "GET", "", 101, body},
		{"no body", "GET", "", 200, http.NoBody},
	} {
		want := &http.Response{StatusCode: row.status, Body: row.body}
		rt := &transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) { return want, nil })}
		req := newRequest(t, row.method, "http://data.test/", nil)
		if row.rng != "" {
			req.Header.Set("Range", row.rng)
		}
		if got, err := rt.RoundTrip(req); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want Base's own response", row.name, got, err)
		}
	}
	own := errors.New("own")
	rt := &transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) { return nil, own })}
	if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != own {
		t.Errorf("got %v, want Base's own error", err)
	}
}

func TestResumeHabits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bodies := []*closes{}
		base := baseFunc(func(r *http.Request) (*http.Response, error) {
			b := &closes{Reader: io.MultiReader(strings.NewReader("some"), &broken{io.ErrUnexpectedEOF})}
			bodies = append(bodies, b)
			return &http.Response{StatusCode: 200, Header: make(http.Header), Body: b, ContentLength: -1}, nil
		})
		resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := resp.Body.Read(nil); n != 0 || err != nil {
			t.Errorf("an empty Read gives %d, %v", n, err)
		}
		ended := make(chan error)
		go func() {
			_, err := io.ReadAll(resp.Body)
			ended <- err
		}()
		time.Sleep(time.Second) // it is waiting between two attempts
		start := time.Now()
		resp.Body.Close()
		resp.Body.Close()
		if err := <-ended; err == nil || time.Since(start) != 0 {
			t.Errorf("Close during Read: %v after %v", err, time.Since(start))
		}
		for i, b := range bodies {
			if n := b.n.Load(); n != 1 {
				t.Errorf("body %d was closed %d times, want once", i, n)
			}
		}
	})
}

func TestResumeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		base := baseFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: make(http.Header), ContentLength: -1, Body: io.NopCloser(&broken{io.ErrUnexpectedEOF})}, nil
		})
		resp, err := (&transport.Resume{Base: base, MaxAttempts: 1000}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(10*time.Second, func() { cancel(why) })
		start := time.Now()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, why) || !errors.Is(err, context.Canceled) || time.Since(start) != 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestResumeKeepsTheTrailer(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "Hello ")
		if w.(http.Flusher).Flush(); n.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "World")
		w.Header().Set("X-Sum", "42")
	}))
	defer srv.Close()
	rt := &transport.Resume{}
	resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	rt.CloseIdleConnections()
	if string(b) != "Hello World" || err != nil || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("got %q, %v, trailer %v", b, err, resp.Trailer)
	}
}

func FuzzTail(f *testing.F) {
	f.Add("text/csv", "a,b\n"+inBand, 7)
	f.Add("application/json", `[{"a":"{"}`+inBand, 1)
	f.Add("application/json", `[{"error":true,"message":"m"}]`, 100)
	f.Add("text/csv", strings.Repeat("a,b\n", 20_000)+inBand, 0)
	f.Add("application/json", "\ufeff {\"{\":\":1,\",\":[\":[{\"error\":true,\"message\":\"}\"}]}\n", 3)
	f.Fuzz(func(t *testing.T, kind, body string, size int) {
		if size < 0 || size > 1<<16 {
			return
		}
		n := 0
		base := baseFunc(func(r *http.Request) (*http.Response, error) {
			if n++; n > 1 {
				return answer(404, ""), nil
			}
			resp := answer(200, body)
			resp.ContentLength = -1
			resp.Header.Set("Content-Type", kind)
			return resp, nil
		})
		resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(resp.Body, size)
		if err == nil && string(got) != body || !strings.HasPrefix(body, string(got)) {
			t.Errorf("got %q, %v of %q", got, err, body)
		}
		asJSON, _, _ := mime.ParseMediaType(kind)
		if asJSON == "application/json" || strings.HasSuffix(asJSON, "+json") {
			if err != nil && json.Valid([]byte(strings.TrimPrefix(body, "\ufeff"))) {
				t.Errorf("%q was taken for an error: %v", body, err)
			}
		} else if err != nil && !strings.HasSuffix(strings.TrimRight(body, " \t\r\n"), "}") {
			t.Errorf("%q was taken for an error: %v", body, err)
		}
	})
}

func ExampleResume() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Cut: 300}))
	defer srv.Close()
	client := &http.Client{Transport: &transport.Resume{
		Base: &transport.Transport{Base: srv.Transport()},
	}}
	resp, err := client.Get(srv.URL + "/resource/abcd-1234.csv")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(bytes.Count(body, []byte("\n")), "lines,", err, "after", len(srv.Requests()), "requests")
	// Output: 26 lines, <nil> after 2 requests
}
