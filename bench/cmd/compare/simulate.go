package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot/plotter"

	"github.com/sodahttp/sodahttp/bench/sim"
)

const letters = "Letters: A token bucket (rate, burst), B fixed window, C sliding log, D a dataset that takes so many queries at once, E a bucket that answers 503, F a capacity that changes, G an outage of 30 s, H no limit, I several clients on one quota, L latency before the limiter, N a server that refuses a share of all requests at random with a 503, whatever their pace. c80 is a round trip of 80 ms; ln is lognormal with a median of 200 ms and a 99th percentile of 2 s; RA means that Retry-After: 1 is sent (in B and C the rest of the window).\n\n"

// options are those of a simulation, with servers that match models.
func (r *run) options(models string) sim.Options {
	if r.quick {
		models = `^A \(50,10\) c80|^G outage 503|^F .* c80|^D cap15 s50$|20% of unlimited c80`
	}
	return sim.Options{Models: models, Workers: []int{64}, Seeds: r.seeds(), Length: 120 * time.Second}
}

// cells simulates, writes the table and returns what came of it.
func (r *run) cells(t *testing.T, o sim.Options, what string) []*sim.Cell {
	fmt.Fprintf(&r.sim, "# %s\n%s\n", what, sim.Header)
	var all []*sim.Cell
	sim.Each(t, o, func(c *sim.Cell) {
		if c.Client == sim.Ours.Name {
			r.progress(what + ", " + c.Model.Name)
		}
		c.Print(&r.sim)
		all = append(all, c)
	})
	r.servers(all, []figure{eff, rej, longest})
	return all
}

// A figure is one number of a cell.
type figure struct {
	name   string
	of     func(*sim.Cell) float64
	format string
	most   bool // the best is the most
}

var (
	eff     = figure{"eff", median(func(r sim.Result) float64 { return r.Efficiency }), "%.2f", true}
	rej     = figure{"rej", median(func(r sim.Result) float64 { return 100 * r.Rejected }), "%.1f", false}
	longest = figure{"longest", median(func(r sim.Result) float64 { return r.LongestWait.Seconds() }), "%.1fs", false}
	down30  = figure{"sent into it", median(func(r sim.Result) float64 { return float64(r.SentDown) }), "%.0f", false}
	back    = figure{"full speed again after", median(func(r sim.Result) float64 { return r.Back.Seconds() }), "%.1fs", false}
	jain    = figure{"Jain's index", median(func(r sim.Result) float64 { return r.Jain }), "%.2f", true}
)

func median(f func(sim.Result) float64) func(*sim.Cell) float64 {
	return func(c *sim.Cell) float64 { m, _, _ := c.Median(f); return m }
}

// shown is the number as it is printed, which is what can be compared.
func (f figure) shown(c *sim.Cell) (s string, v float64) {
	s = fmt.Sprintf(f.format, f.of(c))
	fmt.Sscanf(s, "%f", &v)
	if f.name == eff.name {
		v = min(v, 1) // more is chance
	}
	return s, v
}

// best returns the best of a row.
func (f figure) best(row []*sim.Cell) float64 {
	best := math.Inf(1)
	if f.most {
		best = math.Inf(-1)
	}
	for _, c := range row {
		if _, v := f.shown(c); f.most == (v > best) && v != best {
			best = v
		}
	}
	return best
}

// byServer groups cells.
func byServer(all []*sim.Cell) (rows [][]*sim.Cell) {
	for i, c := range all {
		if i == 0 || all[i-1].Model.Name != c.Model.Name {
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], c)
	}
	return rows
}

// servers writes a table of figures, the best of each row bold.
func (r *run) servers(all []*sim.Cell, figures []figure) {
	var t table
	var names []string
	for _, f := range figures {
		names = append(names, f.name)
	}
	for _, row := range byServer(all) {
		line := []string{row[0].Model.Name}
		t.columns = nil
		for _, c := range row {
			var cell []string
			for _, f := range figures {
				s, v := f.shown(c)
				if v == f.best(row) {
					s = bold(s)
				}
				cell = append(cell, s)
			}
			t.columns = append(t.columns, c.Client)
			line = append(line, strings.Join(cell, " / "))
			if n := c.Most(func(r sim.Result) int { return r.Failed }); n > 0 {
				line[len(line)-1] += fmt.Sprintf(", %d failed", n)
			}
		}
		t.rows = append(t.rows, line)
	}
	t.corner = "server: " + strings.Join(names, " / ")
	r.table(t)
}

// standing says, of each figure, in how many rows we are first or level and
// names the others.
func (r *run) standing(all []*sim.Cell, figures []figure) {
	rows := byServer(all)
	r.printf("**First, or level with the first, as the numbers are printed:**\n\n")
	for _, f := range figures {
		var behind []string
		for _, row := range rows {
			for _, c := range row {
				if s, v := f.shown(c); c.Client == sim.Ours.Name && v != f.best(row) {
					behind = append(behind, fmt.Sprintf("%s (%s; %s)", c.Model.Name, s, fmt.Sprintf(f.format, f.best(row))))
				}
			}
		}
		r.printf("- %s: in %d of %d.", f.name, len(rows)-len(behind), len(rows))
		if len(behind) > 0 {
			r.printf(" Not at %s.", strings.Join(behind, ", "))
		}
		r.printf("\n")
	}
	r.printf("\n")
}

