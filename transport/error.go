package transport

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sodahttp/sodahttp/classify"
)

// An Error is why there is no response, when something was done about it: there
// was more than one attempt, or there would have been. It unwraps to the last
// attempt's error, or to the cause of the context's end.
type Error struct {
	Err     error
	History []Attempt // the last 99 and the first; at least one
}

// Error gives the number of attempts, the last error and why there was no
// further attempt. It shows no URL: the *url.Error that http.Client puts around
// it does.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("sodahttp: ")
	if n := len(e.History); n > 1 {
		fmt.Fprintf(&b, "after %d attempts: ", e.History[n-1].N)
	}
	if e.Err == nil {
		return "sodahttp: no response"
	}
	b.WriteString(strings.TrimPrefix(errorText(e.Err), "sodahttp: "))
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
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.As(e.Err, &t) && t.Timeout()
}

// errorText is err's text, with the URLs of each *url.Error in it redacted.
func errorText(err error) string {
	text := err.Error()
	var ue *url.Error
	for ; errors.As(err, &ue); err = ue.Err {
		if ue.URL == "" {
			continue
		}
		shown := "***"
		if u, perr := url.Parse(ue.URL); perr == nil {
			shown = classify.Redact(u)
		}
		text = strings.ReplaceAll(text, ue.URL, shown)
		text = strings.ReplaceAll(text, fmt.Sprintf("%q", ue.URL), fmt.Sprintf("%q", shown))
	}
	return text
}
