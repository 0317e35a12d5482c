package classify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// An Error is an answer of Socrata that is not a success, as [Check] read it.
// errors.Is(err, classify.NotFound) and errors.As both see it. Where the server
// repeats a credential of the request, *** stands in its place.
type Error struct {
	Kind      Kind            // the catalogue's row, or Unlisted
	Status    int             // the HTTP status
	Code      string          // the error code as the server spelled it; empty if it gave none
	Message   string          // the server's message, whole; it may repeat the query
	Data      json.RawMessage // the "data" member as it stands in the body; nil if there is none
	RequestID string          // X-Socrata-RequestId, which the portal's support asks for; empty if absent
	Method    string          // of the request; empty if the response does not know it
	URL       string          // of the request, as Redact shows it
}

// Check returns nil for a success and for a redirect, and an [*Error] for a
// status of 400 or more, for a [Pending] 202, whose work is not done, and for
// one that says its work has failed. A code decides its Kind, else the status.
// Check reads the body as [Of] does: it stays readable from its start, and
// closing it stays with the caller. Of a nil resp, which comes with an error of
// its own, there is nothing to say, and so the result is nil.
func Check(resp *http.Response) error {
	if resp == nil {
		return nil
	}
	kind := kindOfStatus(resp.StatusCode)
	switch {
	case resp.StatusCode == http.StatusAccepted:
		var o Outcome
		if f := o.accepted(resp.Request, resp); f.Failed {
			kind = Unlisted
		} else if o.Class != Pending {
			return nil
		}
	case resp.StatusCode < 400:
		return nil
	}
	f := readAll(resp)
	e := &Error{
		Kind:      kind,
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
		e.Code, e.Message = withoutCredentials(f.Code, r), withoutCredentials(f.Message, r)
		e.Data = dataWithoutCredentials(f.Data, r)
	}
	return e
}

// AppTokenRefused reports whether the application token was not a valid one:
// Socrata answers that with a 403, to requests for public data too. Another
// attempt with the same token fails alike; one without a token reads what is
// public.
func (e *Error) AppTokenRefused() bool {
	return e.Status == http.StatusForbidden && strings.Contains(strings.ToLower(e.Message), "invalid app_token")
}

// Error gives, on one line, the request, the status, the code (or the name of
// the status), the first 300 bytes of the message, and the request id.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("socrata: ")
	if e.Method != "" {
		fmt.Fprintf(&b, "%s %s: ", e.Method, e.URL)
	}
	fmt.Fprintf(&b, "%d", e.Status)
	if e.Code != "" {
		b.WriteString(" " + short(e.Code, 100))
	} else if t := e.title(); t != "" {
		b.WriteString(" " + strings.ToLower(t))
	}
	if msg, _, _ := strings.Cut(e.Message, "; position: Map("); msg != "" { // the whole query follows
		b.WriteString(": " + short(msg, 300))
	}
	if e.AppTokenRefused() {
		b.WriteString("; the application token is not valid, and a request without it may succeed")
	}
	if e.RequestID != "" {
		b.WriteString(" (request id " + short(e.RequestID, 100) + ")")
	}
	return b.String()
}

func (e *Error) title() string {
	if e.Kind != Unlisted {
		return e.Kind.String()
	}
	if e.Status == http.StatusAccepted {
		return "job failed"
	}
	return http.StatusText(e.Status)
}

// MarshalJSON returns the members "kind", "code", "status", "message",
// "request_id", "method" and "url". Those without a value are left out. As the
// message may repeat the query, it is not for every log.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind      Kind   `json:"kind,omitzero"`
		Code      string `json:"code,omitzero"`
		Status    int    `json:"status,omitzero"`
		Message   string `json:"message,omitzero"`
		RequestID string `json:"request_id,omitzero"`
		Method    string `json:"method,omitzero"`
		URL       string `json:"url,omitzero"`
	}{e.Kind, e.Code, e.Status, e.Message, e.RequestID, e.Method, e.URL})
}

// Unwrap returns the Kind, for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }

// short returns s on one line and of at most so many bytes.
func short(s string, most int) string {
	more := ""
	if len(s) > most {
		s, more = s[:most], "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "")) + more
}
