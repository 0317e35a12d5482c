package pace_test

import (
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/pace"
)

func TestKeyOf(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://Data.Example.org:443/resource/6zsd-86xi.json", "https://data.example.org 6zsd-86xi"},
		{"http://data.example.org:80/", "http://data.example.org"},
		{"http://data.example.org:8080/api/views/abcd-1234/rows.csv", "http://data.example.org:8080 abcd-1234"},
		{"ftp://data.example.org:21/", "ftp://data.example.org:21"},
		{"https://d.example/api/v3/views/abcd-1234", "https://d.example abcd-1234"},
		{"https://d.example/a-b/well-known-thing/abcd-12345/xabcd-1234", "https://d.example"},
		{"https://d.example/not-really/ab.d-1234/9999-zzzz", "https://d.example 9999-zzzz"},
		{"https://d.example/6zsd-86x", "https://d.example"},
	} {
		if got := pace.KeyOf(request(t, tt.url)).String(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.url, got, tt.want)
		}
	}
}

func TestKeyTokens(t *testing.T) {
	with := func(name, value string) pace.Key {
		req := request(t, "https://d.example/")
		if name != "" {
			req.Header.Set(name, value)
		}
		return pace.KeyOf(req)
	}
	seen := map[pace.Key]bool{}
	for _, k := range []pace.Key{with("", ""), with("X-App-Token", "secret"), with("X-App-Token", "other-secret-token"), with("Authorization", "secret2"), with("Accept", "secret")} {
		seen[k] = true
		if strings.Contains(k.String(), "secret") {
			t.Errorf("%v reveals its token", k)
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d keys, want 4", len(seen))
	}
	if again := with("X-App-Token", "secret"); !seen[again] {
		t.Error("a token has two keys")
	}
}
