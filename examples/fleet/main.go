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
	exitLater  = 75
)

// errLater marks what the same command may do at another time.
var errLater = errors.New("try again later")

func later(format string, args ...any) error {
	return fmt.Errorf("%w: %w", fmt.Errorf(format, args...), errLater)
}

// commands are what fleet can do.
var commands = map[string]func(ctx context.Context, args []string, out io.Writer) error{
	"demo":  demo,
	"serve": serve,
	"plan":  planPages,
	"work":  work,
	"join":  join,
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) (status int) {
	logging.Disable() // go-redis reports every lost connection
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "usage: fleet demo|plan|work|join|serve [-h] [flags]")
		return exitFailed
	}
	err := commands[args[0]](ctx, args[1:], os.Stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errLater):
		status = exitLater
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
		return nil, errors.New("-redis is no URL such as redis://host:6379") // err may have a password in it
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
