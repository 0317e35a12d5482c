package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var ofRequests = []obligation{
	{"leaves the request untouched", leavesTheRequest, "net/http RoundTripper: must not modify the request"},
	{"closes the request body exactly once", closesTheBody, "net/http RoundTripper: must always close the body; io.Closer: once"},
	{"closes every body it gets from GetBody", closesCopies, "net/http Request.GetBody: a new copy of Body"},
	{"sends the same request and bytes each time", sendsTheSame, "RFC 9110, section 9.2.2"},
	{"carries the context's values to every attempt", carriesValues, "net/http Request.Context"},
	{"passes on a body that is nil, empty or of unknown length", passesAnyBody, "net/http Request.Body and Request.ContentLength"},
	{"streams the first attempt", streams, "net/http Request.Body: may be a pipe"},
	{"does not read ahead of a body that has GetBody", doesNotReadAhead, "net/http Request.GetBody"},
	{"gives each attempt a body of its own", givesOwnBodies, "net/http RoundTripper: the body may be read after RoundTrip returns"},
	{"resends a large upload byte for byte after an early answer", resendsUploads, "RFC 9112, section 9.5"},
	{"survives a GetBody that fails", survivesGetBody, "net/http Request.GetBody: returns an error too"},
	{"sends a POST once when answered 5xx or 408", postsOnceOnFailure, "RFC 9110, section 9.2.2"},
	{"sends a POST once when its connection drops", postsOnceOnDrop, "RFC 9110, section 9.2.2"},
	{"sends a POST once when answered 202 with Retry-After", postsOnceOn202, "RFC 9110, section 15.3.3"},
	{"sends once what was answered 400, 401, 403 or 404", sendsRefusedOnce, "RFC 9110, sections 15.5 and 15.5.4"},
	{"tries a malformed request once", triesMalformedOnce, "RFC 9110, section 5.5; RFC 3986, section 3.1"},
}

// net/http RoundTripper: "RoundTrip should not modify the request, except for
// consuming and closing the Request's Body." It holds while attempts are under
// way too: the caller may read the request then.
func leavesTheRequest(t *tester, wrap wrapper) {
	for _, c := range courses {
		req := (&payload{content: "row"}).request(t, "PUT", true)
		before, found := req.Clone(req.Context()), map[string]bool{}
		look := func(*http.Request) {
			for _, field := range differing(before, req) {
				found[field] = true
			}
		}
		b := &base{script: c.script, begin: look}
		resp, _ := send(t, mount(t, wrap, b), req)
		look(nil)
		finish(resp)
		for field := range found {
			t.Errorf("%s: changed the caller's request: %s", c.name, field)
		}
	}
}

// differing names the fields in which two requests differ. Functions and bodies
// are compared by identity.
func differing(a, b *http.Request) (fields []string) {
	if a.Context() != b.Context() {
		fields = append(fields, "Context")
	}
	va, vb := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range va.NumField() {
		f := va.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		same := reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface())
		switch f.Type.Kind() {
		case reflect.Func:
			same = va.Field(i).Pointer() == vb.Field(i).Pointer()
		case reflect.Interface:
			same = va.Field(i).Interface() == vb.Field(i).Interface()
		}
		if !same {
			fields = append(fields, f.Name)
		}
	}
	return fields
}

// net/http RoundTripper: "RoundTrip must always close the body, including on
// errors". io.Closer: "The behavior of Close after the first call is undefined."
// Base closes the body it is given, so whoever gives it the caller's is done.
func closesTheBody(t *tester, wrap wrapper) {
	check := func(t *tester, name string, b *base, replayable, done bool) {
		p := &payload{content: "row"}
		req := p.request(t, "PUT", replayable)
		if done {
			ctx, cancel := context.WithCancel(req.Context())
			cancel()
			req = req.WithContext(ctx)
		}
		resp, _ := send(t, mount(t, wrap, b), req)
		finish(resp)
		settle()
		if n := p.made()[0].closed.Load(); n != 1 {
			t.Errorf("%s, GetBody %v: request body closed %d times, want 1", name, replayable, n)
		}
	}
	for _, replayable := range []bool{true, false} {
		for _, c := range courses {
			check(t, c.name, &base{script: c.script}, replayable, false)
			check(t, c.name+", body unread", &base{script: c.script, unread: true}, replayable, false)
		}
		check(t, "context done", &base{script: []reply{ok}}, replayable, true)
	}
}

