package sodatest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An answer is a whole response, before it is sent.
type answer struct {
	status int
	header http.Header // Content-Type and what else is the answer's own
	body   []byte
	sized  bool // sent with a Content-Length, as nginx sends its pages; else chunked
	plain  bool // not compressed unless asked to
}

const (
	jsonType    = "application/json; charset=utf-8"
	errorInBand = "{\n  \"error\" : true,\n  \"message\" : \"Internal error\",\n  \"status\" : 500\n}\n"
)

// errorAnswer is an error in the shape that its code asks for. data is JSON or "".
func errorAnswer(status int, code, message, data string) *answer {
	a := &answer{status: status, header: http.Header{
		"Content-Type":  {jsonType},
		"Cache-Control": {"private, no-cache, must-revalidate"},
	}}
	m := quoteJSON(message)
	switch {
	case code == "":
		a.body = fmt.Appendf(nil, "{\n  \"error\" : true,\n  \"message\" : %s\n}\n", m)
	case strings.HasPrefix(code, "soql."): // the new analyzer
		a.body = fmt.Appendf(nil, "{\"code\":%s,\"message\":%s,\"data\":%s}\n", quoteJSON(code), m, or(data, "{}"))
	case strings.ContainsAny(code, "-.") && !coreCodes[code]: // soda-fountain
		a.body = fmt.Appendf(nil, "{\"message\":%s,\"errorCode\":%s,\"data\":%s}\n", m, quoteJSON(code), or(data, "{}"))
	default: // the core
		a.header["X-Error-Code"], a.header["X-Error-Message"] = []string{code}, []string{message}
		tail := ""
		if data != "" {
			tail = ",\n  \"data\" : " + spaced(data)
		}
		a.body = fmt.Appendf(nil, "{\n  \"code\" : %s,\n  \"error\" : true,\n  \"message\" : %s%s\n}\n", quoteJSON(code), m, tail)
	}
	return a
}

// acceptedAnswer is the body of a 202 with a ticket; details is JSON or "".
func acceptedAnswer(status int, ticket, details string) *answer {
	if details != "" {
		details = ",\n  \"details\" : " + spaced(details)
	}
	return &answer{status: status, header: http.Header{"Content-Type": {jsonType}},
		body: fmt.Appendf(nil, "{\n  \"code\" : \"accepted\",\n  \"error\" : false,\n  \"ticket\" : %s%s\n}\n", quoteJSON(ticket), details)}
}

// spaced writes a JSON object as the core does, with a space before the colon.
func spaced(object string) string {
	var m map[string]json.RawMessage
	if json.Unmarshal([]byte(object), &m) != nil || len(m) == 0 {
		return object
	}
	var b bytes.Buffer
	json.Indent(&b, []byte(object), "  ", "  ")
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		if key, value, ok := strings.Cut(line, `": `); ok {
			lines[i] = key + `" : ` + value
		}
	}
	return strings.Join(lines, "\n")
}

// quoteJSON returns v as JSON, without escaping <, > and &.
func quoteJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return "null" // a value that has no JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// verbatim replaces the body. A page of HTML is nginx's: it has a length, and none
// of Socrata's headers.
func (a *answer) verbatim(body string) {
	a.body, a.plain = []byte(body), true
	if strings.HasPrefix(body, "<") {
		a.header, a.sized = http.Header{"Content-Type": {"text/html"}}, true
	} else if a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", jsonType)
	}
}

// endInBand takes the end of the JSON away and puts the error there.
func (a *answer) endInBand() {
	body := bytes.TrimSuffix(bytes.TrimRight(a.body, "\n"), []byte("]"))
	a.body = append(append(bytes.Clone(body), '\n'), errorInBand...)
}

// common adds the headers that everything from Socrata has. The request id is the
// client's if it sent one.
func (a *answer) common(r *http.Request, seq int) {
	a.header.Set("Server", "nginx")
	if a.sized {
		return
	}
	id := r.Header.Get("X-Socrata-RequestId")
	if id == "" {
		rnd := rand.NewPCG(uint64(seq), 0x50c7a7a)
		id = fmt.Sprintf("%016x%016x", rnd.Uint64(), rnd.Uint64())
	}
	for k, v := range map[string]string{
		"Access-Control-Allow-Origin": "*",
		"Age":                         "0",
		"Strict-Transport-Security":   "max-age=31536000; includeSubDomains",
		"X-Socrata-Region":            "aws-us-east-1-fedramp-prod",
		"X-Socrata-Requestid":         id,
	} {
		a.header[k] = []string{v}
	}
	if !strings.HasPrefix(r.URL.Path, "/api/views/") { // the only place that has them
		delete(a.header, "X-Error-Code")
		delete(a.header, "X-Error-Message")
	}
}

var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return z
}}

// zip compresses the body, if asked to or if the client takes it.
func (a *answer) zip(r *http.Request, reply Reply) {
	takes := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	if !a.plain && a.status < 400 {
		a.header.Set("Vary", "Accept-Encoding")
	}
	auto := takes && !a.plain && !reply.Endless && reply.Cut == 0
	if len(a.body) == 0 || !auto && !reply.Gzip {
		return
	}
	var b bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&b)
	z.Write(a.body)
	z.Close()
	a.body = b.Bytes()
	a.header.Set("Content-Encoding", "gzip")
}

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
		a = s.own(r, body)
	case reply.Status == http.StatusOK && reply.Code == "" && reply.Ticket == "" && reply.Body == "" && reply.Bytes == 0:
		if a = s.own(r, body); a.status/100 != 2 {
			a = &answer{header: http.Header{"Content-Type": {jsonType}}, body: []byte("[]\n")}
		}
		a.status = http.StatusOK
	default:
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
	case a.status != http.StatusSwitchingProtocols:
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
