package main

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// demoOut is the name of the demonstration's file, without its ending. It is in
// the working directory, for -resume to find it.
const demoOut = "sodahttp-demo"

// demonstrate lets the export be one of a fake portal with all the troubles that
// a night may have. It runs until the program ends.
func (c *config) demonstrate() {
	srv := sodatest.NewServer(
		sodatest.InMemory(),
		sodatest.Generated(sodatest.SampleID, 100_000),
		sodatest.TokenBucket(100, 20), // and nobody is told
		sodatest.Every(50, sodatest.Fault("execution_timeout")),
		sodatest.Every(51, sodatest.Reply{Cut: 9000}),
		sodatest.Outage(3*time.Second, 2*time.Second, sodatest.HTML(503)),
		sodatest.Latency(func() time.Duration { return 20*time.Millisecond + rand.N(20*time.Millisecond) }),
		sodatest.Every(1, dated(time.Date(2026, time.January, 5, 2, 0, 0, 0, time.UTC))),
	)
	c.Portal, _ = url.Parse(srv.URL) // it is one
	c.Base = srv.Transport()
	c.Dataset = sodatest.SampleID
	c.Page = cmp.Or(c.Page, 200)
	c.Out = demoOut + "." + c.Format
}

// dated gives answers the same date of the data in each run, so that -resume
// has something to go on with.
func dated(t time.Time) sodatest.Reply {
	return sodatest.Reply{Header: map[string]string{headerModified: t.Format(http.TimeFormat)}}
}
