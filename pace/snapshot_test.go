package pace_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

func TestStateInWords(t *testing.T) {
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, row := range []struct {
		state    pace.State
		text, js string
	}{
		{pace.State{Key: "http://data.test", Mode: pace.Paced, Rate: 39.391234, Sent: 418, Retries: 9.8765},
			"http://data.test: paced, 39.4/s, 0 waiting, 0 in flight, 418 sent, 9 retries left",
			`{"quota":"http://data.test","mode":"paced","rate_per_second":39.4,"waiting":0,"in_flight":0,"sent":418,"retries_left":9.88}`},
		{pace.State{Key: "https://data.test", Tag: 7, Mode: pace.Concurrency, Datasets: map[string]int{"wxyz-1234": 3, "abcd-1234": 2}, Until: until, Waiting: 5, InFlight: 2, Sent: 9},
			"https://data.test #7: concurrency, 2 at once to abcd-1234, 3 at once to wxyz-1234, until 03:04:05, 5 waiting, 2 in flight, 9 sent, 0 retries left",
			`{"quota":"https://data.test","tag":7,"mode":"concurrency","dataset_in_flight_limits":{"abcd-1234":2,"wxyz-1234":3},"until":"2026-01-02T03:04:05Z","waiting":5,"in_flight":2,"sent":9,"retries_left":0}`},
	} {
		if text := row.state.String(); text != row.text {
			t.Errorf("\n got %s\nwant %s", text, row.text)
		}
		if b, err := json.Marshal(row.state); err != nil || string(b) != row.js {
			t.Errorf("\n got %s, %v\nwant %s", b, err, row.js)
		}
	}
}
