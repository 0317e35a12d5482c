package transport

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/sodahttp/sodahttp/classify"
)

// tailSize is how much of a body is held back until more of it has come: an
// error object of Socrata's is less than 100 bytes and the message.
const tailSize = 2 << 10

// aheadSize is how much of a body is read at once: fewer and larger reads of
// the connection make up for the time that the hash takes.
const aheadSize = 32 << 10

// A tail reads a body ahead, holds back its end and looks for an error in it.
type tail struct {
	hold  int  // how much is held back; 0 if there is nothing to watch for
	json  bool // an array, which ends in ] if all is well
	resp  *http.Response
	buf   []byte // read and not delivered
	from  int    // in buf
	first byte   // of the body, space left out; 0 before it has come
	end   error  // of the body
}

// watch decides by the content type whether there is something to watch for.
func (t *tail) watch(resp *http.Response) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	t.resp = resp
	t.json = kind == "application/json" || strings.HasSuffix(kind, "+json")
	if (t.json || kind == "text/csv") && resp.Header.Get("Content-Encoding") == "" {
		t.hold = tailSize
	}
}

// read reads from body what ready would give.
func (t *tail) read(body io.Reader, p []byte) (int, error) {
	if t.hold == 0 && t.end == nil && t.from == len(t.buf) && len(p) >= aheadSize/2 {
		return body.Read(p) // large enough to save the copy
	}
	ready, err := t.ready(body)
	n := copy(p, ready)
	t.from += n
	return n, err
}

// ready reads from body, if need be, and gives what is certainly not part of an
// error at its end. At the end it gives the rest, and then the end or the error.
// What it gives remains to be taken by moving from.
func (t *tail) ready(body io.Reader) ([]byte, error) {
	for t.end == nil && len(t.buf)-t.from <= t.hold {
		t.fill(body)
	}
	ready := t.buf[t.from:]
	if t.end != io.EOF {
		ready = ready[:max(0, len(ready)-t.hold)]
	}
	if len(ready) > 0 {
		return ready, nil
	}
	return nil, t.end
}

// fill reads more.
func (t *tail) fill(body io.Reader) {
	if t.buf == nil {
		t.buf = make([]byte, 0, aheadSize+t.hold)
	}
	rest := copy(t.buf[:cap(t.buf)], t.buf[t.from:])
	t.buf, t.from = t.buf[:rest], 0
	n, err := body.Read(t.buf[rest:cap(t.buf)])
	t.buf, t.end = t.buf[:rest+n], err
	if t.hold > 0 && t.first == 0 {
		if start := bytes.TrimSpace(t.buf); len(start) > 0 {
			t.first = start[0]
		}
	}
	if t.hold > 0 && t.end == io.EOF {
		if err := t.inBand(); err != nil {
			t.end = err
		}
	}
}

// forget drops what was read and not delivered: it will be read again.
func (t *tail) forget() { t.buf, t.from, t.end = t.buf[:0], 0, nil }

// inBand returns the error that the body ends in, if it does: an object with
// "error": true behind an array that was not closed, or behind the last line of
// a CSV, in whose cells quotes are doubled.
func (t *tail) inBand() error {
	held := bytes.TrimRight(t.buf[max(t.from, len(t.buf)-tailSize):], " \t\r\n")
	if !bytes.HasSuffix(held, []byte("}")) || t.json && t.first != '[' {
		return nil
	}
	for i := len(held); ; {
		if i = bytes.LastIndexByte(held[:i], '{'); i < 0 {
			return nil
		}
		var said struct {
			Error   any
			Message string
			Code    string
			Status  int
		}
		if json.Unmarshal(held[i:], &said) == nil && said.Error == true && said.Message+said.Code != "" {
			return t.failure(held[i:], said.Status)
		}
	}
}

// failure makes an error of what the body ended in.
func (t *tail) failure(object []byte, status int) error {
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	resp := &http.Response{
		StatusCode: status,
		Header:     http.Header{"X-Socrata-Requestid": t.resp.Header["X-Socrata-Requestid"]},
		Body:       io.NopCloser(bytes.NewReader(bytes.Clone(object))),
		Request:    t.resp.Request,
	}
	return classify.Check(resp)
}
