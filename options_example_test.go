package sodahttp_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// What a program may want beside the zero Transport. The README shows the same.
func Example_options() {
	portal := "data.cityofnewyork.us"
	rt := &transport.Transport{
		Base:    &transport.AppToken{Token: os.Getenv("SODA_APP_TOKEN"), Host: portal}, // X-App-Token, for this host only
		Policy:  policy.Batch(),                                                        // a night job: no limit on attempts, an hour
		Limiter: rate.NewLimiter(10, 1),                                                // golang.org/x/time/rate; retries pay too
		OnEvent: transport.LogTo(slog.Default().Handler()),                             // retries at Info, giving up at Warn, no secrets
	}
	client := &http.Client{Transport: &transport.StatusErrors{Base: rt}} // a 404 is an error: errors.Is(err, classify.NotFound)
	client.CloseIdleConnections()
	// Output:
}

// Downloads that are whole, and uploads that can be sent again. The README shows
// the same.
func Example_bodies() {
	rt := new(transport.Transport)
	client := &http.Client{Transport: &transport.Resume{Base: &transport.Spool{Base: rt}}}
	client.CloseIdleConnections()
	// Output:
}

// A Pacer that begins with what the last run has learned. The README shows the
// same.
func Example_pacer() {
	const file = "pace.json"
	pacer := new(pace.Pacer)
	if state, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(state, pacer) // what cannot be read is learned anew
	}
	log := transport.LogTo(slog.Default().Handler())
	pacer.OnEvent = func(e pace.Event) { log(transport.Event{Kind: transport.PaceChanged, Pace: e}) }
	client := &http.Client{Transport: &transport.Transport{Policy: policy.Batch(), Pacer: pacer, OnEvent: log}}
	client.CloseIdleConnections()
	if state, err := json.Marshal(pacer); err == nil {
		_ = os.WriteFile(file, state, 0o600) // hosts and their limits, no secrets
	}
}
