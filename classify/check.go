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
// errors.Is(err, classify.NotFound) and errors.As both see it.
type Error struct {
	Kind      Kind            // the catalogue's row, or Unlisted
	Status    int             // the HTTP status
	Code      string          // the error code as the server spelled it; empty if it gave none
	Message   string          // the server's message, whole; it may repeat the query, but no credential of the request
	Data      json.RawMessage // the "data" member as it stands in the body, unredacted; nil if there is none
	RequestID string          // X-Socrata-RequestId, which the portal's support asks for; empty if absent
	Method    string          // of the request; empty if the response does not know it
	URL       string          // of the request, as Redact shows it
}

// Check returns nil for a success and for a redirect, and an [*Error] for a
// status of 400 or more, for a [Pending] 202, whose work is not done, and for
// one that says its work has failed. A code decides its Kind, else the status. Check reads the body as [Of] does: it stays
// readable from its start, and closing it stays with the caller.
func Check(resp *http.Response) error {
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
		e.Message = withoutCredentials(f.Message, r)
	}
	return e
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

// withoutCredentials returns msg with the credentials of r, which a server may
// repeat, blanked out.
func withoutCredentials(msg string, r *http.Request) string {
	var secrets []string
	for name, values := range r.Header {
		switch http.CanonicalHeaderKey(name) {
		case "X-App-Token":
			secrets = append(secrets, values...)
		case "Authorization", "Authentication":
			for _, v := range values {
				_, after, found := strings.Cut(v, " ") // a scheme, mostly
				if secrets = append(secrets, after); !found {
					secrets = append(secrets, v)
				}
			}
		}
	}
	for _, c := range r.Cookies() {
		secrets = append(secrets, c.Value)
	}
	if _, pass, ok := r.BasicAuth(); ok {
		secrets = append(secrets, pass)
	}
	if r.URL != nil {
		q := r.URL.Query()
		for _, name := range []string{"$$app_token", "app_token", "access_token", "client_secret", "ticket"} {
			secrets = append(secrets, q[name]...)
		}
		if pass, ok := r.URL.User.Password(); ok {
			secrets = append(secrets, pass)
		}
	}
	for _, secret := range secrets {
		if len(secret) >= 8 { // a shorter one is no token, and may be part of any word
			msg = strings.ReplaceAll(msg, secret, hidden)
		}
	}
	return msg
}
