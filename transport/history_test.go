package transport_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// TestAttemptInJSON holds the names and the units. They do not change.
func TestAttemptInJSON(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 670_000_000, time.UTC)
	whole := transport.Attempt{
		N: 2, Method: "PUT", URL: "https://data.test/a?$limit=5", Status: 503, Kind: classify.RowIDCache, Class: classify.Throttled,
		Acted: classify.ActedNo, Code: "service-unavailable", RequestID: "96914e02",
		Err:   &url.Error{Op: "Put", URL: "https://me:secret@data.test/a?$limit=5&ticket=secret", Err: errors.New("two\nlines")},
		Start: at, Queued: 250 * time.Millisecond, Took: 1_234_567_891, Conn: "reused", BodySent: 9000,
		RetryAfter: time.Minute, Wait: 66 * time.Second, By: policy.ByServer, Why: "2 of 2 attempts made", RetryAt: at.Add(time.Hour),
	}
	for _, row := range []struct {
		name string
		v    any
		want string
	}{
		{"whole", whole, `{"n":2,"method":"PUT","url":"https://data.test/a?$limit=5","status":503,"kind":"row_id_cache","class":"throttled","acted":"no",` +
			`"code":"service-unavailable","request_id":"96914e02","error":"Put \"https://data.test/a?$limit=5\u0026ticket=***\": two lines",` +
			`"start":"2026-01-02T03:04:05.67Z","queued_seconds":0.25,"took_seconds":1.234568,"conn":"reused","body_sent_bytes":9000,` +
			`"retry_after_seconds":60,"wait_seconds":66,"wait_by":"server","why":"2 of 2 attempts made","retry_at":"2026-01-02T04:04:05.67Z"}`},
		{"empty", transport.Attempt{}, `{"class":"final"}`},
		{"an Error", &transport.Error{Err: io.EOF, History: []transport.Attempt{{N: 1, Err: io.EOF}}},
			`{"error":"sodahttp: EOF","history":[{"n":1,"class":"final","error":"EOF"}]}`},
		{"a BodyError", &transport.BodyError{Err: whole.Err, Good: 7, Changed: true, Tries: 1},
			`{"error":"sodahttp: the body was cut after 7 good bytes (Put \"https://data.test/a?$limit=5\u0026ticket=***\": two\nlines), and the data has changed since","good_bytes":7,"changed":true,"tries":1}`},
	} {
		b, err := json.Marshal(row.v)
		if err != nil || string(b) != row.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", row.name, b, err, row.want)
		}
	}
}

func TestAttemptIsOneLine(t *testing.T) {
	a := transport.Attempt{
		N: 1, Method: "GET", URL: "http://data.test/", Code: strings.Repeat("c", 200) + "\n", Class: classify.Transient,
		Err: errors.New("a\r\nb" + strings.Repeat("é", 500)), Why: "because\nof it",
	}
	text := a.String()
	if strings.ContainsAny(text, "\r\n") || len(text) > 1000 || strings.Contains(text, strings.Repeat("c", 101)) || !strings.HasPrefix(text, "#1 GET http://data.test/: a  bé") || !strings.Contains(text, "because of it") {
		t.Errorf("%q", text)
	}
	if b, err := json.Marshal(a); err != nil || len(b) > 1200 {
		t.Errorf("%s, %v", b, err)
	}
}

// TestStart: an attempt starts when it is sent, after all waits, and not at all
// if it is not.
func TestStart(t *testing.T) {
	const slow = time.Second
	base := baseFunc(func(*http.Request) (*http.Response, error) {
		time.Sleep(slow)
		return answer(200, ""), nil
	})
	for _, off := range []bool{false, true} {
		for _, wait := range []time.Duration{0, 2 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				var got transport.Attempt
				rt := &transport.Transport{Base: base, Pacer: &pace.Pacer{Off: off}, OnEvent: func(e transport.Event) { got = e.Attempt() }}
				if wait > 0 {
					lim := rate.NewLimiter(rate.Every(wait), 1)
					lim.Allow()
					rt.Limiter = lim
				}
				begin := time.Now()
				if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil)); err != nil {
					t.Fatal(err)
				}
				if got.Start.Sub(begin) != wait || got.Took != slow || got.Queued != wait {
					t.Errorf("Off: %v: started after %v, took %v, queued %v; want %v, %v, %v", off, got.Start.Sub(begin), got.Took, got.Queued, wait, slow, wait)
				}
				rt.Limiter = refusing{}
				_, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
				var failed *transport.Error
				if !errors.As(err, &failed) || !failed.History[0].Start.IsZero() {
					t.Errorf("Off: %v: %#v, want an Error whose attempt never started", off, err)
				}
			})
		}
	}
}
