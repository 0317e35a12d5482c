// Simulate prints how this library and its rivals fare against models of
// throttled servers, in virtual time.
package main

import (
	"flag"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/bench/sim"
)

func main() {
	models := flag.String("models", "", "regular expression of servers' names")
	clients := flag.String("clients", "", "regular expression of clients' names")
	workers := flag.String("workers", "64", "numbers of workers, by comma")
	seeds := flag.Int("seeds", 5, "runs of each cell")
	first := flag.Int("first", 1, "first seed")
	length := flag.Int("seconds", 120, "virtual seconds of a run")
	held := flag.Bool("held", false, "other servers, that little was tuned on")
	jobs := flag.Int("jobs", 0, "simulate a job of so many requests instead of a time")
	arrivals := flag.Float64("arrivals", 0, "simulate outages under so many requests a second instead")
	flag.Parse()
	o := sim.Options{Models: *models, Clients: *clients, Length: time.Duration(*length) * time.Second, Held: *held}
	for _, w := range strings.Split(*workers, ",") {
		n, err := strconv.Atoi(w)
		if err != nil {
			panic(err)
		}
		o.Workers = append(o.Workers, n)
	}
	for i := range *seeds {
		o.Seeds = append(o.Seeds, uint64(*first+i))
	}
	table := sim.Table
	if o.Jobs = *jobs; o.Jobs > 0 {
		table = sim.Short
	}
	if *arrivals > 0 {
		table = func(t *testing.T, w io.Writer, o sim.Options) { sim.Arrivals(t, w, o, *arrivals) }
	}
	// synctest needs a *testing.T, and testing.Main makes one.
	os.Args = os.Args[:1]
	testing.Main(func(_, _ string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "simulate", F: func(t *testing.T) { table(t, os.Stdout, o) }}}, nil, nil)
}
