// Fleet exports a data set by many processes, on one machine or many, that share
// the quota of one token. The pages of the export are tasks of the queue
// github.com/hibiken/asynq, in Redis, and the quota is shared by
// contrib/redispace.
//
//	go run . demo
//
// shows all of it on this machine: it needs redis-server, and no network. In
// earnest there are three commands, which need a Redis and a directory that all
// machines see:
//
//	export SODA_APP_TOKEN=...
//	fleet plan -portal https://data.example.gov -dataset abcd-1234 -dir job
//	fleet work -rps 20 -dir job    # as often as you like, anywhere, at any time
//	fleet join -dir job -out rows.csv
//
// Plan counts the rows and puts each page into the queue, under a name of its
// own, so that planning again adds what is missing and nothing else. Work takes
// pages until there are none left. A page is written to a file of another name,
// synced and renamed, so it is there as a whole or not at all, and once, however
// often it was asked for. A page that fails is tried again later by the queue; so
// is one whose worker is gone, a minute or two after. Join checks that all pages
// are there, puts them together in order, and prints how many rows these are and
// their SHA-256.
//
// A data set that changes while it is read would give rows twice or not at all:
// every page has to say that it was last modified when the plan was made, or the
// job fails.
//
// SIGTERM drains a worker: it takes no more pages, and has -drain to finish those
// that it has; the queue gives others what is left. The exit statuses are
//
//	0   done: the pages are in the queue; all pages are there; the file is there
//	1   it failed
//	2   there is no such command or flag, or one is missing
//	75  later: the worker was told to stop, pages are missing, or Redis cannot be
//	    reached; the same command goes on
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Exit statuses; 75 is EX_TEMPFAIL of sysexits.h.
const (
	exitDone   = 0
	exitFailed = 1
	exitMisuse = 2 // as package flag does it
	exitLater  = 75
)

// errLater marks what the same command may do at another time.
var errLater = errors.New("try again later")

func later(format string, args ...any) error {
	return fmt.Errorf("%w: %w", fmt.Errorf(format, args...), errLater)
}

// A misuse is an error that the command line is.
type misuse struct{ error }

// about says more of a command than its flags do.
var about = map[string]string{
	"fleet demo": `It has no flags. It starts a Redis, a fake portal and four workers, each a process
of its own, exports 10,000 rows of the portal, and removes all of it again. It
needs redis-server, and no network.
`,
}

// parse reads the flags. It prints the help that is asked for, and no error.
func parse(f *flag.FlagSet, args []string) error {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(os.Stderr)
		fmt.Fprintf(os.Stderr, "usage: %s [flags]\n\n%s", f.Name(), about[f.Name()])
		f.PrintDefaults()
		return err
	}
	if err == nil && f.NArg() > 0 {
		err = errors.New("there are no arguments, only flags") // and it may be a token in the wrong place
	}
	if err != nil {
		return &misuse{err}
	}
	return nil
}

// commands are what fleet can do.
var commands = map[string]func(ctx context.Context, args []string, out io.Writer) error{
	"demo":  demo,
	"serve": serve,
	"plan":  planPages,
	"work":  work,
	"join":  join,
}

// help is what -h prints.
const help = `usage: fleet command [flags]

Fleet exports a data set by many processes, on one machine or many, that share
the quota of one token through Redis. The commands are

	demo   show all of it on this machine; it needs redis-server, and no network
	plan   count the rows, and put each page into the queue; to do it again adds
	       what is missing
	work   take pages until there are none left: as often as you like, anywhere,
	       at any time
	join   check that all pages are there, and put them together
	serve  be a fake portal, as demo has it

A job is a plan, any number of workers, and a join, all with the same -dir:

	export SODA_APP_TOKEN=...
	fleet plan -portal https://data.example.gov -dataset abcd-1234 -dir job
	fleet work -rps 20 -dir job
	fleet join -dir job -out rows.csv

"fleet plan -h" lists the flags of plan, and so on. In the environment,
SODA_APP_TOKEN is the application token and REDIS_PASSWORD that of Redis.

The exit status is 0 (done), 1 (it failed), 2 (no such command or flag, or one is
missing) or 75 (later: a worker was told to stop, pages are missing, or Redis
cannot be reached; the same command goes on).
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) (status int) {
	logging.Disable() // go-redis reports every lost connection
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case len(args) == 0:
		fmt.Fprint(os.Stderr, help)
		return exitMisuse
	case args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help":
		fmt.Fprint(os.Stderr, help)
		return exitDone
	case commands[args[0]] == nil:
		fmt.Fprintln(os.Stderr, "fleet: there is no such command; fleet -h lists them") // it may be a token in the wrong place
		return exitMisuse
	}
	err := commands[args[0]](ctx, args[1:], os.Stdout)
	var wrong *misuse
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errLater):
		status = exitLater
	case errors.As(err, &wrong):
		err, status = fmt.Errorf("%w; see fleet %s -h", err, args[0]), exitMisuse
	default:
		status = exitFailed
	}
	fmt.Fprintf(os.Stderr, "fleet %s: %v\n", args[0], err)
	return status
}

// A job is what the commands have in common.
type job struct {
	dir   string
	redis string
}

// flags returns the flags of a command.
func (j *job) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet("fleet "+name, flag.ContinueOnError)
	f.StringVar(&j.dir, "dir", "fleet-job", "the `directory` of the job, which all processes see")
	if name != "join" {
		f.StringVar(&j.redis, "redis", "redis://127.0.0.1:6379", "the `URL` of Redis; a password in REDIS_PASSWORD is not seen by others")
	}
	return f
}

// connect returns a client for Redis, if that can be reached.
func (j *job) connect(ctx context.Context) (*redis.Client, error) {
	opts, err := redis.ParseURL(j.redis)
	if err != nil {
		return nil, &misuse{errors.New("-redis is no URL such as redis://host:6379")} // err may have a password in it
	}
	if pass := os.Getenv("REDIS_PASSWORD"); pass != "" {
		opts.Password = pass
	}
	client := redis.NewClient(opts)
	if err := client.Ping(ctx).Err(); err != nil {
		client.Close()
		return nil, later("Redis cannot be reached: %w", err)
	}
	return client, nil
}

func (j *job) planFile() string     { return filepath.Join(j.dir, "plan.json") }
func (j *job) part(page int) string { return filepath.Join(j.dir, fmt.Sprintf("page-%06d.csv", page)) }