func throttle(t *testing.T, r *run) {
	r.printf("## Servers that throttle and do not say how much\n\n" +
		"Virtual time, in `testing/synctest`: 64 workers, 120 s, medians of 3 seeds that nothing was tuned on (`go run ./cmd/simulate -first 301 -seeds 3`). *eff* is what was accepted over what the server would have accepted, or what the workers would have asked of a server without limits, whichever is less (more than 1 is luck with the latency, and counts as 1); *rej* is rejected over sent, in percent; *longest* is the longest that a request took from its start to its answer, of which 120 s means that it never came to its turn. sodahttp has `policy.Batch()`. Every client may try as often as it likes; the others are set to exponential waits from 100 ms to 30 s, with jitter where they have it ([sim/rivals.go](../bench/sim/rivals.go)).\n\n" + letters)
	at := r.text.Len()
	all := r.cells(t, r.options(""), "throttled servers")
	tail := strings.Clone(r.text.String()[at:])
	r.text.Truncate(at)
	r.overTime(all)
	r.text.WriteString(tail)
	r.printf("The runs of a cell differ by %s in eff, in the median cell, and by %s in rej; most by %s and %s.\n\n", r.spread(all)...)
	r.standing(all, []figure{eff, rej, longest})
	r.printf("%s", whyNot)
	r.some(all, "G outage", "In the outage (G)", []figure{down30, back})
	r.some(all, "I", "Several clients on one quota", []figure{eff, rej, jain})
}

const whyNot = `Why:

- eff on buckets: a client that hammers uses up the last percents of the capacity, too, with 2 to 94 % of its requests refused and with some that never come to their turn. What would change it: to ask more often whether there is more, for a refusal each time.
- eff and longest where nobody is refused (A (300,50) ln, A (1000,100), H): a server without a limit in reach is approached by a slow start.
- eff with Retry-After and a small bucket: everybody is held for the second that the server asks for, by design: the pause is the quota's. The others let each request wait by itself, and are refused for it.
- eff with a burst of 1: what comes a moment too early is refused, so the pace keeps below the rate, and requests that take unevenly long to get there meet the limit out of step.
- eff of B and C without Retry-After: the rest of a window that was used up is lost to find out how long it is, and the next is used evenly. longest there: of a window that is used up, those wait for the next who stand behind; the others' own waits mix them, and the last of theirs is luck.
- eff of D: the limit in flight is found by trial; with other people's queries a share of the slots that others leave is left free as well, and it follows their load too slowly.
- eff of F: it takes some seconds to learn that there is more again, as that is tested by and by.
- eff, rej and longest at N: refusals that do not depend on the pace are taken for a throttle at first, and until a trial has shown what they are; and each waits out the policy's back-off, which is longer than the others'. Of what is refused at random, the share is the server's, more or less by chance. This is where a Pacer is weak.
- Jain's index with ten programs on one quota: each learns its part by itself, and the parts are not equal. What would change it: a Limiter that they share.
- longest elsewhere: others that never wait in line can be faster by luck.

`

func (r *run) spread(all []*sim.Cell) []any {
	var e, j []float64
	for _, c := range all {
		_, low, high := c.Median(func(r sim.Result) float64 { return r.Efficiency })
		e = append(e, high-low)
		_, low, high = c.Median(func(r sim.Result) float64 { return 100 * r.Rejected })
		j = append(j, high-low)
	}
	slices.Sort(e)
	slices.Sort(j)
	return []any{fmt.Sprintf("%.3f", e[len(e)/2]), fmt.Sprintf("%.2f points", j[len(j)/2]), fmt.Sprintf("%.2f", e[len(e)-1]), fmt.Sprintf("%.1f points", j[len(j)-1])}
}

// some writes a table of the servers whose names begin so.
func (r *run) some(all []*sim.Cell, prefix, title string, figures []figure) {
	all = slices.DeleteFunc(slices.Clone(all), func(c *sim.Cell) bool { return !strings.HasPrefix(c.Model.Name, prefix) })
	if len(all) > 0 {
		r.printf("%s:\n\n", title)
		r.servers(all, figures)
	}
}

