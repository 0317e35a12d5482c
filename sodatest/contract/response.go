package contract

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

var ofResponses = []obligation{
	{"returns a response or an error", returnsOne, "net/http RoundTripper: must return a response or an error"},
	{"hands back a success as it came", handsBackSuccesses, "net/http Response: its fields"},
	{"hands back the last response with its body", handsBackTheLast, "net/http RoundTripper: err == nil if it obtained a response"},
	{"leaves redirects to the client", leavesRedirects, "net/http RoundTripper: should not handle redirects"},
	{"keeps no cookies", keepsNoCookies, "net/http RoundTripper: should not handle cookies"},
	{"leaves a 101 body open in both directions", leavesUpgrades, "net/http Response.Body: io.Writer after a 101"},
	{"hands back HEAD, 204 and 304 without a body", handsBackEmpty, "RFC 9110, sections 9.3.2, 15.3.5 and 15.4.5"},
	{"hands back a compressed body byte for byte", handsBackGzip, "net/http Transport.DisableCompression"},
	{"hands back a large error page whole", handsBackLarge, "net/http Response.Body"},
	{"keeps the trailer", keepsTrailers, "net/http Response.Trailer"},
	{"does not pass off a cut body as whole", reportsCuts, "RFC 9112, section 8"},
	{"does not cut the body it hands back", doesNotCut, "net/http Request.Context: controls reading the body too"},
	{"lets a cancellation end the body", letsCancel, "net/http Request.Context: controls reading the body too"},
	{"takes no credentials to another host", staysHome, "RFC 9110, section 15.4; net/http Client: sensitive headers"},
	{"keeps secrets out of its errors", keepsSecrets, "RFC 9110, section 11.6.2; RFC 3986, section 3.2.1"},
}

// net/http RoundTripper: "RoundTrip must return err == nil if it obtained a
// response [...] A non-nil err should be reserved for failure to obtain a
// response."
func returnsOne(t *tester, wrap wrapper) {
	check := func(name string, b *base, req *http.Request) {
		resp, err := send(t, mount(t, wrap, b), req)
		if (resp == nil) == (err == nil) {
			t.Errorf("%s: got response %v and error %v, want one of them", name, resp, err)
		}
		if resp != nil && resp.Body == nil {
			t.Errorf("%s: got a nil Body, want one that can be closed", name)
		}
		finish(resp)
	}
	for _, c := range courses {
		for _, method := range []string{"GET", "POST"} {
			check(method+", "+c.name, &base{script: c.script}, request(t, method))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check("context done", &base{script: []reply{ok}}, request(t, "GET").WithContext(ctx))
}

// net/http Response says what its fields are: among them the cookies, the name
// for a conditional request, the connection's certificates, and "the request that
// was sent to obtain this Response". RoundTrip "should not attempt to interpret
// the response", so none of them is its to change.
func handsBackSuccesses(t *tester, wrap wrapper) {
	for _, came := range []http.Response{
		{Status: "200 OK", StatusCode: 200, ContentLength: 4},
		{Status: "200 Fine", StatusCode: 200, ContentLength: -1, Uncompressed: true},
		{Status: "201 Created", StatusCode: 201, ContentLength: 4},
		{Status: "206 Partial Content", StatusCode: 206, ContentLength: 4},
	} {
		for _, method := range []string{"GET", "PUT", "POST"} {
			came.Proto, came.ProtoMajor = "HTTP/2.0", 2
			came.TLS = &tls.ConnectionState{ServerName: "contract.test"}
			came.Header = http.Header{
				"Content-Type": {"text/csv; charset=utf-8"}, "Etag": {`W/"7"`}, "Last-Modified": {"Thu, 01 Jan 1970 00:00:00 GMT"},
				"Set-Cookie": {"a=1", "b=2"}, "Vary": {"Accept"}, "X-Row-Count": {"1"},
			}
			came.Trailer = http.Header{"X-Sum": nil}
			rt := mount(t, wrap, roundTripper(func(req *http.Request) (*http.Response, error) {
				resp := came
				resp.Header, resp.Trailer, resp.Request = came.Header.Clone(), came.Trailer.Clone(), req
				resp.Body = &body{Reader: strings.NewReader("rows")}
				return &resp, nil
			}))
			req := request(t, method)
			resp, err := send(t, rt, req)
			if err == nil && resp != nil {
				for _, field := range changed(&came, resp, req) {
					t.Errorf("%s, %s: %s is not as Base gave it", method, came.Status, field)
				}
			}
			want(t, resp, err, came.StatusCode, "rows")
		}
	}
}

// changed names the fields of the response to req that are not as they came.
func changed(came, resp *http.Response, req *http.Request) (fields []string) {
	for _, f := range []struct {
		name      string
		came, got any
	}{
		{"Status", came.Status, resp.Status},
		{"Proto", came.Proto, resp.Proto},
		{"ProtoMajor", came.ProtoMajor, resp.ProtoMajor},
		{"Header", came.Header, resp.Header},
		{"ContentLength", came.ContentLength, resp.ContentLength},
		{"Uncompressed", came.Uncompressed, resp.Uncompressed},
		{"TLS", came.TLS, resp.TLS},
		{"Trailer", came.Trailer, resp.Trailer},
	} {
		if !reflect.DeepEqual(f.came, f.got) {
			fields = append(fields, f.name)
		}
	}
	if resp.Request == nil || resp.Request.URL == nil || resp.Request.URL.String() != req.URL.String() {
		fields = append(fields, "Request")
	}
	return fields
}

// net/http RoundTripper, as above "regardless of the response's HTTP status
// code". The status, the header and the body of a failure are what explains it.
func handsBackTheLast(t *tester, wrap wrapper) {
	for _, method := range []string{"GET", "PUT", "POST"} {
		for _, status := range []int{429, 500, 502, 503, 504} {
			explained := reply{status: status, header: http.Header{"X-Request-Id": {"7"}}, body: `{"message":"why"}`}
			b := &base{script: []reply{explained}}
			resp, err := send(t, mount(t, wrap, b), request(t, method))
			want(t, resp, err, status, explained.body)
			if resp != nil && resp.Header.Get("X-Request-Id") != "7" {
				t.Errorf("%s, %d: the header is lost", method, status)
			}
		}
	}
}

// net/http RoundTripper: "RoundTrip should not attempt to handle higher-level
// protocol details such as redirects". Client.CheckRedirect decides on them.
func leavesRedirects(t *tester, wrap wrapper) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		there := reply{status: status, header: http.Header{"Location": {"/elsewhere"}}, body: "moved"}
		b := &base{script: []reply{there, ok}}
		asked := 0
		client := &http.Client{
			Transport: mount(t, wrap, b),
			CheckRedirect: func(*http.Request, []*http.Request) error {
				asked++
				return http.ErrUseLastResponse
			},
		}
		resp, err := send(t, roundTripper(client.Do), request(t, "GET"))
		want(t, resp, err, status, there.body)
		if n := len(b.sent()); asked != 1 || n != 1 {
			t.Errorf("%d: CheckRedirect was asked %d times, %d requests sent; want 1 and 1", status, asked, n)
		}
	}
}

