package transport_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/transport"
)

// bursting is a reader that panics, after a while.
type bursting struct{ after time.Duration }

func (b bursting) Read([]byte) (int, error) {
	time.Sleep(b.after)
	panic(errors.New("burst"))
}

// TestResponseThatPanics: the panic is the caller's to recover from, as it would
// be without a Transport, and not that of a goroutine nobody knows.
func TestResponseThatPanics(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		start  string // of the body, before the panic
	}{
		{"looked at", 500, ""},
		{"looked at from the middle on", 500, `{"code":`},
		{"discarded", 429, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := &closes{Reader: io.MultiReader(strings.NewReader(row.start), bursting{})}
				pacer := new(pace.Pacer)
				rt := &transport.Transport{Pacer: pacer, Base: baseFunc(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: row.status, Header: http.Header{}, Body: body}, nil
				})}
				resp, err := tripOrPanic(rt, newRequest(t, "GET", "http://data.test/", nil))
				if resp != nil || err == nil || err.Error() != "burst" || body.n.Load() == 0 {
					t.Errorf("got %v, %v, closed %d times, want the panic", resp, err, body.n.Load())
				}
				for _, s := range pacer.Snapshot() {
					if s.InFlight > 0 {
						t.Errorf("%d attempts seem to be under way", s.InFlight)
					}
				}
			})
		})
	}
}

// TestSlowResponseThatPanics: it does so when nobody waits for it any more.
func TestSlowResponseThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp := answer(500, "")
		resp.Body = io.NopCloser(bursting{time.Minute})
		if o := classify.Of(nil, resp, nil); o.Class != classify.Transient {
			t.Errorf("got %v", o)
		}
		defer func() {
			if err, _ := recover().(error); err == nil || err.Error() != "burst" {
				t.Errorf("recovered from %v", err)
			}
		}()
		n, err := io.Copy(io.Discard, resp.Body)
		t.Errorf("read %d bytes, %v", n, err)
	})
}

// TestOddValuesCanBeShown: values that no Transport makes, but a test of the
// user's may.
func TestOddValuesCanBeShown(t *testing.T) {
	if text := new(transport.BodyError).Error(); !strings.Contains(text, "0 good bytes") {
		t.Errorf("an empty BodyError says %q", text)
	}
	if js, err := json.Marshal(new(transport.BodyError)); err != nil {
		t.Errorf("an empty BodyError is %s, %v", js, err)
	}
	var seen levels
	transport.LogTo(&seen)(transport.Event{Kind: transport.WaitCut})
	far := transport.Attempt{N: 1, RetryAt: time.Date(12026, 1, 2, 3, 4, 5, 600, time.UTC)}
	js, err := json.Marshal(far)
	if err != nil || !strings.Contains(string(js), `"retry_at":"12026-01-02T03:04:05.0000006Z"`) {
		t.Errorf("a far RetryAt is %s, %v", js, err)
	}
}
