// Quickstart shows what an http.Client does with this library under it.
//
// Without flags it starts a fake Socrata on a loopback port, meets a throttle,
// a gateway timeout, work in progress and a refusal, and prints a timeline of
// each. With -url it makes one request to a real portal instead:
//
//	go run ./examples/quickstart -url 'https://data.cityofnewyork.us/resource/uczf-rk3c.json?$limit=5'
//
// It exits with status 1 if the request fails.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	target := flags.String("url", "", "GET this `URL` of a portal instead of the demonstration")
	token := flags.String("token", "", "app `token`; the default is $SODA_APP_TOKEN")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; the URL goes behind -url", flags.Arg(0))
	}
	if *target != "" {
		u, err := url.Parse(*target)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("-url wants an http or https URL, such as https://data.cityofnewyork.us/resource/uczf-rk3c.json")
		}
		base := &transport.AppToken{Token: cmp.Or(*token, os.Getenv("SODA_APP_TOKEN"))}
		return show(ctx, out, base, scene{title: "GET " + classify.Redact(u), method: http.MethodGet, url: *target})
	}
	srv := sodatest.NewServer(sodatest.Polls(1))
	defer srv.Close()
	return demonstrate(ctx, out, srv)
}

// A scene is one request of the demonstration.
type scene struct {
	title       string
	method, url string
	script      []sodatest.Reply
	want        int // the status that it ends in; 0 for any success
}

func demonstrate(ctx context.Context, out io.Writer, srv *sodatest.Server) error {
	dataset := srv.URL + "/resource/" + sodatest.SampleID + ".json?$limit=5"
	scenes := []scene{
		{"A throttle: 429 with Retry-After is waited out", http.MethodGet, dataset,
			[]sodatest.Reply{{Status: 429, RetryAfter: "1", Code: "too-many-requests"}}, 200},
		{"A gateway timeout: 504 is tried again after a back-off", http.MethodGet, dataset,
			[]sodatest.Reply{sodatest.Fault("execution_timeout")}, 200},
		{"Work in progress: 202 is polled to its result", http.MethodPost, srv.URL + "/api/imports2.json?method=append",
			nil, 200},
		{"A refusal: 403 comes back at once", http.MethodGet, dataset,
			[]sodatest.Reply{sodatest.Fault("permission_denied")}, 403},
	}
	fmt.Fprintf(out, "A fake Socrata runs on %s. One http.Client meets:\n", srv.URL)
	for _, s := range scenes {
		srv.Script(s.script...)
		if err := show(ctx, out, srv.Transport(), s); err != nil {
			return err
		}
	}
	return nil
}

// show makes one request and prints its timeline.
func show(ctx context.Context, out io.Writer, base http.RoundTripper, s scene) error {
	fmt.Fprintf(out, "\n%s\n  %8s  %-8s %-6s %-22s %-10s %s\n", s.title, "elapsed", "attempt", "method", "answer", "verdict", "then")
	start := time.Now()
	client := &http.Client{Transport: &transport.Transport{Base: base}}
	req, err := http.NewRequestWithContext(ctx, s.method, s.url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	var gaveUp *transport.Error
	if errors.As(err, &gaveUp) {
		printHistory(out, start, gaveUp.History)
	}
	if err != nil {
		return fmt.Errorf("the request failed: %w", classify.RedactError(err))
	}
	defer resp.Body.Close()
	if h := transport.History(resp); h != nil {
		printHistory(out, start, h)
	} else { // the first answer was the last, and took all the time there was
		printHistory(out, start, []transport.Attempt{{N: 1, Method: s.method, Status: resp.StatusCode, Start: start, Took: time.Since(start)}})
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	fmt.Fprintf(out, "  the caller has %s and %d bytes after %s\n", resp.Status, n, seconds(time.Since(start)))
	switch {
	case s.want != 0 && resp.StatusCode != s.want:
		return fmt.Errorf("the demonstration went wrong: got %s, want %d", resp.Status, s.want)
	case s.want == 0 && resp.StatusCode >= 300:
		return fmt.Errorf("the portal answered %s", resp.Status)
	}
	return nil
}

// printHistory prints a line for each attempt.
func printHistory(out io.Writer, start time.Time, attempts []transport.Attempt) {
	for i, a := range attempts {
		answer := fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))
		if a.Err != nil {
			answer = "no answer"
		}
		then := "handed back"
		if i < len(attempts)-1 {
			then = fmt.Sprintf("again in %s (%s)", seconds(a.Wait), a.By)
			if a.Class == classify.Pending {
				then = fmt.Sprintf("asks for the result in %s (%s)", seconds(a.Wait), a.By)
			}
		}
		if a.RetryAfter > 0 {
			then = fmt.Sprintf("server asks for %s: %s", seconds(a.RetryAfter), then)
		}
		if a.Why != "" {
			then += ": " + a.Why
		}
		if a.Err != nil {
			then += ": " + a.Err.Error()
		}
		fmt.Fprintf(out, "  %8s  %-8d %-6s %-22s %-10s %s\n", seconds(a.Start.Add(a.Took).Sub(start)), a.N, a.Method, answer, a.Class, then)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