// net/http RoundTripper: nor "authentication, or cookies". Client.Jar keeps them.
func keepsNoCookies(t *tester, wrap wrapper) {
	cookie := http.Header{"Set-Cookie": {"id=7; Path=/"}}
	b := &base{script: []reply{
		{status: 503, header: cookie}, {status: 200, header: cookie}, {status: 200, header: cookie},
	}}
	rt := mount(t, wrap, b)
	for range 2 {
		resp, _ := send(t, rt, request(t, "GET"))
		finish(resp)
	}
	for i, a := range b.sent() {
		if got := a.req.Header["Cookie"]; got != nil {
			t.Errorf("attempt %d has Cookie %q, which the caller never set", i+1, got)
		}
	}
}

// net/http Response.Body: "As of Go 1.12, the Body will also implement io.Writer
// on a successful "101 Switching Protocols" response". RFC 9110 section 7.8.
func leavesUpgrades(t *tester, wrap wrapper) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(c, "echo "+line)
	})
	req := request(t, "GET")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := send(t, mount(t, wrap, &s.Transport), req)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("got response %v and error %v, want 101", resp, err)
	}
	defer resp.Body.Close()
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("body of the 101 is a %T, want an io.ReadWriteCloser", resp.Body)
	}
	io.WriteString(rwc, "ping\n")
	if got, err := bufio.NewReader(rwc).ReadString('\n'); got != "echo ping\n" {
		t.Errorf("read %q (error %v), want %q", got, err, "echo ping\n")
	}
}

// RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5: no content, whatever the header
// says of its length. There is nothing to sniff, to drain or to miss.
func handsBackEmpty(t *tester, wrap wrapper) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscan(r.Header.Get("X-Status"), &status)
		if r.Method == "HEAD" {
			w.Header().Set("Content-Length", "4096")
		}
		w.WriteHeader(status)
	})
	for _, c := range []struct {
		method string
		status int
		length int64
	}{
		{"HEAD", 200, 4096}, {"HEAD", 404, 4096}, {"HEAD", 503, 4096},
		{"GET", 204, 0}, {"GET", 304, 0}, {"DELETE", 204, 0},
	} {
		req := request(t, c.method)
		req.Header.Set("X-Status", fmt.Sprint(c.status))
		resp, err := send(t, mount(t, wrap, &s.Transport), req)
		if err != nil && c.status == 503 {
			continue // that it is lost is another obligation's finding
		}
		want(t, resp, err, c.status, "")
		if resp != nil && c.method == "HEAD" && resp.ContentLength != c.length {
			t.Errorf("HEAD, %d: ContentLength %d, want %d", c.status, resp.ContentLength, c.length)
		}
	}
}

// net/http Transport.DisableCompression: "if the user explicitly requested gzip
// it is not automatically uncompressed." Whoever looks into the body to judge it
// has to put the same bytes back. (RFC 9110 section 8.4.)
func handsBackGzip(t *tester, wrap wrapper) {
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	io.WriteString(z, `{"code":"internal","message":"`+strings.Repeat("why ", 8<<10)+`"}`)
	z.Close()
	header := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	for _, status := range []int{200, 202, 400, 500} {
		b := &base{script: []reply{{status: status, header: header, body: packed.String()}}}
		req := request(t, "GET")
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := send(t, mount(t, wrap, b), req)
		if err != nil {
			continue // that it is lost is another obligation's finding
		}
		if resp.Header.Get("Content-Encoding") != "gzip" || resp.ContentLength != int64(packed.Len()) || resp.Uncompressed {
			t.Errorf("%d: header %v, ContentLength %d, Uncompressed %v; want them as Base gave them",
				status, resp.Header, resp.ContentLength, resp.Uncompressed)
		}
		want(t, resp, err, status, packed.String())
	}
}

// net/http Response.Body is the whole body, also to one who limits how much of
// an error page it looks at.
func handsBackLarge(t *tester, wrap wrapper) {
	for status, size := range map[int]int64{202: 1 << 20, 400: 1 << 20, 500: 10 << 20} {
		b := &base{script: []reply{{
			status: status,
			header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(size)}},
			stream: func(context.Context) io.Reader { return filler(size) },
		}}}
		resp, err := send(t, mount(t, wrap, b), request(t, "GET"))
		if err != nil {
			continue // another obligation's finding
		}
		if n, err := io.Copy(new(comparer), resp.Body); err != nil || n != size {
			t.Errorf("%d: the body ends or differs after %d bytes of %d (error %v)", status, n, size, err)
		}
		resp.Body.Close()
	}
}

// net/http Response.Trailer: "After Body.Read has returned io.EOF, Trailer will
// contain any trailer values sent by the server." (RFC 9110 section 6.5.)
func keepsTrailers(t *tester, wrap wrapper) {
	for _, status := range []int{200, 500} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(status)
			io.WriteString(w, "rows")
			w.Header().Set("X-Sum", "42")
		})
		resp, err := send(t, mount(t, wrap, &s.Transport), request(t, "GET"))
		if err != nil {
			continue // another obligation's finding
		}
		want(t, resp, err, status, "rows")
		if got := resp.Trailer.Get("X-Sum"); got != "42" {
			t.Errorf("%d: trailer X-Sum is %q, want 42", status, got)
		}
	}
}

// RFC 9112 section 8: a body shorter than announced is incomplete, and a caller
// that is not told takes half of the rows for all of them.
func reportsCuts(t *tester, wrap wrapper) {
	for name, raw := range map[string]string{
		"Content-Length":    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234",
		"chunked":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
		"an error's length": "HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\n01234",
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(w, raw) })
		resp, err := send(t, mount(t, wrap, &s.Transport), request(t, "GET"))
		if err != nil {
			continue // it is reported
		}
		got, err := finish(resp)
		if err == nil {
			t.Errorf("%s: 5 bytes of 10 arrive as %q and no error", name, got)
		}
		if !strings.HasPrefix("0123456789", got) {
			t.Errorf("%s: read %q, which the server never sent", name, got)
		}
	}
}

// net/http Request.Context "controls the entire lifetime of a request and its
// response: [...] and reading the response headers and body". A context that is
// cancelled as RoundTrip returns cuts the body off.
func doesNotCut(t *tester, wrap wrapper) {
	slow := reply{status: 200, stream: func(ctx context.Context) io.Reader {
		return &drip{ctx: ctx, every: time.Minute, left: 10, closed: make(chan struct{})}
	}}
	for _, script := range [][]reply{{slow}, {unavailable, slow}} {
		resp, err := send(t, mount(t, wrap, &base{script: script}), request(t, "GET"))
		if err != nil || resp.StatusCode != 200 {
			finish(resp) // it does not retry
			continue
		}
		want(t, resp, err, 200, strings.Repeat(".", 10))
	}
}

