package sodatest

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.running.Add(1)
	defer s.running.Done()
	rec, reply, leave := s.arrive(r)
	defer leave()
	if !reply.Early && !s.readBody(rec, r) {
		hangUp(w, false) // nobody is there for an answer
		return
	}
	a, seq := s.prepare(r, rec.Body, reply)
	if !s.sleep(r, s.wait()+reply.Delay) {
		hangUp(w, false)
		return
	}
	leave()
	if reply.Drop {
		hangUp(w, reply.Reset)
		return
	}
	a.zip(r, reply)
	a.common(r, seq)
	for k, v := range reply.Header {
		if a.header.Set(k, v); v == "" {
			a.header[http.CanonicalHeaderKey(k)] = nil
		}
	}
	if reply.Cut == 0 {
		s.answered(rec, a.status)
	}
	a.send(w, r, reply, s.done)
}

// prepare works out the answer, and carries the request out if that is asked for.
func (s *Server) prepare(r *http.Request, body []byte, reply Reply) (*answer, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a *answer
	switch {
	case reply.own():
		a = s.carryOut(r, body)
	case reply.Status == http.StatusOK && reply.Code == "" && reply.Ticket == "" && reply.Body == "" && reply.Bytes == 0:
		if a = s.own(r, body); a.status/100 != 2 {
			a = &answer{header: http.Header{"Content-Type": {jsonType}}, body: []byte("[]\n")}
		}
		a.status = http.StatusOK
	default:
		s.scripted(r, body, reply)
		a = reply.answer(r.URL.Path)
	}
	reply.dress(a)
	s.made++
	return a, s.made
}

// wait returns the latency of one answer.
func (s *Server) wait() time.Duration {
	if s.latency == nil {
		return 0
	}
	s.latencyMu.Lock()
	defer s.latencyMu.Unlock()
	return s.latency()
}

// sleep waits for d. It reports false if the client has left, or the server closes.
func (s *Server) sleep(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.done:
	}
	return false
}

// send writes the answer as reply says.
func (a *answer) send(w http.ResponseWriter, r *http.Request, reply Reply, done <-chan struct{}) {
	h, broken := w.Header(), reply.Cut > 0 || reply.Endless
	for k, v := range a.header {
		h[k] = v
	}
	if reply.Early && r.ContentLength != 0 {
		// Without this net/http reads up to 256 KiB of the body before it answers.
		http.NewResponseController(w).EnableFullDuplex()
		h.Set("Connection", "close")
	}
	switch {
	case a.sized && !broken:
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	case h.Get("Content-Length") == "": // the reply's Header may claim one
		h.Set("Transfer-Encoding", "chunked") // for short bodies net/http would count
	}
	body := a.body
	if reply.Cut > 0 {
		body = body[:min(reply.Cut, len(body))]
	}
	w.WriteHeader(a.status)
	w.Write(body)
	if reply.Endless {
		drip(w, r, done)
	}
	if broken {
		http.NewResponseController(w).Flush()
		hangUp(w, reply.Reset)
	}
}

// drip sends a byte every 50 ms until the client leaves.
func drip(w http.ResponseWriter, r *http.Request, done <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		w.Write([]byte(" "))
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-done:
			return
		}
	}
}

// hangUp closes the connection under w, or resets it.
func hangUp(w http.ResponseWriter, reset bool) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if reset {
		switch c := c.(type) {
		case *net.TCPConn:
			c.SetLinger(0)
		case *pipeConn:
			c.resetOnClose()
		}
	}
	c.Close()
}
