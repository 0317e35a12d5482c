package classify

import (
	"net/http"
	"net/url"
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
	for _, secret := range credentials(r) {
		if len(secret) < 8 { // it is no token, and may be part of any word
			continue
		}
		said = strings.ReplaceAll(said, secret, hidden)
		said = strings.ReplaceAll(said, url.QueryEscape(secret), hidden)
	}
	return said
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
	q := r.URL.Query()
	for _, name := range secretParams {
		secrets = append(secrets, q[name]...)
	}
	if pass, ok := r.URL.User.Password(); ok {
		secrets = append(secrets, pass)
	} else {
		secrets = append(secrets, r.URL.User.Username())
	}
	return secrets
}
