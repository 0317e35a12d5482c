package transport_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// hasty is a policy for examples, whose reader does not want to wait.
var hasty = policy.Policy{
	BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) },
	Poll:    policy.Polling{Interval: time.Millisecond},
}

// The zero Transport is complete; here it has a fake Socrata for its Base.
func ExampleTransport() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
		sodatest.Fault("too-many-requests"),
		sodatest.Fault("execution_timeout"),
	))
	defer srv.Close()
	client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Policy: hasty}}

	resp, err := client.Get(srv.URL + "/resource/abcd-1234.json?$select=count(*)")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, strings.TrimSpace(string(body)), err)
	// Output: 200 OK [{"count":"25"}] <nil>
}

// A POST is sent once, whatever comes back, unless the answer proves that the
// server did not act on it.
func ExampleTransport_postIsSentOnce() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Fault("service-unavailable")))
	defer srv.Close()
	client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Policy: hasty}}

	resp, err := client.Post(srv.URL+"/resource/abcd-1234.json", "application/json", strings.NewReader(`[{"id":"1"}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", len(srv.Requests()), "request")
	fmt.Println(transport.History(resp)[0].Why)
	// Output:
	// 503 Service Unavailable after 1 request
	// it may have been acted on, and sending it again could do its work twice
}

// A 202 with a ticket is polled until its result is there.
func ExampleTransport_polling() {
	srv := sodatest.NewServer(sodatest.InMemory())
	defer srv.Close()
	client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Policy: hasty}}

	resp, err := client.Post(srv.URL+"/api/imports2.json", "text/csv", strings.NewReader("id,name\n1,one\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for _, a := range transport.History(resp) {
		fmt.Println(a.Method, a.Status, a.Class)
	}
	// Output:
	// POST 202 pending
	// GET 202 pending
	// GET 202 pending
	// GET 200 final
}

// Any limiter with a Wait method paces attempts, retries and polls alike.
func ExampleTransport_limiter() {
	srv := sodatest.NewServer(sodatest.InMemory())
	defer srv.Close()
	client := &http.Client{Transport: &transport.Transport{
		Base:    srv.Transport(),
		Limiter: rate.NewLimiter(100, 1), // requests a second, burst
	}}
	for range 3 {
		resp, err := client.Get(srv.URL + "/resource/abcd-1234.json?$limit=1")
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
}

// OnEvent sees each attempt.
func ExampleEvent() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Fault("execution_timeout")))
	defer srv.Close()
	client := &http.Client{Transport: &transport.Transport{
		Base:   srv.Transport(),
		Policy: hasty,
		OnEvent: func(e transport.Event) {
			fmt.Println(e.Attempt().N, e.Attempt().Status, e.Attempt().Class, e.Next)
		},
	}}
	resp, err := client.Get(srv.URL + "/resource/abcd-1234.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output:
	// 1 504 transient retry
	// 2 200 final stop
}

// LogTo logs what happens, at levels that fit: a night job at Warn is quiet as
// long as the portal gives in.
func ExampleLogTo() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Fault("execution_timeout")))
	defer srv.Close()
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "start" || a.Key == "request_id" || strings.HasSuffix(a.Key, "_seconds") {
				return slog.Attr{} // no two runs of this example have the same
			}
			return a
		},
	})
	client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Policy: hasty, OnEvent: transport.LogTo(handler)}}
	resp, err := client.Get(srv.URL + "/resource/abcd-1234.json?$where=name='Jane'")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// level=INFO msg="sodahttp: retry" event="attempt done" call=1 next=retry attempt.n=1 attempt.method=GET attempt.url="http://socrata.test/resource/abcd-1234.json?$where=***" attempt.status=504 attempt.kind=execution_timeout attempt.class=transient attempt.wait_by=back-off
	// 200 OK
}

// The history tells what the server asked for and what was done about it.
func ExampleHistory() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Every(1, sodatest.Reply{Status: 429, RetryAfter: "3600"}))
	defer srv.Close()
	client := &http.Client{Transport: &transport.Transport{Base: srv.Transport()}}

	resp, err := client.Get(srv.URL + "/resource/abcd-1234.json?$$app_token=secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for _, a := range transport.History(resp) {
		fmt.Println(a)
	}
	// Output: #1 GET http://socrata.test/resource/abcd-1234.json?$$app_token=***: 429 Too Many Requests, throttled, gave up: the server asks to wait 1h0m0s, more than MaxRetryAfter, 5m0s
}

// An Attempt describes itself in one line.
func ExampleAttempt() {
	a := transport.Attempt{
		Method: "GET", URL: "https://data.example.gov/resource/abcd-1234.json",
		Status: 504, Class: classify.Transient, Wait: 730 * time.Millisecond, By: policy.ByBackOff,
	}
	fmt.Println(a)
	// Output: GET https://data.example.gov/resource/abcd-1234.json: 504 Gateway Timeout, transient, next in 730ms (back-off)
}

// Without a response there is an *Error, which unwraps to the last one.
func ExampleError() {
	srv := sodatest.NewServer(sodatest.InMemory())
	srv.Close() // nobody listens
	client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Policy: hasty}}

	_, err := client.Get(srv.URL)
	var e *transport.Error
	if errors.As(err, &e) {
		fmt.Println(len(e.History), "attempts,", e.History[4].Why)
	}
	// Output: 5 attempts, 5 of 5 attempts made
}

// StatusErrors is for callers that look at errors only.
func ExampleStatusErrors() {
	srv := sodatest.NewServer(sodatest.InMemory())
	defer srv.Close()
	client := &http.Client{Transport: &transport.StatusErrors{
		Base: &transport.Transport{Base: srv.Transport()},
	}}
	_, err := client.Get(srv.URL + "/resource/none-such.json")
	var e *classify.Error
	fmt.Println(errors.Is(err, classify.NotFound), errors.As(err, &e) && e.Code == "dataset.missing")
	// Output: true true
}

// AppToken adds the application token to requests of its own portal.
func ExampleAppToken() {
	srv := sodatest.NewServer(sodatest.InMemory())
	defer srv.Close()
	client := &http.Client{Transport: &transport.Transport{
		Base: &transport.AppToken{Token: "mine", Base: srv.Transport()},
	}}
	resp, err := client.Get(srv.URL + "/resource/abcd-1234.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(srv.Requests()[0].Header.Get("X-App-Token"))
	// Output: mine
}
