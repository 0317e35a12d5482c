package main

import (
	"fmt"
	"testing"
	"time"

	"gonum.org/v1/plot/plotter"

	"github.com/sodahttp/sodahttp/bench/sim"
)

func grow(t *testing.T, r *run) {
	r.printf("## Growth\n\nWhat a request costs by how much else there is.\n\n")
	for _, c := range growth(t, r) {
		var tab table
		lineOf := map[string]*line{}
		var order []string
		for i, n := range c.sizes {
			row := []string{thousands(n)}
			tab.columns = nil
			benchstat(&r.bench, fmt.Sprintf("Growth%s/n=%d", c.name, n), c.all[i])
			for _, s := range c.all[i] {
				m, least, most := s.of(ns)
				tab.columns = append(tab.columns, s.name)
				row = append(row, fmt.Sprintf("%s (%s to %s)", nanos(m), nanos(least), nanos(most)))
				if lineOf[s.name] == nil {
					lineOf[s.name], order = &line{name: s.name}, append(order, s.name)
				}
				lineOf[s.name].xys = append(lineOf[s.name].xys, plotter.XY{X: float64(n), Y: m})
			}
			tab.rows = append(tab.rows, row)
		}
		tab.corner = c.x
		var ls []line
		for i := len(order) - 1; i >= 0; i-- {
			ls = append(ls, *lineOf[order[i]])
		}
		r.picture("growth-"+slug(c.name), c.title, lines("Cost of "+c.title, c.x, "ns", true, ls))
		r.table(tab)
	}
	r.printf("%s", growthText)
}

const growthText = `In the first, a Pacer finds the quota by a hash, and knows 16,384 unless MaxKeys says otherwise; what grows is what the processor's caches do not hold; who keeps nothing by host does not pay that, and knows nothing of it. Of more hosts in turn each would be a new one, at half a microsecond and two allocations. In the second, so many callers wait out a Retry-After of another host: who waits holds no lock. In the third, of one quota of 1,000/s: the processor's time until all are served, the waits being virtual, over the number of callers: a caller of ours is put in line and woken for its turn, which costs more than the retries of few callers and less than those of many; the others try until they get through.

`

// A night is the jobs of a portal's users.
func portal(t *testing.T, r *run) {
	p := sim.Portal{Tokens: 1000, Callers: 100, Requests: 10, Rate: 20, Burst: 20, Spread: time.Minute}
	if r.quick {
		p.Tokens, p.Requests = 50, 2
	}
	clients := map[int][]string{1: {"sodahttp", "loop", "go-retryablehttp"}, 10: {"sodahttp", "go-retryablehttp"}}
	r.printf("## What one portal feels\n\nOne server, %s app tokens, and behind each a job with %d callers that ask for %d answers each: %s requests in all. Each token has a quota of its own, a bucket of %g/s and %g, which nobody is told; the server as a whole takes everything. The jobs start at random times within %v, as they do at night, and a round trip takes 80 ms. A job is one program with one Transport, or ten programs that know nothing of each other. At best a job takes %.0f s.\n\n",
		thousands(p.Tokens), p.Callers, p.Requests, thousands(p.Tokens*p.Callers*p.Requests), p.Rate, p.Burst, p.Spread, (float64(p.Callers*p.Requests)-p.Burst)/p.Rate)
	tab := table{"", []string{"sent", "rejected", "peak, requests/s", "a job took, median and longest", "failed"}, nil}
	var ls []line
	for _, programs := range []int{1, 10} {
		p := p
		p.Programs, p.Callers = programs, p.Callers/programs
		for _, c := range sim.Clients {
			for _, name := range clients[programs] {
				if name != c.Name {
					continue
				}
				r.progress(fmt.Sprintf("portal, %d programs a job, %s", programs, name))
				f := p.Run(t, c, 301)
				fmt.Fprintf(&r.sim, "# portal, %d programs a job, %s: sent %d, refused %d, failed %d, peak %d/s, jobs %v %v, last after %v\n",
					programs, name, f.Sent, f.Refused, f.Failed, f.Peak, f.Jobs[len(f.Jobs)/2], f.Jobs[len(f.Jobs)-1], f.Last)
				tab.rows = append(tab.rows, []string{fmt.Sprintf("%s, %d program%s a job", name, programs, plural(programs)), thousands(f.Sent),
					fmt.Sprintf("%.1f %%", 100*float64(f.Refused)/float64(f.Sent)), thousands(f.Peak),
					fmt.Sprintf("%.0f s, %.0f s", f.Jobs[len(f.Jobs)/2].Seconds(), f.Jobs[len(f.Jobs)-1].Seconds()), thousands(f.Failed)})
				if programs == 1 {
					ls = append([]line{{name, smooth(f.PerSecond, func(s sim.Second) float64 { return float64(s.Accepted + s.Refused) }, 240)}}, ls...)
				}
			}
		}
	}
	r.picture("portal", "Requests per second that reach the portal", lines("What reaches the portal", "seconds", "requests per second", false, ls))
	r.table(tab)
	r.printf("%s", portalText)
}

const portalText = "**Where we are not first:** ten programs that know nothing of each other learn unequal shares of one quota, so the last of them is late. What would change it: a Limiter that they share.\n\n"

func plural(n int) string { return ifnot(n == 1, "s") }
