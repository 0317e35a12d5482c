package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// serve is the command that is a portal, for want of a real one. It prints its
// URL, and when it is stopped, how many requests there were.
func serve(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("fleet serve", flag.ContinueOnError)
	rows := f.Int("rows", 10_000, "how many `rows` the data set "+sodatest.SampleID+" has")
	rps := f.Float64("rps", 50, "how many `requests` per second it takes")
	burst := f.Int("burst", 20, "how many `requests` it takes at once")
	latency := f.Duration("latency", 30*time.Millisecond, "the `time` that an answer takes")
	trouble := f.Bool("trouble", true, "fail now and then: 504, and bodies that are cut")
	if err := parse(f, args); err != nil {
		return err
	}
	opts := []sodatest.Option{
		sodatest.Dataset(sodatest.SampleID, sodatest.GenerateRows(*rows)),
		sodatest.TokenBucket(*rps, *burst),
		sodatest.Latency(func() time.Duration { return *latency }),
	}
	if *trouble {
		opts = append(opts, sodatest.Every(67, sodatest.HTML(504)), sodatest.Every(101, sodatest.Reply{Cut: 300}))
	}
	srv := sodatest.NewServer(opts...)
	defer srv.Close()
	fmt.Fprintln(out, srv.URL)
	<-ctx.Done()
	all, refused := srv.Requests(), 0
	for _, r := range all {
		if r.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if len(all) == 0 {
		return nil
	}
	took := all[len(all)-1].Time.Sub(all[0].Time)
	fmt.Fprintf(out, "%d requests in %.1f s, %d refused\n", len(all), took.Seconds(), refused)
	return nil
}
