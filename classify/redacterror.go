package classify

import (
	"fmt"
	"net/textproto"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// RedactError returns err with each URL in its text as [Redact] shows it. It is
// for the *url.Error that an http.Client puts around every error, which prints
// the whole URL: that comes back as a copy. Any other error comes back as it is
// if there is nothing to hide, and otherwise wrapped, for errors.Is, errors.As,
// Timeout and Temporary as before; what is then unwrapped from it is the
// original. The URL of a *url.Error is known, and found in whatever it wraps.
// Any other ends at a space, and what follows that is shown, unless it looks
// like parameters. A secret that stands in the text outside of URLs and queries
// is not known for one. A nil err gives nil.
func RedactError(err error) error {
	clean, _ := redactError(err, nil)
	return clean
}

// redactError also reports whether there was something to hide. It knows of the
// URLs that may be in the text.
func redactError(err error, known []string) (clean error, changed bool) {
	if err == nil {
		return nil, false
	}
	if ue, ok := err.(*url.Error); ok && ue != nil {
		shown := redactURL(ue.URL)
		inner, changed := redactError(ue.Err, append(known[:len(known):len(known)], ue.URL))
		if !changed && shown == ue.URL {
			return err, false
		}
		return &url.Error{Op: ue.Op, URL: shown, Err: inner}, true
	}
	text := err.Error()
	shown := redactParts(text, err)
	for _, u := range known {
		shown = redactKnown(shown, u)
	}
	if shown = redactText(shown); shown != text {
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
	if _, rest := cutPath(u.Path); rest == "" && ticketIn(u.Path) == "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == "" && u.Opaque == "" {
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
			text = redactKnown(text, e.URL)
		case textproto.ProtocolError: // may have a line of the response's header
			if what, line, ok := strings.Cut(string(e), ": "); ok && line != "" {
				text = strings.ReplaceAll(text, string(e), what+": "+hidden)
			}
		}
		return false
	})
	return text
}

// redactKnown hides what is not to be shown of a URL that is known, and may
// stand in text: whole, or from the path on, or its query alone, and decoded.
func redactKnown(text, known string) string {
	shown := redactURL(known)
	text = strings.ReplaceAll(text, fmt.Sprintf("%q", known), fmt.Sprintf("%q", shown))
	if len(known) < 8 { // any text has that
		return text
	}
	text = strings.ReplaceAll(text, known, shown)
	u, err := url.Parse(known)
	if err != nil || len(u.RawQuery) < 8 {
		return text
	}
	text = strings.ReplaceAll(text, u.String(), shown)
	query := redactQuery(u.RawQuery)
	text = strings.ReplaceAll(text, u.RawQuery, query)
	if plain, err := url.QueryUnescape(u.RawQuery); err == nil {
		text = strings.ReplaceAll(text, plain, query)
		quoted := fmt.Sprintf("%q", plain)
		text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], query)
	}
	return text
}

// redactText hides what is not to be shown of the URLs and queries in text, a
// word at a time.
func redactText(text string) string {
	var b strings.Builder
	for quoted := false; text != ""; {
		end := wordEnd(text, quoted)
		if end == 0 {
			_, end = utf8.DecodeRuneInString(text)
			b.WriteString(text[:end])
			quoted = text[:end] == `"`
		} else {
			b.WriteString(redactWord(text[:end]))
			quoted = false
		}
		text = text[end:]
	}
	return b.String()
}

// wordEnd returns how long the word is that text begins with. Queries of SoQL
// are full of what ends a URL elsewhere, so once there is a question mark, it is
// a space that does, or a quotation mark if one came before the word.
func wordEnd(text string, quoted bool) int {
	query := false
	for i, r := range text {
		switch {
		case r == '?':
			query = true
		case unicode.IsSpace(r),
			!query && (unicode.IsControl(r) || strings.ContainsRune("\"`<>", r)),
			quoted && r == '"' && text[i-1] != '\\':
			return i
		}
	}
	return len(text)
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
		if !inQuery(word[:from]) {
			return redactWord(word[:from]) + redactURL(word[from:]) + tail
		}
	}
	path, query, ok := strings.Cut(word, "?")
	if ok && (strings.Contains(query, "=") || query != "" && strings.Contains(path, "/")) {
		return redactUserinfo(hideTicket(path)) + "?" + redactQuery(query) + tail
	}
	if amp := strings.IndexByte(word, '&'); amp >= 0 && strings.Contains(word[amp:], "=") {
		return redactQuery(word) + tail
	}
	for _, name := range secretParams {
		in := folded(word, name)
		if strings.Contains(in, name+"=") {
			return redactQuery(word) + tail
		}
		if strings.Contains(in, name+"%3d") || strings.Contains(in, name+"%3D") {
			return hidden + tail
		}
	}
	return redactUserinfo(hideTicket(word)) + tail
}

// inQuery reports whether what follows before is the value of a parameter, or
// part of it, even if it looks like the scheme of a URL.
func inQuery(before string) bool {
	if strings.ContainsAny(before, "?&") {
		return strings.Contains(before, "=")
	}
	for _, name := range secretParams {
		if strings.Contains(folded(before, name), name+"=") {
			return true
		}
	}
	return false
}

// folded returns word as it is searched for a secret parameter.
func folded(word, name string) string {
	if name == "code" { // which is a common word: statusCode=500
		return word
	}
	return strings.ToLower(word)
}

// redactUserinfo hides what stands before an @ of a URL without a scheme.
func redactUserinfo(word string) string {
	at := strings.LastIndexByte(word, '@')
	if at < 0 {
		return word
	}
	from := 0
	if i := strings.Index(word[:at], "//"); i >= 0 {
		from = i + 2
	} else if !strings.Contains(word[:at], ":") {
		return word // an address, or a version
	}
	return word[:from] + hidden + word[at:]
}

func isSchemeByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '-'
}
