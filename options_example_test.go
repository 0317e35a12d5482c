package sodahttp_test

import (
	"log"
	"net/http"
	"os"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// What a program may want beside the zero Transport. The README shows the same.
func Example_options() {
	rt := &transport.Transport{
		Base:    &transport.AppToken{Token: os.Getenv("SODA_APP_TOKEN")}, // X-App-Token, to this portal only
		Policy:  policy.Batch(),                                          // a night job: no limit on attempts, an hour
		Limiter: rate.NewLimiter(10, 1),                                  // golang.org/x/time/rate; retries pay too
		OnEvent: func(e transport.Event) { log.Print(e.Attempt) },        // one line an attempt, no secrets in it
	}
	client := &http.Client{Transport: &transport.StatusErrors{Base: rt}} // a 404 is an error: errors.Is(err, classify.NotFound)
	client.CloseIdleConnections()
	// Output:
}
