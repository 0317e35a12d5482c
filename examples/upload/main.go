// Upload upserts a CSV file of any size into a data set. The file is read,
// compressed and sent piece by piece, and read again from its start for another
// attempt, so that no more than a few KiB of it are in memory.
//
// Without -domain it shows what it does on a portal of its own, which answers
// with a 503 before it has read anything, throttles, loses its answer to what
// it has carried out, and then takes its time:
//
//	go run .
//
// With -domain and -dataset it uploads to a real one:
//
//	export SODA_APP_TOKEN=... SODA_USERNAME=... SODA_PASSWORD=...
//	go run . -domain data.example.gov -dataset abcd-1234 -identifier rows.csv
//
// An API key works as well, with its id for the name and its secret for the
// password. The password goes to that domain only.
//
// An upsert is a POST, and what may be sent again depends on the data set.
// Without a row identifier, rows that are sent twice are there twice. Then
// only what the portal certainly did not act on is sent again: a 429, a lock,
// read-only mode, a connection that never came about. After a cut connection, a
// timeout or a plain 502, 503 or 504 nobody can tell, and the upload ends with
// status 1 and says so. With a row identifier the second sending changes
// nothing. Say -identifier if the data set has one, and these are sent again
// too.
//
// A portal that limits the size of one upsert answers with a 413, which ends the
// upload; the file then has to come in parts. One that redirects is not followed.
//
// It prints the portal's summary on standard output, everything else on
// standard error, and exits with
//
//	0   all rows are in
//	1   it failed, or the portal did not take some of the rows
//	75  it may be tried again later; the last line says when, if that is known
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"

	"golang.org/x/term"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
)

// Exit statuses; 75 is EX_TEMPFAIL of sysexits.h.
const (
	exitDone   = 0
	exitFailed = 1
	exitLater  = 75
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	show := &progress{out: os.Stderr, bar: term.IsTerminal(int(os.Stderr.Fd()))}
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, show)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		show.say("upload: " + err.Error())
	}
	os.Exit(exitStatus(err))
}

// exitStatus is what err means to a night job.
func exitStatus(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.As(err, new(*laterError)):
		return exitLater
	}
	return exitFailed
}

// notes is what else -h has to say.
const notes = `
Environment:
  SODA_APP_TOKEN   the application token
  SODA_USERNAME    the account that may write, or the id of an API key
  SODA_PASSWORD    its password, or the secret of the API key

Exit status:
  0    all rows are in
  1    it failed, or the portal did not take some of the rows
  75   it may be tried again later; the last line says when, if that is known
`

var fourByFour = regexp.MustCompile(`^[a-z0-9]{4}-[a-z0-9]{4}$`)

func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer, show *progress) error {
	flags := flag.NewFlagSet("upload", flag.ContinueOnError)
	flags.SetOutput(show.out)
	flags.Usage = func() {
		fmt.Fprintln(show.out, "usage: upload [flags] [file.csv]")
		flags.PrintDefaults()
		fmt.Fprint(show.out, notes)
	}
	domain := flags.String("domain", "", "the `host` of the portal; without it, there is a demonstration")
	dataset := flags.String("dataset", "", "the `id` of the data set, such as abcd-1234")
	identifier := flags.Bool("identifier", false, "the data set has a row identifier, so rows may be sent twice")
	zip := flags.Bool("gzip", true, "compress what is sent")
	patience := flags.Duration("for", time.Hour, "how long to go on after the first failure")
	if err := flags.Parse(args); err != nil {
		return err
	}
	u := &upload{identifier: *identifier, gzip: *zip, policy: policy.Batch(), path: flags.Arg(0), show: show,
		token: getenv("SODA_APP_TOKEN"), user: getenv("SODA_USERNAME"), password: getenv("SODA_PASSWORD")}
	u.policy.MaxElapsed, u.policy.Poll.MaxElapsed, u.policy.MaxRetryAfter = *patience, *patience, *patience
	switch {
	case flags.NArg() > 1:
		return fmt.Errorf("one file at a time; %q is another", flags.Arg(1))
	case *domain == "" && *dataset == "":
		return demonstrate(ctx, u, out)
	case *domain == "":
		return errors.New("-dataset needs its -domain")
	case !fourByFour.MatchString(*dataset):
		return fmt.Errorf("-dataset is %q, and has to look like abcd-1234", *dataset)
	case u.path == "":
		return errors.New("the file to upload is missing")
	}
	u.origin, u.dataset = "https://"+*domain, *dataset
	return u.run(ctx, out)
}

// demonstrate uploads to a portal of its own, whose data set has a row
// identifier. Without a file, it makes one.
func demonstrate(ctx context.Context, u *upload, out io.Writer, extra ...sodatest.Option) error {
	srv := sodatest.NewServer(append(extra, trouble())...)
	defer srv.Close()
	u.base = srv.Transport() // for the tests, which run in memory
	if u.path == "" {
		path, err := makeFile(50_000)
		if err != nil {
			return err
		}
		defer os.Remove(path)
		u.path = path
	}
	u.origin, u.dataset, u.identifier = srv.URL, sodatest.SampleID, true
	u.show.say("This is a demonstration; -h tells how to upload to a portal.")
	return u.run(ctx, out)
}

// trouble is what the demonstration's portal answers before all is well: that
// it is busy, before it has read the rows; that this was too much; nothing,
// having carried the upsert out; and that it will take some time.
func trouble() sodatest.Option {
	busy, throttle := sodatest.HTML(503), sodatest.Fault("too-many-requests")
	busy.Early = true
	throttle.RetryAfter = "2"
	return sodatest.Replies(busy, throttle, sodatest.Reply{Drop: true}, sodatest.Fault("accepted"))
}

// makeFile makes a file of n rows, each of which has an id.
func makeFile(n int) (path string, err error) {
	f, err := os.CreateTemp("", "upload-*.csv")
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "id,name,category,amount")
	for i := range n {
		fmt.Fprintf(w, "%d,Row %d,Trees,%d.25\n", i+1, i+1, i*37%1000)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
