package classify_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

var (
	hopeless  = classify.Outcome{Class: classify.Final, Acted: classify.ActedNo}
	unknown   = classify.Outcome{}
	unsent    = classify.Outcome{Class: classify.Transient, Acted: classify.ActedNo}
	passing   = classify.Outcome{Class: classify.Transient}
	readError = func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
	dialError = func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
)

// verdict checks what Of says of err as it is, wrapped, joined and as http.Client
// returns it.
func verdict(t *testing.T, name string, err error, want classify.Outcome) {
	t.Helper()
	for form, err := range map[string]error{
		"raw":              err,
		"wrapped":          fmt.Errorf("page 3: %w", err),
		"joined":           errors.Join(errors.New("page 3"), err),
		"a *url.Error":     &url.Error{Op: "Get", URL: dataset, Err: err},
		"wrapped for both": &url.Error{Op: "Get", URL: dataset, Err: fmt.Errorf("base: %w", err)},
	} {
		for _, req := range []*http.Request{nil, newRequest("GET", dataset), newRequest("POST", dataset)} {
			if got := classify.Of(req, nil, err); got != want {
				t.Errorf("%s, %s: got %v, acted %v; want %v, acted %v: %v", name, form, got.Class, got.Acted, want.Class, want.Acted, err)
			}
		}
	}
}

func TestErrorsByType(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want classify.Outcome
	}{
		{"unknown authority", x509.UnknownAuthorityError{}, hopeless},
		{"another host's certificate", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, hopeless},
		{"expired", x509.CertificateInvalidError{Reason: x509.Expired}, hopeless},
		{"verification", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, hopeless},
		{"verification by the caller's own rules", &tls.CertificateVerificationError{Err: errors.New("pinned")}, hopeless},
		{"a certificate, while dialing a proxy", dialError(x509.UnknownAuthorityError{}), hopeless},
		{"not TLS at all", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake", Conn: &net.TCPConn{}}, hopeless},
		{"a record garbled later", tls.RecordHeaderError{Msg: "oversized record received with length 20000"}, unknown},
		{"an alert of the server", &net.OpError{Op: "remote error", Err: tls.AlertError(40)}, unknown},
		{"no such host", &net.DNSError{Err: "no such host", IsNotFound: true}, hopeless},
		{"no such host, dialing", dialError(&net.DNSError{Err: "no such host", IsNotFound: true}), hopeless},
		{"no address", dialError(&net.AddrError{Err: "missing port", Addr: "x"}), hopeless},
		{"no IP address", &net.ParseError{Type: "IP address", Text: "x"}, hopeless},
		{"no network", dialError(net.UnknownNetworkError("x")), hopeless},
		{"no such address", net.InvalidAddrError("x"), hopeless},

		{"temporary DNS", dialError(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), unsent},
		{"DNS timeout, raw", &net.DNSError{Err: "i/o timeout", IsTimeout: true}, unsent},
		{"refused, dialing", dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED)), unsent},
		{"refused, raw", syscall.ECONNREFUSED, unsent},
		{"unreachable, dialing", dialError(syscall.EHOSTUNREACH), unsent},
		{"dial timeout", dialError(os.ErrDeadlineExceeded), unsent},
		{"proxy", &net.OpError{Op: "proxyconnect", Err: dialError(syscall.ECONNREFUSED)}, unsent},
		{"SOCKS", &net.OpError{Op: "socks connect", Err: errors.New("general SOCKS server failure")}, unsent},
		{"TLS handshake timeout", errors.New("net/http: TLS handshake timeout"), unsent},
		{"graceful GOAWAY", errors.New("http2: Transport received Server's graceful shutdown GOAWAY"), unsent},
		{"unusable connection", errors.New("http2: client conn not usable"), unsent},

		{"reset", readError(os.NewSyscallError("read", syscall.ECONNRESET)), passing},
		{"reset, raw", syscall.ECONNRESET, passing},
		{"broken pipe", &net.OpError{Op: "write", Err: syscall.EPIPE}, passing},
		{"aborted", syscall.ECONNABORTED, passing},
		{"timed out", syscall.ETIMEDOUT, passing},
		{"EOF", io.EOF, passing},
		{"unexpected EOF", io.ErrUnexpectedEOF, passing},
		{"closed", net.ErrClosed, passing},
		{"closed, in memory", io.ErrClosedPipe, passing},
		{"deadline of one attempt", context.DeadlineExceeded, passing},
		{"deadline of a connection", os.ErrDeadlineExceeded, passing},
		{"closed while idle", errors.New("http: server closed idle connection"), passing},
		{"lost, not to be rewound", errors.New("net/http: cannot rewind body after connection loss"), passing},
		{"HTTP/2 connection lost", errors.New("http2: client connection lost"), passing},
		{"x/net stream refused", errors.New("stream error: stream ID 3; REFUSED_STREAM; received from peer"), unsent},
		{"x/net stream cancelled", errors.New("stream error: stream ID 3; CANCEL; received from peer"), passing},
		{"x/net stream for HTTP/1.1", errors.New("stream error: stream ID 3; HTTP_1_1_REQUIRED"), unknown},
		{"x/net stream insecure", errors.New("stream error: stream ID 3; INADEQUATE_SECURITY"), unknown},

		{"cancelled", context.Canceled, unknown},
		{"cancelled, dialing", dialError(context.Canceled), unknown},
		{"something else", errors.New("something else"), unknown},
		{"only speaks of it", errors.New("no http: server closed idle connection"), unknown},
		{"speaks of a stream", errors.New("my stream error: stream ID 3; REFUSED_STREAM"), unknown},
		{"redirects", errors.New("stopped after 10 redirects"), unknown},
	} {
		verdict(t, c.name, c.err, c.want)
	}
}

