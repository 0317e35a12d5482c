package main

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
)

const intro = `But in the simulations, everybody is set to 3 retries and exponential waits from 500 ms to 30 s, with the jitter and the Retry-After that they have, and otherwise as their documentation has it ([rivals.go](../bench/rivals.go), [clients.go](../bench/clients.go)). *bare* sends to Base and does nothing else. *loop* is what a careful person writes by hand: full jitter, Retry-After in seconds, no second write ([loop.go](../bench/loop.go)). resty and heimdall are clients and no RoundTrippers; a few lines make them one, without redirects. heimdall cannot be told to retry a 429, so it is not among the simulations. rehttp is told which statuses and methods to retry, as its documentation shows.

In tables of costs a cell has the median, then the range of the middle half of the rounds. **Bold** is the best in its row, and whatever cannot be told from it: the two ranges overlap. The rounds are in [benchstat.txt](benchmarks/benchstat.txt), which benchstat reads (` + "`benchstat -col /client benchstat.txt`" + `); the simulations, run by run, are in [simulation.txt](benchmarks/simulation.txt).

`

// A stat is a cell of a table of costs.
type stat struct {
	low, median, high float64
	show              func(float64) string
	rest              string // of the cell
}

// costRow returns the cells of a row, the best ones bold. What is in column 0
// does not take part, if it is bare.
func costRow(name string, columns []string, stats []stat) []string {
	best := -1
	for i, s := range stats {
		if columns[i] != "bare" && (best < 0 || s.median < stats[best].median) {
			best = i
		}
	}
	row := []string{name}
	for i, s := range stats {
		median := s.show(s.median)
		if columns[i] != "bare" && s.low <= stats[best].high {
			median = bold(median)
		}
		row = append(row, fmt.Sprintf("%s<br>%s to %s%s", median, s.show(s.low), s.show(s.high), s.rest))
	}
	return row
}

func (r *run) works(works []work) {
	var t table
	for _, w := range works {
		benchstat(&r.bench, w.name, w.all)
		var stats []stat
		t.columns = nil
		for _, s := range w.all {
			var v []float64
			for _, x := range s.samples {
				v = append(v, x.ns)
			}
			low, median, high := quartiles(v)
			t.columns = append(t.columns, s.name)
			stats = append(stats, stat{low, median, high, nanos, fmt.Sprintf("<br>%.0f allocs", s.median(allocs))})
		}
		t.rows = append(t.rows, costRow(w.row, t.columns, stats))
	}
	r.table(t)
}

func first(_ *testing.T, r *run) {
	works := firstAttempts(r)
	r.printf("## A request that succeeds at once\n\n")
	for _, w := range works {
		if w.name == "FirstAttempt/work=GET/over=stub" {
			r.bars("overhead-get", "A GET that succeeds, over a Base that does nothing", w.all)
		}
		if w.name == "FirstAttempt/work=POST/over=stub" {
			r.bars("overhead-post", "A POST of 64 KiB, over a Base that does nothing", w.all)
		}
	}
	r.works(works)
	r.printf("%s", firstText)
}

const firstText = `A body that each POST needs anew is in every column: two allocations, bare's. Over TCP the client's and the server's allocations are counted together.

**Where we are not first:** the loop looks at one status and at nothing else. Ours reads the clock, which the history and the Pacer need and which is most of the difference, and asks the Pacer. A Transport that did not know when a request was sent could do without; it could then not tell a slow answer from a queue. Over TCP a bare RoundTrip takes so long that nobody who leaves the body alone can be told from it.

An app token costs two looks at the header and a hash, by which its quota is found, so that the token is not kept: rehttp, which knows of no quotas, is ahead there. What would change it: to keep the token, which we will not.

`

func (r *run) bars(name, title string, all []*series) {
	b := bars{least: .5}
	for _, s := range slices.Backward(all) {
		v := s.median(ns)
		b.names, b.values = append(b.names, s.name), append(b.values, v)
		b.words = append(b.words, fmt.Sprintf("%s, %.0f allocs", nanos(v), s.median(allocs)))
	}
	r.picture(name, title, b.draw(title+" (log scale)"))
}

func retry(t *testing.T, r *run) {
	clean, retried := retries(t, r)
	benchstat(&r.bench, "TenRequests/retried=0", clean)
	benchstat(&r.bench, "TenRequests/retried=1", retried)
	var columns []string
	var stats []stat
	for i := range clean {
		var more []float64
		for j := range clean[i].samples {
			more = append(more, retried[i].samples[j].ns-clean[i].samples[j].ns)
		}
		low, median, high := quartiles(more)
		columns = append(columns, clean[i].name)
		stats = append(stats, stat{low, median, high, nanos, fmt.Sprintf("<br>%.0f allocs", retried[i].median(allocs)-clean[i].median(allocs))})
	}
	r.printf("## One retry\n\n" +
		"What ten requests cost of which one is answered 502 first, less what ten cost that are not. The wait is virtual: it costs one timer, in bare's column too, which here sleeps and sends once more.\n\n")
	r.table(table{"", columns, [][]string{costRow("one retry", columns, stats)}})
	r.printf("**Where we are not first:** a retry of ours enters go-retryablehttp's loop, reads and puts back the error's body to learn what happened, keeps a history and asks the retry budget. It happens after a failure and before a wait of half a second. What would change it: a loop of our own, which we would have to prove anew.\n\n")
}

