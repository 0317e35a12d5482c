package classify

import (
	"net/url"
	"strings"
)

// Redact returns u as logs and errors may show it: scheme, host, path and the
// names of the parameters, with values only where they can hold no secret and
// nobody's data ($limit, $offset and their like, if they are numbers). All else
// in the query becomes ***, a name too that could be a token in the wrong place.
// Userinfo and fragment are left out. It works by what may be shown, not by what
// may not; the path is shown whole. A nil u gives an empty string.
func Redact(u *url.URL) string {
	if u == nil {
		return ""
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.RawQuery == "" {
		return shown.String()
	}
	return shown.String() + "?" + redactQuery(u.RawQuery)
}

func redactQuery(query string) string {
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		parts = append(parts, redactParam(part))
	}
	return strings.Join(parts, "&")
}

const hidden = "***"

func redactParam(part string) string {
	name, value, ok := strings.Cut(part, "=")
	plain, err := url.QueryUnescape(name)
	if !ok || err != nil || !isName(plain) {
		return hidden
	}
	if isShown(plain) && isNumber(value) {
		return plain + "=" + value
	}
	return plain + "=" + hidden
}

// isShown reports whether the value of a parameter is shown, being a number.
func isShown(name string) bool {
	switch name {
	case "$limit", "$offset", "limit", "offset", "pageNumber", "pageSize", "$$query_timeout_seconds":
		return true
	}
	return false
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}

// isName reports whether s looks like a parameter's or a column's name, and not
// like a token: those have 20 letters and digits and more in a row.
func isName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	run := 0
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9':
			run++
		case strings.ContainsRune("$_:@.", r):
			run = 0
		default:
			return false
		}
		if run >= 20 {
			return false
		}
	}
	return true
}