func TestCallerWhoHasGivenUp(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithTimeout(context.Background(), -1)
	defer cancel()
	for name, ctx := range map[string]context.Context{"cancelled": cancelled, "late": late} {
		for _, err := range []error{io.EOF, dialError(syscall.ECONNREFUSED), context.DeadlineExceeded, ctx.Err()} {
			if got := classify.Of(newRequest("GET", dataset).WithContext(ctx), nil, err); got != unknown {
				t.Errorf("%s, %v: got %+v", name, err, got)
			}
		}
	}
}

// roundTrip returns the error that a real http.Transport gives.
func roundTrip(t *testing.T, tr *http.Transport, req *http.Request) error {
	t.Helper()
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
		t.Fatalf("%s %s came to %d, want an error", req.Method, req.URL, resp.StatusCode)
	}
	return err
}

func TestRealErrors(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()

	verdict(t, "untrusted certificate", roundTrip(t, &http.Transport{}, newRequest("GET", secure.URL)), hopeless)
	trusting := secure.Client().Transport.(*http.Transport)
	elsewhere := trusting.Clone()
	elsewhere.TLSClientConfig.ServerName = "data.example.gov"
	verdict(t, "another host's certificate", roundTrip(t, elsewhere, newRequest("GET", secure.URL)), hopeless)
	old := trusting.Clone()
	old.TLSClientConfig.MaxVersion = tls.VersionTLS11
	old.TLSClientConfig.MinVersion = tls.VersionTLS10
	verdict(t, "an alert in the handshake", roundTrip(t, old, newRequest("GET", secure.URL)), unknown)

	https := newRequest("GET", strings.Replace(plain.URL, "http:", "https:", 1))
	verdict(t, "HTTP to an https client", roundTrip(t, &http.Transport{}, https), hopeless)
	_, err := (&http.Client{Transport: &http.Transport{}}).Do(https)
	if !errors.Is(err, http.ErrSchemeMismatch) {
		t.Errorf("http.Client says %v", err)
	}
	verdict(t, "the same, from http.Client", err, hopeless)

	newline := newRequest("GET", plain.URL)
	newline.Header.Set("X-App-Token", "a\nb")
	verdict(t, "a header with a newline", roundTrip(t, &http.Transport{}, newline), unknown)
	verdict(t, "an unsupported scheme", roundTrip(t, &http.Transport{}, newRequest("GET", "ftp://data.example.gov/")), unknown)
	verdict(t, "no host", roundTrip(t, &http.Transport{}, newRequest("GET", "http:///x")), unknown)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	verdict(t, "a closed port", roundTrip(t, &http.Transport{}, newRequest("GET", "http://"+l.Addr().String())), unsent)
	proxy := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()})}
	verdict(t, "a proxy that is not there", roundTrip(t, proxy, newRequest("GET", secure.URL)), unsent)

	verdict(t, "reset", roundTrip(t, &http.Transport{}, newRequest("GET", serve(t, func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		c.SetLinger(0)
	}))), passing)
	verdict(t, "closed without a word", roundTrip(t, &http.Transport{}, newRequest("GET", serve(t, func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
	}))), passing)
	for _, cut := range []string{"HTTP/1.1 200", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nServer: nginx\r\n"} {
		verdict(t, "closed in the header", roundTrip(t, &http.Transport{}, newRequest("GET", serve(t, func(c *net.TCPConn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, cut)
		}))), passing)
	}
	verdict(t, "not HTTP", roundTrip(t, &http.Transport{}, newRequest("GET", serve(t, func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "220 mail.example.gov ESMTP\r\n")
	}))), unknown)

	_, err = net.DefaultResolver.LookupHost(t.Context(), "a..invalid")
	verdict(t, "a name that cannot be", err, hopeless)
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }}
	noDNS := &http.Transport{DialContext: (&net.Dialer{Resolver: resolver}).DialContext}
	verdict(t, "no name server", roundTrip(t, noDNS, newRequest("GET", "http://data.example.gov/")), unsent)
}

