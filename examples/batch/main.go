// Batch exports a data set of a Socrata portal, whatever happens meanwhile. It
// asks for pages in the order of :id with several workers, paces itself to the
// portal's limit, and keeps each page in a file of its own until all are there.
// A run that was interrupted, killed or cut off from power goes on with -resume:
//
//	batch -domain data.cityofnewyork.us -dataset uczf-rk3c -format csv -out trees.csv -resume
//
// Without -domain it exports from a fake portal in the same process, which
// throttles, times out, cuts bodies and goes down for a while:
//
//	go run .
//
// The exit status is 0 if the file is there, 75 (EX_TEMPFAIL) if it makes sense
// to start again later with -resume, at the time that is printed, 1 if it makes
// none, and 2 if the flags are wrong. The first Ctrl-C or SIGTERM lets pages that
// are with the portal end; the second kills.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// Who reads the log may go away: what cannot be said then is no reason to end.
	signal.Ignore(syscall.SIGPIPE)
	asked, ignore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(asked, ignore) // the next signal kills
	os.Exit(run(asked, os.Args[1:], os.Stdout, os.Stderr))
}

// The exit statuses. 75 is EX_TEMPFAIL of sysexits.h.
const (
	exitDone   = 0
	exitFailed = 1
	exitMisuse = 2 // as package flag does it
	exitLater  = 75
)

// run is main with all that tests replace. It ends soon after asked does.
func run(asked context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err == nil {
		err = c.export(asked, stdout, stderr)
	}
	return status(err, stderr)
}

// status says how the run ended, and returns the exit status.
func status(err error, stderr io.Writer) int {
	var later *tryLater
	var wrong *misuse
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &later):
		fmt.Fprintf(stderr, "batch: try again with -resume, %s: %v\n", when(later.at), later.err)
		return exitLater
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "batch: %v; -h lists the flags\n", err)
		return exitMisuse
	}
	fmt.Fprintln(stderr, "batch:", err)
	return exitFailed
}

// when says in words when t is.
func when(t time.Time) string {
	in := time.Until(t).Round(time.Second)
	if in <= 0 {
		return "now"
	}
	return fmt.Sprintf("not before %s (in %v)", t.Format(time.RFC3339), in)
}
