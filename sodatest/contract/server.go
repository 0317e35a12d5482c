package contract

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A server is an http.Server at the other end of in-memory connections, and the
// http.Transport that reaches it.
type server struct {
	http.Transport
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once

	dialed atomic.Int64 // connections made
	open   atomic.Int64 // of these, not yet closed by the Transport
}

// serve starts a server that lives as long as the test.
func serve(t *tester, handler http.HandlerFunc) *server { return start(t, handler, nil) }

// start starts a server, with TLS if config is not nil.
func start(t *tester, handler http.HandlerFunc, config *tls.Config) *server {
	s := &server{conns: make(chan net.Conn), done: make(chan struct{})}
	s.Transport.DialContext = s.dial
	s.Transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	var l net.Listener = s
	if config != nil {
		l = tls.NewListener(s, config)
	}
	srv := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(l)
	t.Cleanup(func() {
		srv.Close()
		s.Transport.CloseIdleConnections()
	})
	return s
}

func (s *server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.conns <- far:
		s.dialed.Add(1)
		s.open.Add(1)
		return &conn{Conn: near, closed: sync.OnceFunc(func() { s.open.Add(-1) })}, nil
	case <-s.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept, Close and Addr make the server its own net.Listener.
func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *server) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func (s *server) Addr() net.Addr { return address{} }

// address is what an in-memory server has for one.
type address struct{}

func (address) Network() string { return "pipe" }
func (address) String() string  { return "contract.test" }

// A conn tells when it is closed.
type conn struct {
	net.Conn
	closed func()
}

func (c *conn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// hangUp closes the connection of a request, after writing raw to it.
func hangUp(w http.ResponseWriter, raw string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	io.WriteString(c, raw)
	c.Close()
}

// selfSigned makes a certificate that nobody trusts.
func selfSigned(t *tester) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	card := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"contract.test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(48 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, card, card, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
