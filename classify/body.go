package classify

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// fields is what Socrata's services say in an error or a 202, whatever shape
// the service gives it.
type fields struct {
	Code    string          // code, errorCode or X-Error-Code
	Message string          // message, a string error, reason or description
	Data    json.RawMessage // data, as it stands in the body
	Ticket  string
	Failed  bool // "error": true
}

// read returns what resp says, with X-Error-Code deciding as a code in the
// body does; the body is left alone if the header suffices.
func read(resp *http.Response) fields {
	if code := resp.Header.Get("X-Error-Code"); code != "" {
		return fields{Code: code, Message: resp.Header.Get("X-Error-Message")}
	}
	return readBody(resp)
}

// readAll returns what the header and the body say together. As in read, the
// code of the header comes first.
func readAll(resp *http.Response) fields {
	f := readBody(resp)
	f.Code = cmp.Or(resp.Header.Get("X-Error-Code"), f.Code)
	f.Message = cmp.Or(f.Message, resp.Header.Get("X-Error-Message"))
	return f
}

func readBody(resp *http.Response) fields {
	start := peek(resp)
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") && !resp.Uncompressed {
		start = gunzip(start)
	}
	return parse(start)
}

// gunzip returns what can be had of a gzip body that may be cut, and no more
// than is ever looked at. What is not gzip at all is returned as it is.
func gunzip(b []byte) []byte {
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return b
	}
	out, _ := io.ReadAll(io.LimitReader(zr, peekSize)) // a cut end is no reason to forget the start
	return out
}

// parse reads the members of a JSON object one by one, so that a body that is
// cut or broken further on still gives those before. A bare JSON string is a
// message.
func parse(b []byte) (f fields) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return f
	}
	if b[0] == '"' {
		f.Message = text(b)
	}
	if b[0] != '{' {
		return f
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.Token() // the brace seen above
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		var v json.RawMessage
		if dec.Decode(&v) != nil {
			break
		}
		key, _ := name.(string)
		f.set(key, v)
	}
	return f
}

func (f *fields) set(name string, v json.RawMessage) {
	switch name {
	case "code", "errorCode":
		f.Code = cmp.Or(text(v), f.Code)
	case "message":
		f.Message = cmp.Or(text(v), f.Message)
	case "error": // true, or a string that says what went wrong
		s := text(v)
		f.Failed = s != "" || string(v) == "true"
		f.Message = cmp.Or(f.Message, s)
	case "reason", "description":
		f.Message = cmp.Or(f.Message, text(v))
	case "data":
		f.Data = v
	case "ticket":
		f.Ticket = text(v)
	}
}

// text returns the JSON string v, or "" if it is something else.
func text(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}
