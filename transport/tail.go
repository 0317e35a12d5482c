package transport

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/sodahttp/sodahttp/classify"
)

// tailSize is how much of a body is held back until more of it has come: an
// error object of Socrata's is less than 100 bytes and the message.
const tailSize = 2 << 10

// aheadSize is how much of a body is read at once: fewer and larger reads of
// the connection make up for the time that the hash takes.
const aheadSize = 32 << 10

// blank is the space that JSON has between its values.
const blank = " \t\r\n"

// bom is a byte order mark.
const bom = "\ufeff"

// A tail reads a body ahead, holds back its end and looks for a fault in it.
type tail struct {
	hold  int  // how much is held back, blank space at the end left out; 0 if there is nothing to watch for
	json  bool // what it has to end in depends on what it begins with
	resp  *http.Response
	buf   []byte // read and not delivered
	from  int    // in buf
	off   int64  // of buf in the body
	keep  int    // how much of buf is held back now
	first byte   // of the body, blank space and bom left out; 0 before it has come
	start int64  // where that is in the body
	last  byte   // of what was delivered, blank space left out
	end   error  // of the body
}

// watch decides by the content type whether there is something to watch for.
func (t *tail) watch(resp *http.Response) {
	kind, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	t.resp = resp
	t.json = kind == "application/json" || strings.HasSuffix(kind, "+json")
	wide := strings.HasPrefix(strings.ToLower(params["charset"]), "utf-16") || strings.HasPrefix(strings.ToLower(params["charset"]), "utf-32")
	if (t.json || kind == "text/csv") && !wide && coding(resp.Header) == "" {
		t.hold = tailSize
	}
}

// coding returns the Content-Encoding, empty if it changes nothing.
func coding(h http.Header) string {
	if c := strings.ToLower(strings.Join(h.Values("Content-Encoding"), ",")); c != "identity" {
		return c
	}
	return ""
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
	for t.end == nil && len(t.buf)-t.from <= t.keep {
		t.fill(body)
	}
	ready := t.buf[t.from:]
	if t.end != io.EOF {
		ready = ready[:max(0, len(ready)-t.keep)]
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
	t.drop()
	rest := len(t.buf)
	n, err := body.Read(t.buf[rest:cap(t.buf)])
	t.buf, t.end = t.buf[:rest+n], err
	if t.hold == 0 {
		return
	}
	if t.first == 0 {
		t.begin()
	}
	t.keep = t.hold + len(t.buf) - len(bytes.TrimRight(t.buf, blank))
	if t.end == nil {
		t.keep = min(t.keep, cap(t.buf)/2) // leave room to read more
	}
	if t.end == io.EOF {
		if err := t.fault(); err != nil {
			t.end = err
		}
	}
}

// drop takes out of buf what was delivered.
func (t *tail) drop() {
	if gone := bytes.TrimRight(t.buf[:t.from], blank); len(gone) > 0 {
		t.last = gone[len(gone)-1]
	}
	t.off += int64(t.from)
	t.buf, t.from = t.buf[:copy(t.buf, t.buf[t.from:])], 0
}

// forget drops what was read and not delivered too: it will be read again.
func (t *tail) forget() {
	t.drop()
	t.buf, t.keep, t.end = t.buf[:0], 0, nil
	if t.start >= t.off {
		t.first = 0
	}
}

// begin finds out what the body begins with.
func (t *tail) begin() {
	start := t.buf
	if t.off == 0 {
		if len(start) < len(bom) && t.end == nil {
			return // half of a bom, perhaps
		}
		start = bytes.TrimPrefix(start, []byte(bom))
	}
	if start = bytes.TrimLeft(start, blank); len(start) > 0 {
		t.first, t.start = start[0], t.off+int64(len(t.buf)-len(start))
	}
}

// fault returns what is wrong with a body that ends here, if it can be seen. A
// JSON array or object has to end in its own bracket; whatever else is complete
// at its end shows that it is not. A CSV is not to end in an error of Socrata's.
func (t *tail) fault() error {
	all := bytes.TrimRight(t.buf, blank)
	last := t.last
	if len(all) > 0 {
		last = all[len(all)-1]
	}
	var cut error
	if t.json {
		if t.first != '[' && t.first != '{' {
			return nil
		}
		if last != t.first+2 {
			cut = io.ErrUnexpectedEOF
		}
	}
	opener := last - 2 // in ASCII, ] is [ and 2, and } is { and 2
	if opener != '{' && opener != '[' {
		return cut
	}
	held := max(0, len(all)-tailSize)
	for i := len(all); ; {
		if i = held + bytes.LastIndexByte(all[held:i], opener); i < held || t.json && t.off+int64(i) == t.start {
			return cut
		}
		if !json.Valid(all[i:]) {
			continue
		}
		err := t.said(all[i:])
		switch {
		case t.json && (err != nil || t.nested(all[:i])):
			return cmp.Or(err, io.ErrUnexpectedEOF)
		case err != nil && !isCell(all[:i], all[i:]):
			return err
		}
	}
}

// nested reports whether what follows before is inside of something in JSON, as
// it is not in a sequence of lines with a value each.
func (t *tail) nested(before []byte) bool {
	last := t.last
	if before = bytes.TrimRight(before, blank); len(before) > 0 {
		last = before[len(before)-1]
	}
	return last == ',' || last == ':' || last == '['
}

// isCell reports whether a complete object may be a cell of a CSV whose writer
// puts no quotes around it. Socrata's do, and its errors have lines of their own.
func isCell(before, object []byte) bool {
	before = bytes.TrimRight(before, " ")
	return len(before) > 0 && strings.IndexByte(",;\t|", before[len(before)-1]) >= 0 && bytes.IndexByte(object, '\n') < 0
}

// said returns the error that an object tells of, in one of Socrata's shapes; nil
// if it tells of none. Its members may be of any type.
func (t *tail) said(object []byte) error {
	var o struct{ Error, Message, Code, ErrorCode, Status json.RawMessage }
	if json.Unmarshal(object, &o) != nil {
		return nil
	}
	coded := o.Error == nil && (told(o.ErrorCode) || told(o.Code) && told(o.Message))
	if !told(o.Error) && !coded {
		return nil
	}
	status, _ := strconv.Atoi(strings.Trim(cmp.Or(string(o.Status), string(o.Code)), `"`))
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	return t.failure(object, status)
}

// told reports whether a member says something.
func told(member json.RawMessage) bool {
	switch string(member) {
	case "", "null", "false", `"false"`, `""`, "0", "{}", "[]":
		return false
	}
	return true
}

// failure makes an error of what the body ended in.
func (t *tail) failure(object []byte, status int) error {
	return classify.Check(&http.Response{
		StatusCode: status,
		Header:     http.Header{"X-Socrata-Requestid": t.resp.Header["X-Socrata-Requestid"]},
		Body:       io.NopCloser(bytes.NewReader(bytes.Clone(object))),
		Request:    t.resp.Request,
	})
}

// A lasting body repeats its error. A Reader may say one once, with the last
// bytes, and be at its end after that; but who takes the bytes asks again.
type lasting struct {
	io.ReadCloser
	err error
}

func (l *lasting) Read(p []byte) (n int, err error) {
	if l.err == nil {
		n, l.err = l.ReadCloser.Read(p)
	}
	return n, l.err
}
