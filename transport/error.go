package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sodahttp/sodahttp/classify"
)

// An Error is why there is no response, when something was done about it: there
// was more than one attempt, or there would have been. It unwraps to the last
// attempt's error, or to the cause of the context's end.
type Error struct {
	Err     error     // as classify.RedactError shows it
	History []Attempt // the last 99 and the first; at least one
}

// Error gives the number of attempts, the last error and why there was no
// further attempt. The *url.Error that an http.Client puts around it shows the
// whole URL; classify.RedactError hides what is not to be shown of that.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sodahttp: ")
	if n := len(e.History); n > 1 {
		fmt.Fprintf(&b, "after %d attempts: ", e.History[n-1].N)
	}
	if e.Err == nil {
		return "sodahttp: no response"
	}
	b.WriteString(trimmed(e.Err))
	if n := len(e.History); n > 0 {
		last := e.History[n-1]
		if last.Why != "" {
			b.WriteString(": " + last.Why)
		}
		if last.Status != 0 && !errors.As(e.Err, new(*classify.Error)) {
			fmt.Fprintf(&b, " (last answer: %d)", last.Status)
		}
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the last error was a timeout, as url.Error asks.
func (e *Error) Timeout() bool { return timedOut(e.Err) }

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// MarshalJSON returns the members "error", with the text, and "history".
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Error   string    `json:"error"`
		History []Attempt `json:"history"`
	}{e.Error(), e.History})
}

// redacted is err as classify.RedactError shows it, whose text may have the URL
// of the request that was sent.
func redacted(err error, sent *http.Request) error {
	if err == nil {
		return nil
	}
	return classify.RedactError(&url.Error{URL: sent.URL.String(), Err: err}).(*url.Error).Err
}

// errorText is err's text with its URLs redacted.
func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return classify.RedactError(err).Error()
}

// trimmed is errorText within another text of ours.
func trimmed(err error) string { return strings.TrimPrefix(errorText(err), "sodahttp: ") }