// The same obligation for the bodies that GetBody makes: "a new copy of Body",
// to be closed as Body is.
func closesCopies(t *tester, wrap wrapper) {
	for _, c := range courses {
		p, b := &payload{content: "row"}, &base{script: c.script}
		resp, _ := send(t, mount(t, wrap, b), p.request(t, "PUT", true))
		finish(resp)
		settle()
		for i, body := range p.made()[1:] {
			if n := body.closed.Load(); n != 1 {
				t.Errorf("%s: body %d of GetBody closed %d times, want 1", c.name, i+1, n)
			}
		}
	}
}

// RFC 9110 section 9.2.2: what may be repeated is "the request", so a second
// attempt has the method, target, header and content of the first.
func sendsTheSame(t *tester, wrap wrapper) {
	for _, replayable := range []bool{true, false} {
		for _, c := range courses {
			p, b := &payload{content: strings.Repeat("row,", 1000)}, &base{script: c.script}
			req := p.request(t, "PUT", replayable)
			req.Host = "named.test"
			resp, _ := send(t, mount(t, wrap, b), req)
			finish(resp)
			for i, a := range b.sent() {
				got := fmt.Sprint(a.req.Method, a.req.URL, a.req.Host, a.req.ContentLength, a.req.Header["X-Caller"])
				if want := fmt.Sprint(req.Method, req.URL, req.Host, req.ContentLength, req.Header["X-Caller"]); got != want {
					t.Errorf("%s: attempt %d is %s, want %s", c.name, i+1, got, want)
				}
				if a.body != p.content {
					t.Errorf("%s: attempt %d carries %s, want %s", c.name, i+1, brief(a.body), brief(p.content))
				}
			}
		}
	}
}

// net/http Request.Context: "For outgoing client requests, the context controls
// the entire lifetime of a request and its response"; net/http/httptrace and
// every tracer live on its values.
func carriesValues(t *tester, wrap wrapper) {
	type key struct{}
	for _, c := range courses {
		b, req := &base{script: c.script}, request(t, "GET")
		req = req.WithContext(context.WithValue(req.Context(), key{}, "value"))
		resp, _ := send(t, mount(t, wrap, b), req)
		finish(resp)
		for i, a := range b.sent() {
			if a.req.Context().Value(key{}) != "value" {
				t.Errorf("%s: attempt %d has lost the context's values", c.name, i+1)
			}
		}
	}
}

// net/http Request.Body: "For client requests, a nil body means the request has
// no body"; Request.ContentLength: "The value -1 indicates that the length is
// unknown [...] a value of 0 with a non-nil Body is also treated as unknown."
func passesAnyBody(t *tester, wrap wrapper) {
	const content = "a row"
	for _, c := range []struct {
		name   string
		body   io.ReadCloser
		length int64
		want   string
	}{
		{"nil", nil, 0, "0 "},
		{"http.NoBody", http.NoBody, 0, "0 "},
		{"length -1", &body{Reader: strings.NewReader(content)}, -1, "-1 " + content},
		{"length 0", &body{Reader: strings.NewReader(content)}, 0, "-1 " + content},
		{"length known", &body{Reader: strings.NewReader(content)}, int64(len(content)), "5 " + content},
	} {
		var calls atomic.Int64
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			content, _ := io.ReadAll(r.Body)
			if calls.Add(1) == 1 {
				w.WriteHeader(503)
			}
			fmt.Fprintf(w, "%d %s", r.ContentLength, content)
		})
		req := request(t, "PUT")
		req.Body, req.ContentLength = c.body, c.length
		resp, err := send(t, mount(t, wrap, &s.Transport), req)
		if got, _ := finish(resp); err != nil || got != c.want {
			t.Errorf("%s: server saw %q (error %v), want %q", c.name, got, err, c.want)
		}
	}
}

