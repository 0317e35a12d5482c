package sodatest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// A broken connection must look the same in memory and on TCP.
func TestBrokenConnections(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reply  sodatest.Reply
		want   error
		opErr  bool
		prefix int // bytes of the body that arrive; -1 if there is no response
	}{
		{"drop", sodatest.Reply{Drop: true}, io.EOF, false, -1},
		{"drop and reset", sodatest.Reply{Drop: true, Reset: true}, syscall.ECONNRESET, true, -1},
		{"drop with status", sodatest.Reply{Status: 503, Drop: true}, io.EOF, false, -1},
		{"cut", sodatest.Reply{Cut: 100}, io.ErrUnexpectedEOF, false, 100},
		{"cut a body of known length", sodatest.Reply{Status: 502, Bytes: 5000, Cut: 4999}, io.ErrUnexpectedEOF, false, 4999},
		{"cut after the end", sodatest.Reply{Body: "[]", Cut: 100}, io.ErrUnexpectedEOF, false, 2},
		{"false length", sodatest.Reply{Body: "[]", Header: map[string]string{"Content-Length": "3"}}, io.ErrUnexpectedEOF, false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, start starter) {
				srv := start(sodatest.Replies(tt.reply))
				resp, body, err := try(t, srv, "GET", sample+".json", "")
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				var op *net.OpError
				if errors.As(err, &op) != tt.opErr {
					t.Errorf("got a %T, want an OpError: %v", err, tt.opErr)
				}
				if resp == nil && tt.prefix >= 0 || resp != nil && len(body) != tt.prefix {
					t.Errorf("got %d bytes, want %d", len(body), tt.prefix)
				}
				if resp, _ := get(t, srv, sample+".json"); resp.StatusCode != 200 {
					t.Errorf("and then status %d", resp.StatusCode)
				}
			})
		})
	}
}

// In TCP a reset may overtake the bytes before it; in memory it never does.
func TestCutAndReset(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Reply{Cut: 100, Reset: true}))
		_, body, err := try(t, srv, "GET", sample+".json", "")
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
		if strings.HasPrefix(srv.URL, "http://socrata") && len(body) != 100 {
			t.Errorf("got %d bytes, want 100", len(body))
		}
	})
}

func TestPipeFailsAsTCPDoes(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		dial := func() net.Conn {
			c, err := srv.Transport().DialContext(t.Context(), "tcp", "any.test:80")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := dial()
		if c.LocalAddr().Network() != "tcp" || c.RemoteAddr().String() == c.LocalAddr().String() {
			t.Errorf("addresses %v and %v", c.LocalAddr(), c.RemoteAddr())
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after a deadline: %v", err)
		}
		c.Close()
		_, err := c.Read(make([]byte, 1))
		_, werr := c.Write([]byte("x"))
		for _, err := range []error{err, werr} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
		c = dial()
		srv.Close()
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("writing to a closed server: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("reading from a closed server: %v", err)
		}
	})
}

func TestDialIsCancelled(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := srv.Transport().DialContext(ctx, "tcp", "any.test:80")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
