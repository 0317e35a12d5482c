// Gosoda pages through a data set with github.com/SebastiaanKlippert/go-soda,
// an SDK that sends each request once, while the portal throttles, times out
// and answers 202. The SDK is left as it is; its http.Client has a
// transport.Transport. What a program needs of this are the lines of
// newRequest; everything else is the demonstration, on a portal of its own.
package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	soda "github.com/SebastiaanKlippert/go-soda"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// newRequest has the lines to copy. url is the data set's, without extension:
// "https://data.ct.gov/resource/hma6-9xbg". rt is &transport.Transport{}, one
// for the whole program; with Policy: policy.Batch() in it if nobody waits.
func newRequest(url, token string, rt http.RoundTripper) *soda.GetRequest {
	req := soda.NewGetRequest(url, token)
	req.HTTPClient = &http.Client{Transport: rt} // set its Timeout for a deadline: the SDK has no contexts
	return req
}

// What the SDK does with what the Transport hands back:
//
//   - X-App-Token is sent even if the token is empty. A portal takes that for
//     none. To have the token in one place, and on Metadata too, which sends
//     none, leave the SDK's empty and let rt be
//     &transport.AppToken{Token: token, Base: &transport.Transport{}}:
//     it replaces an empty header.
//   - A status of 400 or more becomes an error of text only, with the server's
//     message and the whole URL: mind the latter in logs if a filter has
//     personal data or $$app_token in it. For errors to tell apart with
//     errors.Is(err, classify.NotFound), let rt be
//     &transport.StatusErrors{Base: &transport.Transport{}}.
//   - The body of such an answer is read to its end and not closed. Its
//     connection is free all the same, but if the HTTPClient has a Timeout, a
//     goroutine of net/http stays until that has passed. StatusErrors closes
//     the body, and with that both are gone.
//   - A 202 counts as a success, whose body is then no data. With a Transport
//     the SDK only sees one if its result does not come in time.

// page gets all rows, size at a time, with several goroutines. Next moves on
// before it sends, so a page that fails cannot be asked for again: what is to
// be tried again must be so below the SDK.
func page(req *soda.GetRequest, workers int, size uint) (rows []row, err error) {
	req.Format = "json"                   // if empty, every Next sets it: a data race
	req.Query.AddOrder("id", soda.DirAsc) // without an order, the second Next never returns
	pages, err := soda.NewOffsetGetRequest(req)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	for range workers {
		pages.Go(func() {
			for {
				some, e := decode(pages.Next(size))
				mu.Lock()
				rows = append(rows, some...)
				if err == nil && e != soda.ErrDone {
					err = e
				}
				failed := err != nil
				mu.Unlock()
				if e != nil || failed {
					return
				}
			}
		})
	}
	pages.Wait()
	return rows, err
}

// metadata calls Metadata.Get, which goes through http.DefaultClient, whatever
// req.HTTPClient is. It lends http.DefaultClient the Transport for the time of
// the call. If another goroutine uses http.DefaultClient meanwhile, that is a
// data race, and so are two of these calls at once. A program that has such
// goroutines sets http.DefaultClient.Transport once, first thing in main; then
// http.Get and everybody else's reads are sent again too when they fail. Do
// that with a plain Transport: an AppToken would send the token to all the
// hosts they talk to. Never set http.DefaultTransport instead: it is what a
// Transport without a Base sends with, and that would be itself.
func metadata(req *soda.GetRequest) (*soda.Metadata, error) {
	before := http.DefaultClient.Transport
	http.DefaultClient.Transport = req.HTTPClient.Transport
	defer func() { http.DefaultClient.Transport = before }()
	return req.Metadata.Get()
}

type row map[string]any

// decode reads the rows of a response, as the SDK returned it.
func decode(resp *http.Response, err error) ([]row, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var rows []row
	err = json.NewDecoder(resp.Body).Decode(&rows)
	return rows, err
}

// decodeCSV reads the records of a response, without the header.
func decodeCSV(resp *http.Response, err error) ([][]string, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	records, err := csv.NewReader(resp.Body).ReadAll()
	if err != nil || len(records) == 0 {
		return nil, errors.Join(errors.New("no CSV"), err)
	}
	return records[1:], nil
}

// From here on it is the demonstration.

const total = 600 // rows of the data set

// A scene is a call of the SDK, and what the portal makes of it.
type scene struct {
	call   string
	portal string
	faults []sodatest.Option
	gets   func(*soda.GetRequest) (int, error)
	want   int
	of     string
}