// The other half of it: while the caller reads, and long after RoundTrip has
// returned, a cancellation is what gets him out.
func letsCancel(t *tester, wrap wrapper) {
	slow := reply{status: 200, stream: func(ctx context.Context) io.Reader {
		return &drip{ctx: ctx, every: time.Minute, left: 10, closed: make(chan struct{})}
	}}
	for _, c := range []struct {
		method string
		script []reply
	}{{"GET", []reply{slow}}, {"POST", []reply{slow}}, {"GET", []reply{unavailable, slow}}} {
		req := request(t, c.method)
		ctx, cancel := context.WithCancel(req.Context())
		resp, err := send(t, mount(t, wrap, &base{script: c.script}), req.WithContext(ctx))
		if err == nil && resp.StatusCode == 200 {
			stop := time.Now().Add(90 * time.Second)
			time.AfterFunc(90*time.Second, cancel)
			_, err = io.Copy(io.Discard, resp.Body)
			if late := time.Since(stop); err == nil || late > time.Second {
				t.Errorf("%s: the body ends %v after the cancellation, with error %v; want it to end at once, with one", c.method, late, err)
			}
		}
		finish(resp)
		cancel()
	}
}

// RFC 9110 section 15.4, on following a Location: "Consider removing header
// fields [...] where there are security implications; this includes but is not
// limited to Authorization and Cookie." net/http Client: they are not forwarded
// to "a domain that is not a subdomain match or exact match of the initial
// domain". The Location of a 202 is where its result will be; whoever asks there
// does not take more along.
func staysHome(t *tester, wrap wrapper) {
	secrets := http.Header{"X-App-Token": {"t0ken"}, "Authorization": {"Basic Y2FsbGVyOnMzY3JldA=="}, "Cookie": {"session=s3cret"}}
	for _, location := range []string{
		"http://elsewhere.test/rows", "//elsewhere.test/rows", "http://contract.test.elsewhere.test/rows",
		"http://contract.test@elsewhere.test/rows", "https://elsewhere.test:443/rows?ticket=7",
	} {
		for _, method := range []string{"GET", "POST"} {
			header := http.Header{"Location": {location}, "Retry-After": {"1"}}
			b := &base{script: []reply{{status: 202, header: header, body: "accepted"}, ok}}
			req := request(t, method)
			maps.Copy(req.Header, secrets)
			resp, _ := send(t, mount(t, wrap, b), req)
			finish(resp)
			for _, a := range b.sent() {
				if a.req.URL.Hostname() == "contract.test" {
					continue
				}
				var taken []string
				for name := range secrets {
					if a.req.Header[name] != nil {
						taken = append(taken, name)
					}
				}
				if len(taken) > 0 {
					slices.Sort(taken)
					t.Errorf("%s answered 202, Location %s: %s gets %v", method, location, a.req.URL.Host, taken)
				}
			}
		}
	}
}

// A drip is a body that comes byte by byte. It ends when it is closed, when ctx
// is done, or when none are left; with left < 0 it never does by itself.
type drip struct {
	ctx    context.Context
	every  time.Duration
	left   int
	closed chan struct{}
	once   sync.Once
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	if d.ctx.Err() != nil {
		return 0, context.Cause(d.ctx)
	}
	select {
	case <-time.After(d.every):
		d.left--
		p[0] = '.'
		return 1, nil
	case <-d.closed:
		return 0, errClosed
	case <-d.ctx.Done():
		return 0, context.Cause(d.ctx)
	}
}

func (d *drip) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// RFC 9110 section 11.6.2 and RFC 3986 section 3.2.1: credentials. Errors end up
// in logs.
func keepsSecrets(t *tester, wrap wrapper) {
	for _, c := range courses {
		req := request(t, "GET")
		req.SetBasicAuth("caller", "s3cret")
		req.Header.Set("X-App-Token", "t0ken")
		req.URL.User = url.UserPassword("caller", "s3cret")
		resp, err := send(t, mount(t, wrap, &base{script: c.script}), req)
		finish(resp)
		for _, secret := range []string{"s3cret", "t0ken", "Y2FsbGVyOnMzY3JldA=="} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells %q: %v", c.name, secret, err)
			}
		}
	}
}