// serve answers one connection with f, then closes it, and returns its URL.
func serve(t *testing.T, f func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f(c.(*net.TCPConn))
		c.Close()
	}()
	return "http://" + l.Addr().String()
}

// piped returns an http.Transport whose connections f serves, in a bubble.
func piped(f func(net.Conn)) *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			f(server)
		}()
		return client, nil
	}}
}

func TestRealTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := piped(func(c net.Conn) { io.Copy(io.Discard, c) })
		slow.ResponseHeaderTimeout = time.Second
		verdict(t, "no response header", roundTrip(t, slow, newRequest("POST", dataset[:4]+dataset[5:])), passing)

		deaf := piped(func(c net.Conn) { io.Copy(io.Discard, c) })
		deaf.TLSHandshakeTimeout = time.Second
		verdict(t, "no handshake", roundTrip(t, deaf, newRequest("POST", dataset)), unsent)

		slow.ResponseHeaderTimeout = 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := newRequest("GET", "http://data.example.gov").WithContext(ctx)
		err := roundTrip(t, slow, req)
		verdict(t, "a deadline that is not the caller's", err, passing)
		if got := classify.Of(req, nil, err); got != unknown {
			t.Errorf("the caller's deadline: got %+v", got)
		}
		client := &http.Client{Transport: slow, Timeout: time.Second}
		_, err = client.Get("http://data.example.gov")
		verdict(t, "http.Client.Timeout around a request", err, passing)
	})
}

func TestIdleConnectionClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := piped(func(c net.Conn) {
			r := bufio.NewReader(c)
			http.ReadRequest(r)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			r.ReadByte() // the second request has begun
		})
		defer tr.CloseIdleConnections()
		resp, err := tr.RoundTrip(newRequest("GET", "http://data.example.gov"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		synctest.Wait()
		req := newRequest("POST", "http://data.example.gov")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader("row")), 3
		err = roundTrip(t, tr, req)
		verdict(t, "closed as the next request went out", err, passing)
	})
}