func scenes(workers int) []scene {
	paging := func(req *soda.GetRequest) (int, error) {
		rows, err := page(req, workers, 10)
		return len(rows), err
	}
	bucket := sodatest.TokenBucket(40, 20)
	return []scene{
		{"Count", "504 once", []sodatest.Option{sodatest.Replies(sodatest.Fault("execution_timeout"))},
			func(req *soda.GetRequest) (int, error) {
				n, err := req.Count()
				return int(n), err
			}, total, "rows"},
		{"Get JSON", "429 and 504 once", []sodatest.Option{sodatest.Replies(sodatest.Fault("too-many-requests"), sodatest.HTML(504))},
			func(req *soda.GetRequest) (int, error) {
				rows, err := decode(req.Get())
				return len(rows), err
			}, total, "rows"},
		{"Get CSV", "202 once, without a word", []sodatest.Option{sodatest.Replies(sodatest.Reply{Status: 202})},
			func(req *soda.GetRequest) (int, error) {
				req.Format = "csv"
				records, err := decodeCSV(req.Get())
				return len(records), err
			}, total, "rows"},
		{"Next", "40 requests/s, 429", []sodatest.Option{bucket}, paging, total, "rows"},
		{"Next", "40 requests/s, 429 with Retry-After: 1", []sodatest.Option{bucket,
			sodatest.Throttle(sodatest.Reply{Code: "too-many-requests", RetryAfter: "1"})}, paging, total, "rows"},
		{"Metadata", "503 once", []sodatest.Option{sodatest.Replies(sodatest.HTML(503))},
			func(req *soda.GetRequest) (int, error) {
				md, err := metadata(req)
				if err != nil {
					return 0, err
				}
				return len(md.Columns), nil
			}, 7, "columns"},
	}
}

// A tally is what OnEvent heard during a scene. For one response in hand,
// transport.History has the same.
type tally struct {
	log io.Writer

	mu      sync.Mutex
	sent    int
	retries int
	longest time.Duration
}

func (t *tally) event(e transport.Event) {
	if e.Kind != transport.AttemptDone {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	if e.Next != policy.Stop {
		t.retries++
		t.longest = max(t.longest, e.Attempt().Wait)
	}
	fmt.Fprintln(t.log, e.Attempt())
}

// run plays all scenes on portals made with extra, and reports on w.
func run(w io.Writer, args []string, extra ...sodatest.Option) error {
	flags := flag.NewFlagSet("gosoda", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is printed once, by main
	token := flags.String("token", "demo", "app `token`; the portal knows \"demo\" only, or none at all")
	workers := flags.Int("workers", 6, "`goroutines` that page, 1 to 12")
	verbose := flags.Bool("v", false, "print every attempt")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(w, "usage: gosoda [-token t] [-v] [-workers n]\n\n"+
			"Gosoda uses the go-soda SDK on a portal of its own, which throttles,\n"+
			"times out and answers 202, and reports what it took to get all rows.")
		flags.SetOutput(w)
		flags.PrintDefaults()
		return nil
	case err != nil:
		return fmt.Errorf("%w (see -h)", err)
	case flags.NArg() > 0:
		return fmt.Errorf("there is no argument %q, only flags (see -h)", flags.Arg(0))
	case *workers < 1 || *workers > 12:
		return fmt.Errorf("-workers is %d, and must be from 1 to 12", *workers)
	}

	log := io.Discard
	if *verbose {
		log = w
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "call\tthe portal\tgot\trequests\tretries\tlongest wait\ttook")
	for _, s := range scenes(*workers) {
		line, err := s.play(*token, log, extra)
		if err != nil {
			return fmt.Errorf("%s: %w", s.call, err)
		}
		fmt.Fprintln(table, line)
	}
	return table.Flush()
}

// play plays the scene on a portal of its own and returns its line of the report.
func (s scene) play(token string, log io.Writer, extra []sodatest.Option) (string, error) {
	srv := sodatest.NewServer(append(s.options(), extra...)...)
	defer srv.Close()
	heard := &tally{log: log}
	// The Base is for the tests, which run in memory. Elsewhere it is left out.
	rt := &transport.Transport{Base: srv.Transport(), OnEvent: heard.event}

	began := time.Now()
	n, err := s.gets(newRequest(srv.URL+"/resource/"+sodatest.SampleID, token, rt))
	if err != nil {
		return "", err
	}
	if n != s.want {
		return "", fmt.Errorf("%d %s came, not %d", n, s.of, s.want)
	}
	return fmt.Sprintf("%s\t%s\t%d %s\t%d\t%d\t%.1fs\t%.1fs", s.call, s.portal, n, s.of,
		heard.sent, heard.retries, heard.longest.Seconds(), time.Since(began).Seconds()), nil
}

func (s scene) options() []sodatest.Option {
	return append([]sodatest.Option{
		sodatest.Dataset(sodatest.SampleID, sodatest.GenerateRows(total)),
		sodatest.Token("demo"),
		sodatest.Latency(func() time.Duration { return 20 * time.Millisecond }),
	}, s.faults...)
}

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		// The SDK's errors have several lines.
		fmt.Fprintln(os.Stderr, "gosoda:", strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
}
