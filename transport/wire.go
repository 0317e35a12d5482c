package transport

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
	"reflect"
	"strings"
	"sync/atomic"
)

// A wire is what can be seen of an attempt while it is sent. Base may go on
// with it after the attempt is over.
type wire struct {
	conn  atomic.Pointer[string]
	body  atomic.Int64
	fault atomic.Pointer[error] // that ended a body before its end
}

// watch returns req with a wire that sees it being sent.
func watch(req *http.Request) (*http.Request, *wire) {
	w := new(wire)
	r := req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			how := "new"
			if i.Reused {
				how = "reused"
			}
			w.conn.Store(&how)
		},
	}))
	w.watchBody(r)
	return r, w
}

// watchBody has w see the bodies of r, which is the caller's to change.
func (w *wire) watchBody(r *http.Request) {
	wrapBodies(r, func(b io.ReadCloser) io.ReadCloser { return &watchedBody{ReadCloser: b, wire: w} })
}

// wrapBodies puts wrap around the body of r and around those that its GetBody
// will give, as net/http asks for one when a connection was gone already.
func wrapBodies(r *http.Request, wrap func(io.ReadCloser) io.ReadCloser) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	r.Body = wrap(r.Body)
	getBody := r.GetBody
	if getBody == nil {
		return
	}
	r.GetBody = func() (io.ReadCloser, error) {
		b, err := getBody()
		if err != nil || b == nil {
			return b, err
		}
		return wrap(b), nil
	}
}

// seen returns the connection and the bytes of the body. A nil wire has seen
// nothing.
func (w *wire) seen() (conn string, body int64) {
	if w == nil {
		return "", 0
	}
	if how := w.conn.Load(); how != nil {
		conn = *how
	}
	return conn, w.body.Load()
}

type watchedBody struct {
	io.ReadCloser
	wire   *wire
	closed atomic.Bool // after which an error says nothing of the source
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.wire.body.Add(int64(n))
	if err != nil && err != io.EOF && !b.closed.Load() {
		fault := err // else err would be allocated for each Read
		b.wire.fault.Store(&fault)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// bodyFault returns the error that ended the body of a request that was sent
// before its end. It is the caller's own, whatever it looks like: a file that
// is cut gives the error of a connection that is, and a body that is read off
// another server may give that of a dial.
func bodyFault(sent *http.Request) error {
	switch b := sent.Body.(type) {
	case *keptReader:
		return b.k.fault()
	case *watchedBody:
		if err := b.wire.fault.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// tells reports whether reading body cannot fail, or bodyFault knows of it. The
// bodies that http.NewRequest makes a GetBody for are in memory. They pass as
// they are, so that a first attempt costs nothing.
func tells(body io.ReadCloser) bool {
	if _, ok := body.(*keptReader); ok {
		return true
	}
	v := reflect.ValueOf(body)
	if v.Type() != nopCloser {
		return false
	}
	switch v.Field(0).Interface().(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	}
	return false
}

// nopCloser is what http.NewRequest puts around such a body.
var nopCloser = reflect.TypeOf(io.NopCloser(new(bytes.Reader)))