// HTTP/2 frame types of RFC 9113, section 6.
const (
	frameHeaders   = 1
	frameRSTStream = 3
	frameSettings  = 4
	frameGoAway    = 7
)

func frame(kind byte, stream uint32, payload ...uint32) []byte {
	b := []byte{0, 0, byte(4 * len(payload)), kind, 0}
	b = binary.BigEndian.AppendUint32(b, stream)
	for _, p := range payload {
		b = binary.BigEndian.AppendUint32(b, p)
	}
	return b
}

// http2 returns an http.Transport that speaks HTTP/2 to a server that has one
// answer to the headers of a request.
func http2(answer func(stream uint32) []byte) *http.Transport {
	tr := piped(func(c net.Conn) {
		out := make(chan []byte, 10)
		defer close(out)
		go func() { // a pipe holds nothing: writing must not wait for reading
			for b := range out {
				c.Write(b)
				if b[3] == frameGoAway {
					time.Sleep(time.Second) // until the request has been taken in
					c.Close()
				}
			}
		}()
		out <- frame(frameSettings, 0)
		io.CopyN(io.Discard, c, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
		for head := make([]byte, 9); ; {
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			io.CopyN(io.Discard, c, int64(head[0])<<16|int64(head[1])<<8|int64(head[2]))
			if head[3] == frameHeaders {
				out <- answer(binary.BigEndian.Uint32(head[5:]))
			}
		}
	})
	tr.Protocols = new(http.Protocols)
	tr.Protocols.SetUnencryptedHTTP2(true)
	return tr
}

func TestRealHTTP2Errors(t *testing.T) {
	reset := func(code uint32) func(uint32) []byte {
		return func(stream uint32) []byte { return frame(frameRSTStream, stream, code) }
	}
	goAway := func(last, code uint32) func(uint32) []byte {
		return func(uint32) []byte { return frame(frameGoAway, 0, last, code) }
	}
	for _, c := range []struct {
		name   string
		answer func(uint32) []byte
		says   string // part of the error, so that it is the one that was meant
		want   classify.Outcome
	}{
		{"refused", reset(7), "REFUSED_STREAM", unsent},
		{"cancelled by the server", reset(8), "CANCEL", passing},
		{"internal error", reset(2), "INTERNAL_ERROR", passing},
		{"enhance your calm", reset(11), "ENHANCE_YOUR_CALM", passing},
		{"inadequate security", reset(12), "INADEQUATE_SECURITY", unknown},
		{"HTTP/1.1 required", reset(13), "HTTP_1_1_REQUIRED", unknown},
		{"above a graceful GOAWAY", goAway(0, 0), "graceful shutdown GOAWAY", unsent},
		{"above a GOAWAY with an error", goAway(0, 11), "received GOAWAY from server", unsent},
		{"below a GOAWAY", goAway(1, 0), "server sent GOAWAY and closed", passing},
		{"below a GOAWAY with an error", goAway(1, 2), "server sent GOAWAY and closed", passing},
	} {
		for _, method := range []string{"GET", "POST"} {
			if method == "GET" && c.says == "graceful shutdown GOAWAY" {
				continue // which net/http sends again itself, without end
			}
			synctest.Test(t, func(t *testing.T) { // net/http's own retries wait for seconds
				req := newRequest(method, "http://data.example.gov/")
				if method == "POST" { // a body that net/http cannot send again itself
					req.Body, req.ContentLength = io.NopCloser(strings.NewReader("row")), 3
				}
				err := roundTrip(t, http2(c.answer), req)
				time.Sleep(2 * time.Second) // until the server has closed
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s, %s: got another error: %v", c.name, method, err)
				}
				verdict(t, c.name+", "+method, err, c.want)
			})
		}
	}
}
