package classify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// An Error is an answer of Socrata that is not a success, as [Check] read it.
// errors.Is(err, classify.NotFound) and errors.As both see it.
type Error struct {
	Kind      Kind            // the catalogue's row, or Unlisted
	Status    int             // the HTTP status
	Code      string          // the error code as the server spelled it; empty if it gave none
	Message   string          // the server's message, whole; it may repeat what the query contained
	Data      json.RawMessage // the "data" member as it stands in the body; nil if there is none
	RequestID string          // X-Socrata-RequestId, which the portal's support asks for
	Method    string          // of the request
	URL       string          // of the request, as Redact shows it
}

// Check returns nil for a success and for a redirect, and an [*Error] for a
// status of 400 or more and for a 202 whose work is not done. The body stays
// readable, and closing it stays with the caller.
func Check(resp *http.Response) error {
	switch {
	case resp.StatusCode == http.StatusAccepted:
		if ofAccepted(resp.Request, resp) != Pending {
			return nil
		}
	case resp.StatusCode < 400:
		return nil
	}
	f := readBody(resp)
	if f.Code == "" {
		f.Code = resp.Header.Get("X-Error-Code")
	}
	if f.Message == "" {
		f.Message = resp.Header.Get("X-Error-Message")
	}
	e := &Error{
		Kind:      kindOfStatus(resp.StatusCode),
		Status:    resp.StatusCode,
		Code:      f.Code,
		Message:   f.Message,
		Data:      f.Data,
		RequestID: resp.Header.Get("X-Socrata-Requestid"),
	}
	if k, ok := kindOfCode(f.Code); ok {
		e.Kind = k
	}
	if r := resp.Request; r != nil {
		e.Method, e.URL = cmp.Or(r.Method, http.MethodGet), Redact(r.URL)
	}
	return e
}

// Error gives the request, the status, the code, the message, shortened, and
// the request id.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("socrata: ")
	if e.Method != "" {
		fmt.Fprintf(&b, "%s %s: ", e.Method, e.URL)
	}
	fmt.Fprintf(&b, "%d", e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	} else {
		b.WriteString(" " + strings.ToLower(e.title()))
	}
	if e.Message != "" {
		b.WriteString(": " + short(e.Message))
	}
	if e.RequestID != "" {
		b.WriteString(" (request id " + e.RequestID + ")")
	}
	return b.String()
}

func (e *Error) title() string {
	if e.Kind != Unlisted {
		return e.Kind.String()
	}
	return http.StatusText(e.Status)
}

// Unwrap returns the Kind.
func (e *Error) Unwrap() error { return e.Kind }

// short cuts the long tail off a message: a query error repeats the whole
// expanded query after "; position:".
func short(msg string) string {
	const most = 300
	msg, _, _ = strings.Cut(msg, "; position: Map(")
	if len(msg) > most {
		msg = strings.ToValidUTF8(msg[:most], "") + "…"
	}
	return msg
}
