package sodatest

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Reply is one answer of the server, right or wrong. The zero Reply is the
// answer that the server gives without any script. All fields may be combined.
type Reply struct {
	// Status 0 keeps the server's own answer: the request is carried out, a write
	// is stored, the limits apply, and the other fields change what is sent; or it
	// is the status that belongs to Code or Ticket. Status 200 without a body is
	// the server's own data, whatever the limits say. With any other Status the
	// request is not carried out.
	Status int

	// Code is the error code. It decides the shape of the body: hyphens or dots
	// make soda-fountain's {"message","errorCode","data"}, anything else the core's
	// {"code","error","message"}. An error without Code and Body is
	// {"error":true,"message"}.
	Code    string
	Message string // default: what Socrata says for Code, else the text of Status

	Header     map[string]string // set last, over everything; an empty value removes the header
	Body       string            // instead of any other body, verbatim, and not compressed unless Gzip
	RetryAfter string            // the Retry-After header, verbatim
	Location   string            // the Location header, verbatim
	Ticket     string            // the body of a 202 with this ticket; a GET with it leads to the server's own answer, after Polls

	Delay time.Duration // before the answer, besides Latency

	// Cut breaks the connection after so many bytes of the body, 0 means not. What
	// is cut is not compressed unless Gzip. If the body is shorter it arrives
	// complete, but its end does not.
	Cut int

	// Drop reads the whole request, then closes the connection without an answer.
	// With Status 0 the request was carried out. Note that an *http.Transport sends
	// a GET again by itself if a connection that it had used before is closed on it,
	// and nobody sees the drop; the repeat takes the next reply. To see each one, use
	// every connection once:
	//
	//	tr := srv.Transport().Clone()
	//	tr.DisableKeepAlives = true
	Drop bool

	Reset   bool // Cut and Drop reset the connection (ECONNRESET) instead of closing it; in TCP, bytes on their way may be lost
	Early   bool // answer without reading the request's body; if it has one, then close the connection
	Endless bool // after the body a byte every 50 ms, until the client leaves or the server is closed
	InBand  bool // the body lacks its end and has Socrata's {"error":true,...,"status":500} there
	Gzip    bool // compress the body and say so, even if the client cannot read it
	Bytes   int  // a body of so many bytes of HTML, instead of any other
}

// Replies has the first requests answered by replies, one each, in the order in
// which requests arrive.
func Replies(replies ...Reply) Option { return func(s *Server) { s.Script(replies...) } }

// Script appends replies, which the next requests get, one each, once earlier ones
// are used up. Requests beyond the script get the server's own answer, or what its
// models make of them.
func (s *Server) Script(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, replies...)
}

// HTML returns the error page that nginx, in front of Socrata, has for status.
func HTML(status int) Reply {
	text := http.StatusText(status)
	switch status { // where nginx has words of its own
	case http.StatusRequestTimeout:
		text = "Request Time-out"
	case http.StatusServiceUnavailable:
		text = "Service Temporarily Unavailable"
	case http.StatusGatewayTimeout:
		text = "Gateway Time-out"
	}
	title := strconv.Itoa(status) + " " + text
	return Reply{Status: status, Body: "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"}
}

// own reports whether r leaves the answer to the server.
func (r Reply) own() bool { return r.Status == 0 && r.Code == "" && r.Ticket == "" }

// over returns base changed by r, which keeps the server's own answer.
func (r Reply) over(base Reply) Reply {
	header := maps.Clone(base.Header)
	if header == nil {
		header = map[string]string{}
	}
	maps.Copy(header, r.Header)
	base.Header = header
	base.Body = or(r.Body, base.Body)
	base.RetryAfter = or(r.RetryAfter, base.RetryAfter)
	base.Location = or(r.Location, base.Location)
	base.Message = or(r.Message, base.Message)
	base.Delay += r.Delay
	base.Cut = or(r.Cut, base.Cut)
	base.Bytes = or(r.Bytes, base.Bytes)
	base.Drop = base.Drop || r.Drop
	base.Reset = base.Reset || r.Reset
	base.Early = base.Early || r.Early
	base.Endless = base.Endless || r.Endless
	base.InBand = base.InBand || r.InBand
	base.Gzip = base.Gzip || r.Gzip
	return base
}

// or returns a, or b if a is zero.
func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// answer is what r says by itself; r is not the server's own answer.
func (r Reply) answer(path string) *answer {
	known := codes[r.Code]
	status := or(r.Status, known.status)
	switch {
	case r.Ticket != "":
		return acceptedAnswer(or(r.Status, http.StatusAccepted), r.Ticket, "")
	case r.Code == "accepted":
		return acceptedAnswer(or(r.Status, http.StatusAccepted), sampleTicket, "")
	case status == 0: // a code of the user's own
		status = http.StatusInternalServerError
	case status < 100 || status > 999: // net/http would panic
		status = http.StatusInternalServerError
	}
	if r.Code != "" || status >= 400 {
		message := or(r.Message, or(known.message, http.StatusText(status)))
		data, id := known.data, datasetID(path)
		if id == "" && strings.Contains(data, "{id}") {
			data = ""
		}
		return errorAnswer(status, r.Code, message, strings.ReplaceAll(data, "{id}", id))
	}
	return &answer{status: status, header: http.Header{}}
}

// dress changes a as r says, whosever answer a is.
func (r Reply) dress(a *answer) {
	switch {
	case r.Body != "":
		a.verbatim(r.Body)
	case r.Bytes > 0:
		a.verbatim(filler(r.Bytes))
	}
	if r.InBand {
		a.endInBand()
	}
	if r.RetryAfter != "" {
		a.header.Set("Retry-After", r.RetryAfter)
	}
	if r.Location != "" {
		a.header.Set("Location", r.Location)
	}
}

// filler returns n bytes that begin like an HTML page.
func filler(n int) string {
	const line = "<p>The page you are looking for is temporarily unavailable.</p>\n"
	page := "<html>\n" + strings.Repeat(line, n/len(line)+1)
	return page[:n]
}
