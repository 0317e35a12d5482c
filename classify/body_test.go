package classify_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

func TestBodyShapes(t *testing.T) {
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	for _, c := range []struct {
		name, body    string
		code, message string
		data          string
	}{
		{"core", "{\n  \"code\" : \"dataset.missing\",\n  \"error\" : true,\n  \"message\" : \"Not found\",\n  \"data\" : {\n    \"id\" : \"songs\"\n  }\n}\n", "dataset.missing", "Not found", "{\n    \"id\" : \"songs\"\n  }"},
		{"the data path", `{"message":"Too many requests","errorCode":"too-many-requests","data":{}}`, "too-many-requests", "Too many requests", "{}"},
		{"no code", `{"error":true,"message":"Unrecognized arguments [burst]"}`, "", "Unrecognized arguments [burst]", ""},
		{"a message alone", `{"message":"Cannot update a synced dataset manually"}`, "", "Cannot update a synced dataset manually", ""},
		{"the coordinator's description", `{"errorCode":"query.soql.bad-parse","description":"no","data":{}}`, "query.soql.bad-parse", "no", "{}"},
		{"data within data", `{"message":"c","errorCode":"c","data":{"data":{"column":"x"}}}`, "c", "c", `{"data":{"column":"x"}}`},
		{"the new analyzer", `{"code":"soql.analyzer.typechecker.no-such-column","message":"m","data":[],"source":{"a":1}}`, "soql.analyzer.typechecker.no-such-column", "m", "[]"},
		{"error is a string", `{"error":"Domain not found: x"}`, "", "Domain not found: x", ""},
		{"error is a string after the message", `{"message":"m","error":"e"}`, "", "m", ""},
		{"error is a string before the message", `{"error":"e","message":"m"}`, "", "m", ""},
		{"error is an object", `{"error":{"message":"e"},"code":"x"}`, "x", "", ""},
		{"a reason", `{"reason":"no such thing"}`, "", "no such thing", ""},
		{"a reason before an empty message", `{"reason":"r","message":null}`, "", "r", ""},
		{"reasons in a list", `{"reason":[{"status":404,"reason":{"error":true}}]}`, "", "", ""},
		{"a string", "\"Internal server error\"\n", "", "Internal server error", ""},
		{"a broken string", `"Internal server err`, "", "", ""},
		{"numeric status", `{ "error" : true, "message" : "Internal error", "status" : 500 }`, "", "Internal error", ""},
		{"upsert counts", `{"Errors" : 83, "Rows Created" : 0}`, "", "", ""},
		{"HTML", "<!DOCTYPE html><html><body>502</body></html>", "", "", ""},
		{"text", "upstream connect error", "", "", ""},
		{"an array", `[{"code":"x"}]`, "", "", ""},
		{"null", "null", "", "", ""},
		{"a number", "17", "", "", ""},
		{"nothing", "", "", "", ""},
		{"white space", " \r\n\t ", "", "", ""},
		{"an empty object", "{}", "", "", ""},
		{"an opening brace", "{", "", "", ""},
		{"a code that is a number", `{"code":404,"message":"m"}`, "", "m", ""},
		{"a code that is null and another", `{"errorCode":"x","code":null}`, "x", "", ""},
		{"breaks off in a value", `{"code":"x","message":"hal`, "x", "", ""},
		{"breaks off in a name", `{"code":"x","mess`, "x", "", ""},
		{"breaks off at a colon", `{"code":"x","message"`, "x", "", ""},
		{"a trailing comma", `{"code":"x","message":"m",}`, "x", "m", ""},
		{"something after the object", `{"code":"x"} trailing`, "x", "", ""},
		{"names are told by case", `{"Code":"x","MESSAGE":"m"}`, "", "", ""},
		{"escapes", `{"message":"\u0041\ud83d\ude00\n","code":"x"}`, "x", "A😀\n", ""},
		{"nested 10,000 deep", `{"code":"x","data":` + deep + `,"message":"m"}`, "x", "m", deep},
		{"nested too deep for encoding/json", `{"code":"x","data":[` + deep + `],"message":"m"}`, "x", "", ""},
		{"nested 9,000 deep", `{"data":` + deep[1000:19000] + `,"code":"x"}`, "x", "", deep[1000:19000]},
		{"the code lies beyond 64 KiB", `{"message":"` + strings.Repeat("x", 64<<10) + `","code":"x"}`, "", "", ""},
		{"the code lies just within", `{"message":"` + strings.Repeat("x", 64<<10-25) + `","code":"x"`, "x", strings.Repeat("x", 64<<10-25), ""},
	} {
		for _, enc := range []string{"", "gzip", "GZIP, though it is plain"} {
			raw, header := c.body, []string(nil)
			if enc != "" {
				header = []string{"Content-Encoding", strings.TrimSuffix(enc, ", though it is plain")}
			}
			if enc == "gzip" {
				raw = zip(c.body)
			}
			resp := respond(newRequest("GET", dataset), 500, raw, header...)
			var e *classify.Error
			if err := classify.Check(resp); !errors.As(err, &e) {
				t.Fatalf("%s %s: Check says %v", c.name, enc, err)
			}
			if e.Code != c.code || e.Message != c.message || string(e.Data) != c.data {
				t.Errorf("%s %s: got code %q, message %.80q, data %.80q", c.name, enc, e.Code, e.Message, e.Data)
			}
			if o := classify.Of(nil, resp, nil); o.Code != e.Code || o.Kind != e.Kind {
				t.Errorf("%s %s: Of says %v %q, Check %v %q", c.name, enc, o.Kind, o.Code, e.Kind, e.Code)
			}
			if b, err := io.ReadAll(resp.Body); string(b) != raw || err != nil {
				t.Errorf("%s %s: %d of %d bytes came back, %v", c.name, enc, len(b), len(raw), err)
			}
		}
	}
}

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func TestCutGzipStillHasItsStart(t *testing.T) {
	whole := zip(`{"code":"internal","message":"` + strings.Repeat("0123456789abcdef", 4000) + `"}`)
	var plain strings.Builder // stored, so that a cut leaves the start readable
	w, _ := gzip.NewWriterLevel(&plain, gzip.NoCompression)
	w.Write([]byte(`{"code":"internal","message":"` + strings.Repeat("x", 1000)))
	w.Flush()
	for _, c := range []struct {
		name, raw string
		want      classify.Class
	}{
		{"whole", whole, classify.Final},
		{"without its checksum", whole[:len(whole)-8], classify.Final},
		{"cut after a block", plain.String(), classify.Final},
		{"cut in its header", whole[:5], classify.Transient},
		{"cut to nothing", "", classify.Transient},
	} {
		resp := respond(newRequest("GET", dataset), 500, c.raw, "Content-Encoding", "gzip")
		if got := classify.Of(nil, resp, nil); got.Class != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got.Class, c.want)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != c.raw || err != nil {
			t.Errorf("%s: %d of %d bytes came back, %v", c.name, len(b), len(c.raw), err)
		}
	}
}

