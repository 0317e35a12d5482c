package transport

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sodahttp/sodahttp/classify"
)

// A BodyError is why the body of a 200 cannot be had whole. It unwraps to the
// first error of reading it, and to the last one.
type BodyError struct {
	Good    int64 // how many bytes were delivered; they are right
	Changed bool  // the server has other data now: begin again
	Tries   int   // how often it was asked for again since enough had come; see Resume.MaxAttempts
	Err     error // the first error of reading
	Last    error // what ended the attempts to go on; an *Error if they were given up
}

// newBodyError returns the end of a body whose reading failed with first and
// could not go on because of last.
func newBodyError(good int64, tries int, first, last error) *BodyError {
	return &BodyError{
		Good:    good,
		Changed: errors.As(last, new(*changedError)),
		Tries:   tries,
		Err:     classify.RedactError(first),
		Last:    classify.RedactError(last),
	}
}

// Error tells how many bytes were good, and why there are no more.
func (e *BodyError) Error() string {
	text := fmt.Sprintf("sodahttp: the body was cut after %d good bytes (%s)", e.Good, trimmed(e.Err))
	switch {
	case e.Changed:
		text += ", and the data has changed since"
	case e.Tries == 1:
		text += "; asked again once without enough more"
	case e.Tries > 1:
		text += fmt.Sprintf("; asked again %d times without enough more", e.Tries)
	}
	if e.Last != nil {
		text += ": " + trimmed(e.Last)
	}
	return text
}

// Unwrap returns Err and Last.
func (e *BodyError) Unwrap() []error {
	if e.Last == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Last}
}

// MarshalJSON returns the members "error", with the text, "good_bytes",
// "changed" and "tries".
func (e *BodyError) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Error   string `json:"error"`
		Good    int64  `json:"good_bytes"`
		Changed bool   `json:"changed"`
		Tries   int    `json:"tries"`
	}{e.Error(), e.Good, e.Changed, e.Tries})
}
