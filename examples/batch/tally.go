package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// A tally counts what happens during a run. Several goroutines may tell it.
type tally struct {
	mu       sync.Mutex
	began    time.Time
	total    int // rows there are; 0 as long as that is not known
	restored int // rows that earlier runs got
	rows     int // rows that are there
	bytes    int64
	attempts int
	reasons  map[string]int           // of attempts after the first
	waits    map[string]time.Duration // of all workers together
	rate     float64                  // learned, requests per second
	closed   bool                     // the portal lets nothing through
	pause    bool                     // nobody is sent
	halt     time.Time                // when one of the two began
	halted   time.Duration            // before that
}

func newTally() *tally {
	return &tally{began: time.Now(), reasons: map[string]int{}, waits: map[string]time.Duration{}}
}

// begin notes what there is before the first page is asked for.
func (t *tally) begin(total, rows int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total, t.restored, t.rows, t.bytes, t.began = total, rows, rows, bytes, time.Now()
}

// page notes a page that is on the disk.
func (t *tally) page(rows int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows += rows
	t.bytes += bytes
}

// event is the OnEvent of the Transport and of Resume.
func (t *tally) event(e transport.Event) {
	a := e.Attempt()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case transport.BodyResumed:
		t.reasons["body cut"]++
	case transport.AttemptDone:
		t.waits["for its turn"] += a.Queued
		if !a.Start.IsZero() {
			t.attempts++
		}
		if e.Next != policy.Stop {
			t.reasons[reason(a)]++
			t.waits[why(a.By)] += a.Wait
		}
	}
}

// why names who set a wait.
func why(by policy.Source) string {
	switch by {
	case policy.ByServer:
		return "as the portal asked"
	case policy.ByPoll:
		return "for work in progress"
	}
	return "to back off"
}

// reason names what an attempt came to.
func reason(a transport.Attempt) string {
	if a.Status == 0 {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))
}

// pace is the OnEvent of the Pacer.
func (t *tally) pace(e pace.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.closed || t.pause
	t.rate, t.closed = e.Rate, e.Mode == pace.Closed
	switch e.Kind {
	case pace.PauseBegun:
		t.pause = true
	case pace.PauseEnded:
		t.pause = false
	}
	switch now := t.closed || t.pause; {
	case now && !before:
		t.halt = e.Time
	case before && !now:
		t.halted += e.Time.Sub(t.halt)
	}
}

// status says in one line how far the run is.
func (t *tally) status() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total == 0 {
		return "counting the rows"
	}
	took := time.Since(t.began)
	perSecond := float64(t.rows-t.restored) / max(took.Seconds(), 1e-3)
	s := fmt.Sprintf("%d of %d rows, %.1f MB, %.0f rows/s", t.rows, t.total, float64(t.bytes)/1e6, perSecond)
	if t.rate > 0 {
		s += fmt.Sprintf(", pace %.1f requests/s", t.rate)
	}
	paused := t.halted
	if t.closed || t.pause {
		paused += time.Since(t.halt)
		s += ", PAUSED"
	}
	if paused > 0 {
		s += fmt.Sprintf(", paused %.1f s", paused.Seconds())
	}
	if perSecond > 0 {
		left := time.Duration(float64(t.total-t.rows) / perSecond * float64(time.Second))
		s += ", ETA " + left.Round(time.Second).String()
	}
	return s
}

// report writes what it took, if anything was done.
func (t *tally) report(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.attempts == 0 && t.total == 0 {
		return
	}
	fmt.Fprintf(w, "rows      %d of %d, %d of them by earlier runs; %.1f MB\n", t.rows, t.total, t.restored, float64(t.bytes)/1e6)
	fmt.Fprintf(w, "took      %.1f s, %.1f s of it paused", time.Since(t.began).Seconds(), t.halted.Seconds())
	if t.rate > 0 {
		fmt.Fprintf(w, "; the learned pace is %.1f requests/s", t.rate)
	}
	fmt.Fprintf(w, "\nattempts  %d\nretries   %s\n", t.attempts, list(t.reasons, func(n int) string { return fmt.Sprint(n) }))
	fmt.Fprintf(w, "waited    %s; all workers together\n", list(t.waits, func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }))
}

// list writes m in one line, the greatest first.
func list[V cmp.Ordered](m map[string]V, show func(V) string) string {
	var zero V
	maps.DeleteFunc(m, func(_ string, v V) bool { return v == zero })
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	var all []string
	for _, k := range keys {
		all = append(all, show(m[k])+" "+k)
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}
