package sodatest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
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
func quoteJSON(v any) string { return string(appendJSON(nil, v)) }

// appendJSON appends v as JSON. What has no JSON is null.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nested:
		return append(b, v.json...)
	case string:
		if isPlain(v) { // most of all data is
			return append(append(append(b, '"'), v...), '"')
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return append(b, "null"...)
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// isPlain tells whether s is the same in JSON.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
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