func TestCallersOwnAcceptEncoding(t *testing.T) {
	raw := zip(`{"code":"internal"}`)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(500)
		io.WriteString(w, raw)
	}))
	defer srv.Close()
	for _, accept := range []string{"", "gzip"} { // without it net/http asks for gzip itself and unpacks it
		req := newRequest("GET", srv.URL)
		want := `{"code":"internal"}`
		if accept != "" {
			req.Header.Set("Accept-Encoding", accept)
			want = raw
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := classify.Of(req, resp, nil); got.Code != "internal" {
			t.Errorf("Accept-Encoding %q: got %+v", accept, got)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != want || err != nil {
			t.Errorf("Accept-Encoding %q: body %q, %v", accept, b, err)
		}
		resp.Body.Close()
	}
}

func TestNoBody(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{"nil": nil, "NoBody": http.NoBody} {
		resp := &http.Response{StatusCode: 500, Body: body}
		if got := classify.Of(nil, resp, nil); got.Class != classify.Transient || got.Kind != classify.Internal {
			t.Errorf("%s: got %+v", name, got)
		}
		if err := classify.Check(resp); !errors.Is(err, classify.Internal) {
			t.Errorf("%s: Check says %v", name, err)
		}
		if resp.Body != body {
			t.Errorf("%s: the body was replaced", name)
		}
	}
}

// source counts what is asked of a body.
type source struct {
	io.Reader
	reads, closes, given atomic.Int64
}

func (s *source) Read(b []byte) (int, error) {
	s.reads.Add(1)
	if s.closes.Load() > 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := s.Reader.Read(b)
	s.given.Add(int64(n))
	return n, err
}

func (s *source) Close() error {
	s.closes.Add(1)
	return errors.New("from Close")
}

func TestOnly64KiBAreReadAhead(t *testing.T) {
	page := bytes.Repeat([]byte("<p>Service unavailable</p>\n"), 10<<20/27)
	for name, r := range map[string]io.Reader{"in large pieces": bytes.NewReader(page), "in odd pieces": &pieces{b: page, most: 4093}} {
		body := &source{Reader: r}
		resp := &http.Response{StatusCode: 503, Body: body}
		if got := classify.Of(nil, resp, nil); got.Class != classify.Throttled {
			t.Errorf("%s: got %+v", name, got)
		}
		if n := body.given.Load(); n != 64<<10 {
			t.Errorf("%s: %d bytes were read ahead", name, n)
		}
		if b, err := io.ReadAll(resp.Body); !bytes.Equal(b, page) || err != nil {
			t.Errorf("%s: %d of %d bytes came back, %v", name, len(b), len(page), err)
		}
	}
}

type pieces struct {
	b    []byte
	most int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.most)], p.b)
	p.b = p.b[n:]
	return n, nil
}

