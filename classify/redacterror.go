package classify

import (
	"fmt"
	"net/textproto"
	"net/url"
	"strings"
	"unicode"
)

// RedactError returns err with each URL in its text as [Redact] shows it. It is
// for the *url.Error that an http.Client puts around every error, which prints
// the whole URL: that comes back as a copy. Any other error comes back as it is
// if there is nothing to hide, and otherwise wrapped, for errors.Is, errors.As,
// Timeout and Temporary as before; what is then unwrapped from it is the
// original. A secret that stands in the text outside of URLs and queries is not
// known for one. A nil err gives nil.
func RedactError(err error) error {
	clean, _ := redactError(err)
	return clean
}

// redactError also reports whether there was something to hide.
func redactError(err error) (clean error, changed bool) {
	if err == nil {
		return nil, false
	}
	if ue, ok := err.(*url.Error); ok && ue != nil {
		shown := redactURL(ue.URL)
		inner, changed := redactError(ue.Err)
		if !changed && shown == ue.URL {
			return err, false
		}
		return &url.Error{Op: ue.Op, URL: shown, Err: inner}, true
	}
	text := err.Error()
	if shown := redactText(redactParts(text, err)); shown != text {
		return &redactedError{err, shown}, true
	}
	return err, false
}

// A redactedError is an error with another text.
type redactedError struct {
	err  error
	text string
}

func (e *redactedError) Error() string    { return e.text }
func (e *redactedError) GoString() string { return fmt.Sprintf("%q", e.text) }
func (e *redactedError) Unwrap() error    { return e.err }

func (e *redactedError) Timeout() bool { return some(e.err, timedOut) }

func (e *redactedError) Temporary() bool {
	return some(e.err, func(err error) bool {
		t, ok := err.(interface{ Temporary() bool })
		return ok && t.Temporary()
	})
}

// redactURL is Redact for a URL that may be none.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return hidden
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" && u.Opaque == "" {
		return s // in its own spelling
	}
	return Redact(u)
}

// redactParts hides in text, err's own, what is known to be in it by the types
// of the errors that err wraps.
func redactParts(text string, err error) string {
	some(err, func(err error) bool {
		switch e := err.(type) {
		case *url.Error:
			shown := redactURL(e.URL)
			text = strings.ReplaceAll(text, fmt.Sprintf("%q", e.URL), fmt.Sprintf("%q", shown))
			if e.URL != "" {
				text = strings.ReplaceAll(text, e.URL, shown)
			}
		case textproto.ProtocolError: // may have a line of the response's header
			if what, line, ok := strings.Cut(string(e), ": "); ok && line != "" {
				text = strings.ReplaceAll(text, string(e), what+": "+hidden)
			}
		}
		return false
	})
	return text
}

// redactText hides what is not to be shown of the URLs and queries in text, a
// word at a time.
func redactText(text string) string {
	if !strings.ContainsAny(text, "?=@#") {
		return text
	}
	var b strings.Builder
	for text != "" {
		end := strings.IndexFunc(text, endsWord)
		if end < 0 {
			end = len(text)
		}
		b.WriteString(redactWord(text[:end]))
		next := end + strings.IndexFunc(text[end:], func(r rune) bool { return !endsWord(r) })
		if next < end { // nothing but separators is left
			next = len(text)
		}
		b.WriteString(text[end:next])
		text = text[next:]
	}
	return b.String()
}

// endsWord reports whether no URL goes on with r. Single quotes and brackets
// are common in the queries of SoQL.
func endsWord(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("\"`<>", r)
}

// redactWord hides what is not to be shown of a word without spaces.
func redactWord(word string) string {
	end := len(strings.TrimRight(word, ".,:;")) // of the sentence, not of the URL
	word, tail := word[:end], word[end:]
	if i := strings.Index(word, "://"); i >= 0 {
		from := i
		for from > 0 && isSchemeByte(word[from-1]) {
			from--
		}
		return redactWord(word[:from]) + redactURL(word[from:]) + tail
	}
	if path, query, ok := strings.Cut(word, "?"); ok && strings.Contains(query, "=") {
		return path + "?" + redactQuery(query) + tail
	}
	for _, name := range secretParams {
		if strings.Contains(word, name+"=") {
			return redactQuery(word) + tail
		}
	}
	return word + tail
}

func isSchemeByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '-'
}
