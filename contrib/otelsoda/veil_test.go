package otelsoda

import (
	"errors"
	"net/http"
	"testing"
)

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// TestVeilKeepsErrors: what is classified is the error itself, not what may be
// shown of it.
func TestVeilKeepsErrors(t *testing.T) {
	own := errors.New("see https://data.test/?$$app_token=secret")
	req, _ := http.NewRequest("GET", "https://data.test/", nil)
	if _, err := (&veil{&unveil{failing{own}}}).RoundTrip(req); err != own {
		t.Errorf("got %#v", err)
	}
}

// TestVeilPassesNothingOn: of a Base that breaks the contract, the Transport
// gets what it can tell so by.
func TestVeilPassesNothingOn(t *testing.T) {
	req, _ := http.NewRequest("GET", "https://data.test/", nil)
	if resp, err := (&veil{&unveil{failing{}}}).RoundTrip(req); resp != nil || err != nil {
		t.Errorf("got %v, %v", resp, err)
	}
}
