package classify

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// secretParams are the parameters that carry credentials, of Socrata's queries
// and of its OAuth exchange. They are blanked out where a server repeats them;
// what is shown of a URL goes by what may be shown instead.
var secretParams = [...]string{"$$app_token", "app_token", "access_token", "refresh_token", "client_secret", "code", "ticket"}

// withoutCredentials returns what a server said with the credentials of r, which
// it may repeat, blanked out.
func withoutCredentials(said string, r *http.Request) string {
	if said == "" || r == nil {
		return said
	}
	secrets := credentials(r)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may be in another
	for _, secret := range secrets {
		if len(secret) < 8 { // it is no token, and may be part of any word
			continue
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			said = strings.ReplaceAll(said, form, hidden)
			said = strings.ReplaceAll(said, lowerHex(form), hidden)
		}
	}
	return said
}

// lowerHex returns a text with its escapes as some servers write them: %2f.
func lowerHex(escaped string) string {
	b := []byte(escaped)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:i+3], strings.ToLower(string(b[i:i+3])))
		}
	}
	return string(b)
}

// dataWithoutCredentials is withoutCredentials for JSON, where a text can be
// written in many ways: if there is one in a string, all are written anew. What
// is no JSON any more then is left out.
func dataWithoutCredentials(data json.RawMessage, r *http.Request) json.RawMessage {
	said := withoutCredentials(string(data), r)
	if plain := plainJSON(said); plain != "" && withoutCredentials(plain, r) != plain {
		said = withoutCredentials(plain, r)
	}
	if said == "" || !json.Valid([]byte(said)) {
		return nil
	}
	return json.RawMessage(said)
}

// plainJSON returns JSON with as few escapes as can be, or "" if there are none.
func plainJSON(data string) string {
	if !strings.Contains(data, `\`) {
		return ""
	}
	dec := json.NewDecoder(strings.NewReader(data))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return ""
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// credentials returns the credentials of r, wherever they are.
func credentials(r *http.Request) (secrets []string) {
	for name, values := range r.Header {
		switch http.CanonicalHeaderKey(name) {
		case "X-App-Token", "X-Csrf-Token":
			secrets = append(secrets, values...)
		case "Authorization", "Authentication", "Proxy-Authorization":
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
	if r.URL == nil {
		return secrets
	}
	_, rest := cutPath(r.URL.Path) // which some take for a query
	secrets = append(secrets, ticketIn(r.URL.Path))
	secrets = append(secrets, secretValues(r.URL.RawQuery)...)
	secrets = append(secrets, secretValues(strings.TrimLeft(rest, "?;#&"))...)
	if pass, ok := r.URL.User.Password(); ok {
		secrets = append(secrets, pass)
	} else {
		secrets = append(secrets, r.URL.User.Username())
	}
	return secrets
}

// secretValues returns the values of the parameters that carry credentials, in
// whatever case: up to the next &, and up to a semicolon, which some servers
// take for one.
func secretValues(query string) (values []string) {
	for _, ends := range []string{"&", "&;"} {
		for _, part := range strings.FieldsFunc(query, func(r rune) bool { return strings.ContainsRune(ends, r) }) {
			name, value, _ := strings.Cut(part, "=")
			if name, err := url.QueryUnescape(name); err != nil || !isSecret(name) {
				continue
			}
			values = append(values, value)
			if plain, err := url.QueryUnescape(value); err == nil {
				values = append(values, plain)
			}
		}
	}
	return values
}

func isSecret(name string) bool {
	return slices.ContainsFunc(secretParams[:], func(s string) bool { return strings.EqualFold(s, name) })
}
