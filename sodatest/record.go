package sodatest

import (
	"io"
	"net/http"
	"time"
)

// A Request is what the server received, and what became of it. Header and Body
// are shared by all who ask: they are to be read only.
type Request struct {
	Time     time.Time // when its header had arrived
	Method   string
	Host     string // the host that was asked for, from the URL or the Host header
	Path     string // unescaped
	RawQuery string
	Header   http.Header
	Body     []byte // as far as it was read; nil after an Early reply
	BodyErr  error  // why the body could not be read to its end
	Remote   string // address of the client; it differs for each connection
	Status   int    // answered; 0 if there is no answer yet, and if it was cut off (Drop, Cut, Close)
}

// Requests returns what the server received so far, in the order of arrival. A
// request that is still being answered is there too. When a client has a
// response in hand, its request is there with its Status.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// record notes the arrival of r. s.mu is held.
func (s *Server) record(r *http.Request) *Request {
	rec := &Request{
		Time: time.Now(), Method: r.Method, Host: r.Host, Path: r.URL.Path,
		RawQuery: r.URL.RawQuery, Header: r.Header.Clone(), Remote: r.RemoteAddr,
	}
	s.requests = append(s.requests, rec)
	return rec
}

// readBody reads the whole body of r and notes it. It reports whether the body
// came to its end.
func (s *Server) readBody(rec *Request, r *http.Request) bool {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	rec.Body, rec.BodyErr = body, err
	return err == nil
}

// answered notes the status that rec is answered with.
func (s *Server) answered(rec *Request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec.Status = status
}