// net/http Request.Body may be a pipe that is written as it is sent. Who reads
// it to the end first waits for what may never come, and holds it all in memory.
func streams(t *tester, wrap wrapper) {
	r, w := io.Pipe()
	seen := make(chan struct{})
	b := roundTripper(func(req *http.Request) (*http.Response, error) {
		defer req.Body.Close()
		io.ReadFull(req.Body, make([]byte, 5))
		close(seen)
		io.Copy(io.Discard, req.Body)
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
	req := request(t, "POST")
	req.Body, req.ContentLength = r, -1
	go func() {
		defer w.Close()
		io.WriteString(w, "first")
		select {
		case <-seen:
		case <-time.After(time.Minute):
			t.Error("the first bytes of a pipe are not sent before it is finished")
		}
	}()
	resp, err := send(t, mount(t, wrap, b), req)
	finish(resp)
	if err != nil {
		t.Error(err)
	}
}

// net/http Request.GetBody exists so that nobody has to keep a copy of Body.
// Base answers without reading; by then nobody else should have read much.
func doesNotReadAhead(t *tester, wrap wrapper) {
	const most = 4 << 10
	p := &payload{content: strings.Repeat("x", 1<<20)}
	b := &base{script: []reply{unavailable, ok}, unread: true}
	b.begin = func(*http.Request) {
		for i, body := range p.made() {
			if n := body.read.Load(); n > most {
				t.Errorf("%d bytes of body %d are read before Base is called, want at most %d", n, i, most)
			}
		}
	}
	resp, _ := send(t, mount(t, wrap, b), p.request(t, "PUT", true))
	finish(resp)
}

// net/http RoundTripper: the body may be read and closed "in a separate
// goroutine even after RoundTrip returns". Here Base answers 503 early and still
// reads of the first body while the second attempt is under way.
func givesOwnBodies(t *tester, wrap wrapper) {
	p := &payload{content: pattern(64 << 10)}
	b := &lagging{second: make(chan struct{})}
	resp, _ := send(t, mount(t, wrap, b), p.request(t, "PUT", true))
	finish(resp)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, got := range b.got {
		if got != p.content {
			t.Errorf("attempt %d carries %s, not the caller's %s", i+2, brief(got), brief(p.content))
		}
	}
}

// A lagging RoundTripper answers its first request early with a 503 and reads
// on in its body. It closes it after the second request has begun, or a minute
// after it has answered.
type lagging struct {
	calls  atomic.Int64
	second chan struct{}
	mu     sync.Mutex
	got    []string // the bodies after the first
}

func (b *lagging) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody, Request: req}
	body, head := req.Body, make([]byte, 16<<10)
	n, _ := io.ReadFull(body, head)
	call := b.calls.Add(1)
	if call == 1 {
		go func() {
			defer body.Close()
			select {
			case <-b.second:
			case <-time.After(time.Minute):
			}
			body.Read(make([]byte, len(head)))
		}()
		return resp, nil
	}
	if call == 2 {
		close(b.second)
	}
	time.Sleep(time.Second) // for the first attempt to read on
	rest, _ := io.ReadAll(body)
	body.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, string(head[:n])+string(rest))
	resp.StatusCode = 200
	return resp, nil
}

// The same on a real connection. An http.Transport whose request body is short
// says "http: ContentLength=n with Body length m"; a server may answer before it
// has read all (RFC 9112 section 9.5), and the response or the broken write may win.
func resendsUploads(t *tester, wrap wrapper) {
	const size = 4 << 20
	open := func() (io.ReadCloser, error) { return &body{Reader: filler(size)}, nil }
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			io.CopyN(io.Discard, r.Body, 64<<10)
			w.WriteHeader(503)
			return
		}
		if n, err := io.Copy(new(comparer), r.Body); err == errDiffers || err == nil && n != size {
			t.Errorf("attempt %d differs from the caller's body after %d bytes of %d", calls.Load(), n, size)
		}
	})
	s.WriteBufferSize = 64 << 10
	req := request(t, "PUT")
	req.Body, _ = open()
	req.GetBody, req.ContentLength = open, size
	resp, err := send(t, mount(t, wrap, &s.Transport), req)
	finish(resp)
	if err != nil && strings.Contains(err.Error(), "ContentLength=") {
		t.Error(err)
	}
}

// pattern returns size bytes of filler.
func pattern(size int64) string {
	content, _ := io.ReadAll(filler(size))
	return string(content)
}

