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
// may not. The path is shown up to what looks like a query or another URL in it,
// and without the ticket of a job. A nil u gives an empty string.
func Redact(u *url.URL) string {
	if u == nil {
		return ""
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	text := shown.String()
	if path, rest := cutPath(u.Path); rest != "" {
		shown.Path, shown.RawPath = path, ""
		text = shown.String() + hidden
	} else if ticketIn(u.Path) != "" {
		text = hideTicket(text)
	}
	if u.RawQuery == "" {
		return text
	}
	return text + "?" + redactQuery(u.RawQuery)
}

// cutPath splits a path before what is none of it any more: a query whose
// question mark was escaped, parameters, another URL, or a ticket in these.
func cutPath(path string) (shown, rest string) {
	end := strings.IndexAny(path, "?;#&=")
	if end < 0 {
		end = len(path)
	}
	if i := strings.Index(path, "://"); i >= 0 && i < end {
		end = i
	}
	if i := strings.IndexByte(path, '%'); i >= 0 && i < end { // it was escaped twice
		end = i
	}
	if i := strings.Index(path[:end], ticketPath); i >= 0 && end < len(path) {
		end = i + len(ticketPath)
	}
	return path[:end], path[end:]
}

// ticketPath is what a job's ticket follows in the path of a poll.
const ticketPath = "/ticket/"

// ticketIn returns the ticket in a path, or in the text of a URL.
func ticketIn(path string) string {
	_, rest, _ := strings.Cut(path, ticketPath)
	ticket, _, _ := strings.Cut(rest, "/")
	return ticket
}

// hideTicket hides the ticket in a path, or in the text of a URL.
func hideTicket(path string) string {
	before, rest, found := strings.Cut(path, ticketPath)
	ticket, after, more := strings.Cut(rest, "/")
	if !found || ticket == "" {
		return path
	}
	path = before + ticketPath + hidden
	if more {
		path += "/" + after
	}
	return path
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
