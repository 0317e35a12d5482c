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

// Error gives the number of attempts that were sent, the last error, why there
// was no further attempt, and what came of the last that was sent, if that is
// something else. The *url.Error that an http.Client puts around it shows the
// whole URL; classify.RedactError hides what is not to be shown of that.
func (e *Error) Error() string {
	if e.Err == nil {
		return "sodahttp: no response"
	}
	var b strings.Builder
	b.WriteString("sodahttp: ")
	last, held := e.lastSent()
	if last.N > 1 {
		fmt.Fprintf(&b, "after %d attempts: ", last.N)
	}
	b.WriteString(trimmed(e.Err))
	if n := len(e.History); n > 0 && e.History[n-1].Why != "" {
		b.WriteString(": " + e.History[n-1].Why)
	}
	switch {
	case last.Status != 0 && !errors.As(e.Err, new(*classify.Error)):
		fmt.Fprintf(&b, " (last answer: %d)", last.Status)
	case held && last.Err != nil:
		fmt.Fprintf(&b, " (last error: %s)", trimmed(last.Err))
	}
	return b.String()
}

// lastSent returns the last attempt that was sent, the zero Attempt if none was,
// and whether one more was held back for good.
func (e *Error) lastSent() (a Attempt, held bool) {
	n := len(e.History)
	if n > 0 && e.History[n-1].held() {
		n, held = n-1, true
	}
	if n > 0 {
		a = e.History[n-1]
	}
	return a, held
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