// net/http Request.GetBody returns an error too. What is known then is the
// answer to the attempt before; sending something else is the worst way out.
func survivesGetBody(t *tester, wrap wrapper) {
	p, b := &payload{content: "row"}, &base{script: []reply{unavailable, ok}}
	req := p.request(t, "PUT", true)
	req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("file is gone") }
	resp, err := send(t, mount(t, wrap, b), req)
	if resp == nil && err == nil {
		t.Error("got neither a response nor an error")
	}
	finish(resp)
	for i, a := range b.sent() {
		if a.body != p.content {
			t.Errorf("attempt %d carries %q, want %q", i+1, a.body, p.content)
		}
	}
}

// RFC 9110 section 9.2.2: "A client SHOULD NOT automatically retry a request
// with a non-idempotent method unless it has some means to know that the request
// semantics are actually idempotent". None of these tells how far the server came.
func postsOnceOnFailure(t *tester, wrap wrapper) {
	for _, method := range []string{"POST", "PATCH"} {
		for _, status := range []int{500, 502, 503, 504, 408} {
			once(t, wrap, (&payload{content: "row"}).request(t, method, true), reply{status: status, body: "come back later"})
		}
	}
}

// once reports an error unless req, when it is answered by first, is sent once.
func once(t *tester, wrap wrapper, req *http.Request, first reply) {
	t.Helper()
	b := &base{script: []reply{first, ok}}
	resp, _ := send(t, mount(t, wrap, b), req)
	finish(resp)
	if n := len(b.sent()); n != 1 {
		t.Errorf("%s answered %d is sent %d times, want once", req.Method, first.status, n)
	}
}

// The same, when the server has read the request and says nothing.
func postsOnceOnDrop(t *tester, wrap wrapper) {
	for _, method := range []string{"POST", "PATCH"} {
		var calls atomic.Int64
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			calls.Add(1)
			hangUp(w, "")
		})
		resp, _ := send(t, mount(t, wrap, &s.Transport), (&payload{content: "row"}).request(t, method, true))
		finish(resp)
		if n := calls.Load(); n != 1 {
			t.Errorf("%s read by the server %d times, want once", method, n)
		}
	}
}

// RFC 9110 section 15.3.3: a 202 "has been accepted for processing", so sending
// it again asks for it twice. A GET may ask how it stands.
func postsOnceOn202(t *tester, wrap wrapper) {
	b := &base{script: []reply{{status: 202, header: http.Header{"Retry-After": {"1"}}}}}
	resp, _ := send(t, mount(t, wrap, b), (&payload{content: "row"}).request(t, "POST", true))
	finish(resp)
	posts := 0
	for _, a := range b.sent() {
		if a.req.Method == "POST" {
			posts++
		}
	}
	if posts != 1 {
		t.Errorf("sent %d POSTs, want 1", posts)
	}
}

// RFC 9110 section 15.5: "the client seems to have erred", and will have erred
// again; section 15.5.4: "The client SHOULD NOT automatically repeat the request
// with the same credentials." Others are not a RoundTripper's to find: net/http
// lists authentication with redirects.
func sendsRefusedOnce(t *tester, wrap wrapper) {
	for _, status := range []int{400, 401, 403, 404} {
		refused := reply{status: status, body: "no"}
		once(t, wrap, request(t, "GET"), refused)
		once(t, wrap, (&payload{content: "row"}).request(t, "PUT", true), refused)
	}
}

// RFC 9110 section 5.5 and RFC 3986 section 3.1: what http.Transport refuses to
// send it will refuse again; trying harder only delays the news.
func triesMalformedOnce(t *tester, wrap wrapper) {
	for name, spoil := range map[string]func(*http.Request){
		"invalid header value": func(req *http.Request) { req.Header.Set("X-Bad", "a\nb") },
		"invalid header name":  func(req *http.Request) { req.Header["a b"] = []string{"x"} },
		"unsupported scheme":   func(req *http.Request) { req.URL.Scheme = "gopher" },
		"no host":              func(req *http.Request) { req.URL.Host = "" },
	} {
		s := serve(t, func(http.ResponseWriter, *http.Request) {})
		var calls atomic.Int64
		b := roundTripper(func(req *http.Request) (*http.Response, error) {
			calls.Add(1)
			return s.Transport.RoundTrip(req)
		})
		req := request(t, "GET")
		spoil(req)
		resp, err := send(t, mount(t, wrap, b), req)
		finish(resp)
		if n := calls.Load(); n > 1 || err == nil {
			t.Errorf("%s: %d attempts, error %v; want one attempt and its error", name, n, err)
		}
	}
}
