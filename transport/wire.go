package transport

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// A wire is what can be seen of an attempt other than the first: how it was
// sent. Base may go on with it after the attempt is over.
type wire struct {
	conn atomic.Pointer[string]
	body atomic.Int64
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
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &watchedBody{r.Body, w}
	}
	return r, w
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
	wire *wire
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.wire.body.Add(int64(n))
	return n, err
}
