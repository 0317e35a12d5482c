package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// A config is what to export, and how.
type config struct {
	Portal  *url.URL      // scheme and host; nil is the demonstration
	Dataset string        // 4x4 id
	Format  string        // csv or jsonl
	Out     string        // the file to make
	Page    int           // rows in a request
	Workers int           // requests at once
	RPS     float64       // most requests per second; 0 sets no limit of ours
	Token   string        // application token; may be empty
	Resume  bool          // go on where an earlier run stopped
	Restart bool          // begin anew if the data changes meanwhile
	Grace   time.Duration // for pages under way when a signal comes

	Base http.RoundTripper // to the portal; if nil, net/http's own
}

// usage is what -h prints before the flags.
const usage = `usage: batch [flags]

Batch exports a data set of a Socrata portal. Without -domain it exports from a
fake portal in the same process, with troubles and without a network, to
` + demoOut + `.jsonl in the working directory. While it is at work there is a
folder <file>.parts beside the file, and <file>.pace.json keeps the learned pace
for the next run.

`

// exits is what -h prints after the flags.
const exits = `
Environment:
  SODA_APP_TOKEN
    	the application token, if -token is not set

Exit status:
  0	the file is there
  1	it failed, and would again
  2	the flags are wrong
  75	try again later with -resume, at the time that is printed
`

// parse reads the flags. It prints the help that is asked for, and no error.
func parse(args []string, stderr io.Writer) (*config, error) {
	c := new(config)
	flags := flag.NewFlagSet("batch", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	domain := flags.String("domain", "", "`host` of the portal, such as data.cityofnewyork.us, or a URL of a scheme and a host; none is the demonstration")
	flags.StringVar(&c.Dataset, "dataset", "", "4x4 `id` of the data set, such as uczf-rk3c; wants a -domain")
	flags.StringVar(&c.Format, "format", "jsonl", "`csv|jsonl`; jsonl is an object a line")
	flags.StringVar(&c.Out, "out", "", "`file` to make; wants a -domain; the default is <dataset>.<format>, and "+demoOut+".<format> in the demonstration")
	flags.IntVar(&c.Page, "page", 0, "`rows` in a request, from 1; the default is 10000, and 200 in the demonstration")
	flags.IntVar(&c.Workers, "workers", 8, "`number` of requests at once, from 1 to 1000; Socrata takes 15 for one data set, from all its users together")
	flags.Float64Var(&c.RPS, "rps", 0, "most `requests` per second, if you know a limit; without it one is learned")
	flags.StringVar(&c.Token, "token", "", "app `token`; wants a -domain; all users of this machine can see it in ps, so better set SODA_APP_TOKEN")
	flags.BoolVar(&c.Resume, "resume", false, "go on where an earlier run stopped; where there was none, begin")
	flags.BoolVar(&c.Restart, "restart", false, "begin anew if the data changes meanwhile, up to 3 times, instead of failing")
	flags.DurationVar(&c.Grace, "grace", 10*time.Second, "`time` for pages under way after the first Ctrl-C or SIGTERM")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		fmt.Fprint(stderr, exits)
		return nil, err
	}
	if err == nil && flags.NArg() > 0 {
		err = errors.New("there are no arguments, only flags") // and it may be a token in the wrong place
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "page" && c.Page < 1 { // a 0 that is not set is the default
			err = cmp.Or(err, errors.New("-page begins at 1"))
		}
	})
	if err == nil {
		err = c.complete(*domain)
	}
	if err != nil {
		return nil, &misuse{err}
	}
	return c, nil
}

// A misuse is what is wrong with the flags.
type misuse struct{ error }

var fourByFour = regexp.MustCompile(`^[a-z0-9]{4}-[a-z0-9]{4}$`)

// complete checks the flags and fills in their defaults.
func (c *config) complete(domain string) (err error) {
	switch {
	case domain != "":
		if c.Portal, err = portal(domain); err != nil {
			return err
		}
	case c.Dataset != "" || c.Token != "" || c.Out != "":
		return errors.New("-dataset, -token and -out want a -domain, such as data.cityofnewyork.us; without it there is the demonstration, which has its own")
	default:
		c.demonstrate()
	}
	c.Token = cmp.Or(c.Token, os.Getenv("SODA_APP_TOKEN"))
	c.Page = cmp.Or(c.Page, 10_000)
	c.Out = cmp.Or(c.Out, c.Dataset+"."+c.Format)
	switch {
	case c.Out == "-":
		return errors.New("-out wants the name of a file, which is put in place when it is whole: it cannot be standard output")
	case !fourByFour.MatchString(c.Dataset):
		return errors.New("-dataset wants a 4x4 id, such as uczf-rk3c")
	case c.Format != "csv" && c.Format != "jsonl":
		return errors.New("-format is csv or jsonl")
	case c.Workers < 1 || c.Workers > 1000:
		return errors.New("-workers begins at 1 and ends at 1000")
	case !(c.RPS >= 0): // nor what is no number
		return errors.New("-rps begins at 0, which is no limit")
	case c.Grace < 0:
		return errors.New("-grace begins at 0")
	case c.Token != "" && c.Portal != nil && c.Portal.Scheme == "http" && !loopback(c.Portal.Hostname()):
		return errors.New("a token over plain http can be read by all on the way: use https")
	}
	return nil
}

// portal makes a URL of a host, or of the URL of one.
func portal(domain string) (*url.URL, error) {
	if !strings.Contains(domain, "://") {
		domain = "https://" + domain
	}
	u, err := url.Parse(domain)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("-domain wants a host, such as data.cityofnewyork.us, or a URL of a scheme and a host: no path, no query and no user")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