func goroutines(_ *testing.T, r *run) {
	works := parallel(r)
	r.printf("## 64 goroutines on one RoundTripper\n\nTime for each request, all goroutines together: on n cores, the n-th part of what one request takes. The response of a Base that works is new each time, which is two allocations.\n\n")
	r.works(works)
	r.printf("**Where we are not first:** in the first row the loop, by the clock reading and by the one atomic word that the goroutines share, which numbers the sends. No lock is held. What would change it: a number for each core, from which nobody could tell what was sent before a refusal. Beside the smallest of real round trips, in the last row, it is not seen.\n\n")
}

func up(_ *testing.T, r *run) {
	all := uploads(r)
	r.printf("## An upload of 1 GiB\n\nA PUT over loopback TCP, with GetBody, whose first attempt is answered 503 before it is read. What the heap grew by at most, looked at every 2 ms: median of %d, least and most. The time has the wait before the second attempt in it, which is random.\n\n", len(all[0].peaks))
	b := bars{least: .1}
	for _, u := range slices.Backward(all) {
		_, v, _ := quartiles(u.peaks)
		mib := v / (1 << 20)
		b.names, b.values = append(b.names, u.name), append(b.values, mib)
		b.words = append(b.words, fmt.Sprintf("%s MiB%s", mebi(mib), ifnot(u.outcome == "whole", ", fails")))
	}
	r.picture("upload", "Memory of an upload of 1 GiB", b.draw("Memory of an upload of 1 GiB (log scale)"))
	best := min(slices.Min(b.values), 1e9)
	t := table{"", []string{"heap, MiB", "took", "what arrived"}, nil}
	for _, u := range all {
		_, v, _ := quartiles(u.peaks)
		_, took, _ := quartiles(u.took)
		cell := mebi(v / (1 << 20))
		if v/(1<<20) < best*1.5 {
			cell = bold(cell)
		}
		t.rows = append(t.rows, []string{u.name, fmt.Sprintf("%s (%s to %s)", cell, mebi(slices.Min(u.peaks)/(1<<20)), mebi(slices.Max(u.peaks)/(1<<20))), fmt.Sprintf("%.1f s", took), u.outcome})
		for i, peak := range u.peaks {
			fmt.Fprintf(&r.bench, "BenchmarkUpload/client=%s-%d\t1\t%.0f ns/op\t%.0f peak-B\n", slug(u.name), runtime.GOMAXPROCS(0), u.took[i]*1e9, peak)
		}
	}
	r.table(t)
	r.printf("Bold is within half as much again of the best. Whoever streams from GetBody is level; a Spool keeps a body without one in a file.\n\n")
}

func mebi(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return thousands(v)
}

func ifnot(ok bool, s string) string {
	if ok {
		return ""
	}
	return s
}

func down(_ *testing.T, r *run) {
	works := downloads(r)
	r.printf("## A download of 1 GiB\n\nOver loopback TCP, not cut, with and without Resume, read to the end:\n\n")
	t := table{"", nil, nil}
	for _, w := range works {
		benchstat(&r.bench, w.name, w.all)
		row := []string{w.row}
		t.columns = nil
		for _, s := range w.all {
			m, fast, slow := s.of(ns)
			t.columns = append(t.columns, s.name)
			row = append(row, fmt.Sprintf("%.1f GB/s (%.1f to %.1f)", gib/m, gib/slow, gib/fast))
		}
		t.rows = append(t.rows, row)
	}
	r.table(t)
	r.printf("**Where we are not first:** Resume counts at each Read, and of CSV it watches the tail. That is over loopback, from a server in the same program; \u0060go test -run '^$' -bench Download -benchtime 1x -count 9\u0060 has larger reads and a server at 1 GB/s, where it is not seen.\n\n" +
		"The same of 16 MiB whose connection breaks once, in the middle:\n\n")
	t = table{"", []string{"bytes read", "outcome"}, nil}
	for _, c := range cuts(r) {
		outcome := c.outcome
		if outcome == "whole" {
			outcome = bold(outcome)
		}
		t.rows = append(t.rows, []string{c.name, thousands(c.bytes), outcome})
	}
	r.table(t)
	r.printf("A body that was handed to the caller cannot be sent for again by whoever does not follow it; Resume does, with Range and If-Range.\n\n")
}