func TestBodyIsReadOnce(t *testing.T) {
	body := &source{Reader: strings.NewReader(`{"code":"internal"}`)}
	req := newRequest("GET", dataset)
	resp := &http.Response{StatusCode: 500, Body: body, Request: req}
	classify.Of(req, resp, nil)
	once := body.reads.Load()
	wrapped := resp.Body
	for range 3 {
		if got := classify.Of(req, resp, nil); got.Code != "internal" {
			t.Errorf("again: got %+v", got)
		}
	}
	part := make([]byte, 5)
	io.ReadFull(resp.Body, part)
	var e *classify.Error
	if err := classify.Check(resp); !errors.As(err, &e) || e.Code != "internal" {
		t.Errorf("Check after Of, in the middle of reading: %v", err)
	}
	if body.reads.Load() != once || resp.Body != wrapped {
		t.Errorf("the body was read %d times, then %d; wrapped again: %v", once, body.reads.Load(), resp.Body != wrapped)
	}
	rest, err := io.ReadAll(resp.Body)
	if got := string(part) + string(rest); got != `{"code":"internal"}` || err != nil {
		t.Errorf("body %q, %v", got, err)
	}
	if n, err := resp.Body.Read(part); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	if err := resp.Body.Close(); err == nil || err.Error() != "from Close" || body.closes.Load() != 1 {
		t.Errorf("Close says %v, closed %d times", err, body.closes.Load())
	}
	if n, err := resp.Body.Read(part); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("after Close: %d, %v", n, err)
	}
	if err := classify.Check(resp); !errors.As(err, &e) || e.Code != "internal" {
		t.Errorf("Check after Close: %v", err)
	}
}

func TestClosedBody(t *testing.T) {
	for name, peeked := range map[string]bool{"before it was looked at": false, "after": true} {
		body := &source{Reader: strings.NewReader(`{"code":"internal"}`)}
		resp := &http.Response{StatusCode: 500, Body: body}
		if peeked {
			classify.Of(nil, resp, nil)
		}
		resp.Body.Close()
		if err := classify.Check(resp); !errors.Is(err, classify.Internal) {
			t.Errorf("closed %s: Check says %v", name, err)
		}
		if b, err := io.ReadAll(resp.Body); len(b) != 0 || err != http.ErrBodyReadAfterClose {
			t.Errorf("closed %s: read %q, %v", name, b, err)
		}
	}
}

func TestErrorInTheMiddleIsDeliveredAtItsPlace(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"after the bytes":      io.MultiReader(strings.NewReader(`{"code":"internal","mess`), iotest.ErrReader(io.ErrUnexpectedEOF)),
		"with the last bytes":  iotest.DataErrReader(io.MultiReader(strings.NewReader(`{"code":"internal","mess`), iotest.ErrReader(io.ErrUnexpectedEOF))),
		"a byte at a time":     iotest.OneByteReader(io.MultiReader(strings.NewReader(`{"code":"internal","mess`), iotest.ErrReader(io.ErrUnexpectedEOF))),
		"with reads of no use": &hesitant{Reader: iotest.OneByteReader(io.MultiReader(strings.NewReader(`{"code":"internal","mess`), iotest.ErrReader(io.ErrUnexpectedEOF))), every: 50},
	} {
		resp := &http.Response{StatusCode: 500, Body: io.NopCloser(body)}
		if got := classify.Of(nil, resp, nil); got.Code != "internal" || got.Class != classify.Final {
			t.Errorf("%s: got %+v", name, got)
		}
		for range 2 { // and stays
			if b, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF || string(b) != `{"code":"internal","mess` && len(b) > 0 {
				t.Errorf("%s: read %q, %v", name, b, err)
			}
		}
	}
}

