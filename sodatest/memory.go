package sodatest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// dialOnly dials addr, whatever address it is asked for.
func dialOnly(addr net.Addr) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, addr.Network(), addr.String())
	}
}

// serverAddr is where a server in memory says it is, a documentation address.
var serverAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}

// A pipeListener is a net.Listener whose connections are net.Pipes.
type pipeListener struct {
	conns chan net.Conn
	done  <-chan struct{}
	ports atomic.Int64
}

func newPipeListener(done <-chan struct{}) *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: done}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close has nothing to do: the server's done channel stops Accept.
func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return serverAddr }

// dial makes a connection, to whatever address. Each has a port of its own, so
// that Request.Remote can be counted.
func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	addr := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1024 + int(l.ports.Add(1))}
	a, b := net.Pipe()
	reset := new(atomic.Bool)
	client := &pipeConn{Conn: a, local: addr, remote: serverAddr, reset: reset}
	server := &pipeConn{Conn: b, local: serverAddr, remote: addr, reset: reset}
	select { // when it is closed nothing else counts
	case <-l.done:
		return nil, refused()
	default:
	}
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, refused()
	case <-ctx.Done():
		return nil, cancelled(ctx)
	}
}

func cancelled(ctx context.Context) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: serverAddr, Err: ctx.Err()}
}

func refused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: serverAddr, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// A pipeConn is one end of a net.Pipe that fails as a TCP connection would.
type pipeConn struct {
	net.Conn
	local, remote *net.TCPAddr
	reset         *atomic.Bool // shared by both ends: closed with a reset
	closed        atomic.Bool  // this end was closed by its owner
}

func (c *pipeConn) LocalAddr() net.Addr  { return c.local }
func (c *pipeConn) RemoteAddr() net.Addr { return c.remote }

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.asTCP("read", err)
}

func (c *pipeConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.asTCP("write", err)
}

func (c *pipeConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// resetOnClose makes the next Close a reset, as SetLinger(0) does.
func (c *pipeConn) resetOnClose() { c.reset.Store(true) }

// asTCP turns an error of net.Pipe into the one that TCP has for the occasion.
func (c *pipeConn) asTCP(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case c.closed.Load():
		err = net.ErrClosed
	case err == io.EOF && !c.reset.Load():
		return err
	case err == io.EOF, errors.Is(err, io.ErrClosedPipe):
		// Reading from a connection that was reset, or writing to one that the
		// other side has closed.
		err = os.NewSyscallError(op, syscall.ECONNRESET)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