// overTime draws what happened by the second.
func (r *run) overTime(all []*sim.Cell) {
	accepted := func(s sim.Second) float64 { return float64(s.Accepted) }
	sent := func(s sim.Second) float64 { return float64(s.Accepted + s.Refused) }
	share := func(s sim.Second) float64 { return float64(s.Refused) }
	for _, p := range []struct {
		server, name, title, y string
		of                     func(sim.Second) float64
		to                     int
	}{
		{"F 100>20>200 c80", "goodput", "Answered: the quota is 100, 20, then 200/s", "answers per second", accepted, 180},
		{"F 100>20>200 c80", "refused", "Refused meanwhile", "refusals per second", share, 180},
		{"G outage 503 c80", "recovery", "Sent to a server that is down from 10 s to 40 s", "requests per second", sent, 80},
	} {
		var ls []line
		for _, c := range slices.Backward(all) { // ours comes last
			if c.Model.Name == p.server {
				ls = append(ls, line{c.Client, smooth(c.Runs[0].PerSecond, p.of, p.to)})
			}
		}
		if len(ls) > 0 {
			r.picture(p.name, p.title, lines(p.title, "seconds", p.y, false, ls))
		}
	}
	if ls := intoOutage(all); len(ls) > 0 {
		const title = "Sent into an outage from 10 s to 40 s, in all"
		r.picture("outage", title, lines(title, "seconds", "requests", false, ls))
	}
}

// intoOutage adds up what is sent while nobody answers.
func intoOutage(all []*sim.Cell) (ls []line) {
	for _, c := range slices.Backward(all) {
		if c.Model.Name != "G outage 503 c80" {
			continue
		}
		l, sum := line{name: c.Client}, 0
		for i, s := range c.Runs[0].PerSecond {
			if i >= 10 && i < 40 {
				sum += s.Refused
				l.xys = append(l.xys, plotter.XY{X: float64(i + 1), Y: float64(sum)})
			}
		}
		ls = append(ls, l)
	}
	return ls
}

// smooth averages over three seconds.
func smooth(per []sim.Second, of func(sim.Second) float64, to int) (xys plotter.XYs) {
	for i := 1; i+1 < min(len(per), to); i++ {
		xys = append(xys, plotter.XY{X: float64(i) + .5, Y: (of(per[i-1]) + of(per[i]) + of(per[i+1])) / 3})
	}
	return xys
}

func held(t *testing.T, r *run) {
	r.printf("### Servers that little was tuned on\n\n`go run ./cmd/simulate -held -first 301 -seeds 3`. Some of them led to changes after they were first seen.\n\n")
	o := r.options("")
	o.Held = true
	if r.quick {
		o.Models = `^A \(20,5\)`
	}
	r.standing(r.cells(t, o, "held-out servers"), []figure{eff, rej, longest})
	r.printf("Why: as above.\n\n")
}

func windows(t *testing.T, r *run) {
	r.printf("### Windows of a minute, for five minutes\n\n`go run ./cmd/simulate -models '^[BC]' -seconds 300 -first 301 -seeds 3`\n\n")
	o := r.options("^[BC]")
	o.Length = 300 * time.Second
	if r.quick {
		o.Models = "^B win 1000/60 c80$"
	}
	r.standing(r.cells(t, o, "windows for 300 s"), []figure{eff, rej, longest})
	r.printf("Why: as above.\n\n")
}

func short(t *testing.T, r *run) {
	r.printf("### Short jobs\n\n`go run ./cmd/simulate -jobs 200 -first 301 -seeds 3`: 200 requests by 64 workers; the ideal time as a share of the time it took, and the percentage that was refused. This is where learning costs most: a bucket of (300,50) could have taken them all in half a second. More than 1 is luck with the latency.\n\n")
	o := r.options("")
	o.Jobs = 200
	fmt.Fprintf(&r.sim, "# short jobs\n%s\n", sim.ShortHeader)
	var all []*sim.Cell
	sim.EachShort(t, o, func(c *sim.Cell) {
		if c.Client == sim.Ours.Name {
			r.progress("short jobs, " + c.Model.Name)
		}
		c.PrintShort(&r.sim)
		all = append(all, c)
	})
	share := eff
	share.name = "share of the ideal"
	r.servers(all, []figure{share, rej})
	r.standing(all, []figure{share, rej})
	r.printf("Why: nobody is told the limit, so ours begins slowly and finds it in a few seconds, which is most of a short job. A client that fires everything at once is faster where the burst or the rate takes it, and refused where it does not. What would change it: a limit that is known before, from the last run (`json.Marshal(pacer)`) or from a Limiter.\n\n")
}

func arrivals(t *testing.T, r *run) {
	r.progress("outages under a fixed rate")
	r.printf("### Outages under requests that come at a fixed rate\n\n`go run ./cmd/simulate -arrivals 200 -first 301`: requests come at 200/s, whatever becomes of those before, as people's do. Of the demand of the 30 s, the share that was sent into the outage; how many failed, of how many; and when full speed was back. sodahttp has `policy.Batch()` here, and `policy.Interactive()` in the lines that say so. Where we are not first: full speed comes back with the first answer for those who kept asking, and after up to 2 s for those who sent a probe now and then; and who is interactive gives up after his seconds, as he asked to, where the others go on for as long as it takes.\n\n```\n")
	sim.Arrivals(t, &r.text, r.options(""), 200)
	r.printf("```\n\n")
}