// hesitant gives nothing so many times before it gives something.
type hesitant struct {
	io.Reader
	every, n int
}

func (h *hesitant) Read(b []byte) (int, error) {
	if h.n++; h.n%h.every != 0 {
		return 0, nil
	}
	return h.Reader.Read(b)
}

func TestBodyThatGivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &hesitant{Reader: strings.NewReader("the end"), every: math.MaxInt}
		resp := &http.Response{StatusCode: 500, Body: io.NopCloser(body)}
		start := time.Now()
		if got := classify.Of(nil, resp, nil); got.Class != classify.Transient || time.Since(start) != 0 {
			t.Errorf("got %+v after %v", got, time.Since(start))
		}
		body.every = 1
		if b, err := io.ReadAll(resp.Body); string(b) != "the end" || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
	})
}

// In a bubble a goroutine left behind fails the test.
func TestBodyThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go io.WriteString(w, `{"code":"internal",`)
		resp := &http.Response{StatusCode: 500, Body: r}
		start := time.Now()
		if got := classify.Of(nil, resp, nil); got.Code != "internal" || time.Since(start) != 2*time.Second {
			t.Errorf("got %+v after %v", got, time.Since(start))
		}
		var e *classify.Error
		if err := classify.Check(resp); !errors.As(err, &e) || e.Code != "internal" || time.Since(start) != 2*time.Second {
			t.Errorf("Check says %v after %v", err, time.Since(start))
		}
		go io.WriteString(w, `"message":"late"`)
		part := make([]byte, 35)
		if _, err := io.ReadFull(resp.Body, part); string(part) != `{"code":"internal","message":"late"` {
			t.Errorf("read %q, %v", part, err)
		}
		go func() {
			time.Sleep(time.Hour)
			resp.Body.Close() // while Read waits
		}()
		if n, err := resp.Body.Read(part); n != 0 || err != io.ErrClosedPipe {
			t.Errorf("read %d, %v", n, err)
		}
		if d := time.Since(start); d != time.Hour+2*time.Second {
			t.Errorf("Close ended the Read after %v", d)
		}
	})
}

func TestBodyThatNeverBeginsIsClosedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := io.Pipe()
		resp := &http.Response{StatusCode: 503, Body: r}
		start := time.Now()
		if got := classify.Of(nil, resp, nil); got.Class != classify.Throttled || time.Since(start) != 2*time.Second {
			t.Errorf("got %+v after %v", got, time.Since(start))
		}
		resp.Body.Close()
	})
}

func TestBodyThatTrickles(t *testing.T) {
	const text = `{"code":"internal","message":"slow"}`
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			for i := range len(text) {
				time.Sleep(90 * time.Millisecond)
				w.Write([]byte{text[i]})
			}
			w.Close()
		}()
		resp := &http.Response{StatusCode: 500, Body: r}
		start := time.Now()
		got := classify.Of(nil, resp, nil) // 22 bytes: up to the code and its comma
		if got.Code != "internal" || time.Since(start) != 2*time.Second {
			t.Errorf("got %+v after %v", got, time.Since(start))
		}
		if b, err := io.ReadAll(resp.Body); string(b) != text || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
	})
}

func TestCloseWhileReading(t *testing.T) {
	released := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		fmt.Fprintf(w, `{"code":"internal","message":"%s`, strings.Repeat("x", 64<<10))
		w.(http.Flusher).Flush()
		<-released
	}))
	defer srv.Close()
	defer close(released)
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := classify.Of(nil, resp, nil); got.Code != "internal" {
		t.Errorf("got %+v", got)
	}
	started, done := make(chan struct{}), make(chan error)
	go func() {
		_, err := io.ReadFull(resp.Body, make([]byte, 10))
		close(started)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		done <- err
	}()
	<-started
	resp.Body.Close()
	resp.Body.Close()
	if err := <-done; err == nil {
		t.Error("the read went on to a good end")
	}
}
