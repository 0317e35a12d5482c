package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// A tally counts what happens during a run. Several goroutines may tell it.
type tally struct {
	pacer  *pace.Pacer
	portal string // the quota's key

	mu       sync.Mutex
	began    time.Time
	asking   time.Time // since when pages are asked for; zero as long as it is not known how many there are
	total    int       // rows there are
	restored int       // rows that earlier runs got
	rows     int       // rows that are there
	bytes    int64
	stopping bool // nothing more is begun
	attempts int
	refused  bool                     // some were, as too many
	reasons  map[string]int           // of attempts after the first
	waits    map[string]time.Duration // of all workers together
	pause    bool                     // nobody is sent
	closed   bool                     // nothing goes through
	halt     time.Time                // since when it is so, or there is no answer; zero if there is one
	halted   time.Duration            // before that
	bad      string                   // what the last attempt came to, if it was no answer
	badSince time.Time                // after the last answer
	next     map[any]time.Time        // when those who wait between two attempts go on
}

func newTally(pacer *pace.Pacer, portal *url.URL) *tally {
	return &tally{
		pacer: pacer, portal: pace.KeyOf(&http.Request{URL: portal}).String(), began: time.Now(),
		reasons: map[string]int{}, waits: map[string]time.Duration{}, next: map[any]time.Time{},
	}
}

// begin notes what there is before the first page is asked for.
func (t *tally) begin(total, rows int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking, t.total, t.restored, t.rows, t.bytes = time.Now(), total, rows, rows, bytes
}

// counted reports whether it is known how many rows there are.
func (t *tally) counted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.asking.IsZero()
}

// stop notes that nothing more is begun, and that what fails is not tried again.
func (t *tally) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopping = true
}

// page notes a page that is on the disk.
func (t *tally) page(rows int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows += rows
	t.bytes += bytes
}

// A caller is a request of a Transport.
type caller struct {
	from *transport.Transport
	call uint64
}

// event is the OnEvent of the Transport and of Resume.
func (t *tally) event(e transport.Event) {
	a := e.Attempt()
	switch {
	case e.Kind == transport.AttemptDone && e.Next != policy.Stop:
		t.trouble(caller{e.From, e.Call}, cause(a), time.Now().Add(a.Wait))
	case e.Kind == transport.AttemptDone, e.Kind == transport.WaitCut:
		t.goesOn(caller{e.From, e.Call})
	}
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
		t.refused = t.refused || a.Class == classify.Throttled
		if e.Next != policy.Stop {
			t.reasons[reason(a)]++
			t.waits[why(a.By)] += a.Wait
		} else if a.Status != 0 && a.Why == "" {
			t.bad = "" // an answer
			t.stand(time.Now())
		}
	}
}

// trouble notes that who will go on at a certain time, and why not before.
func (t *tally) trouble(who any, why string, next time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bad == "" {
		t.badSince = time.Now()
	}
	t.bad = why
	t.next[who] = next
	t.stand(t.badSince)
}

// goesOn notes that who waits no longer.
func (t *tally) goesOn(who any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.next, who)
}

// cause says what an attempt came to, with the words of an error.
func cause(a transport.Attempt) string {
	if a.Status == 0 && a.Err != nil {
		return a.Err.Error()
	}
	return reason(a)
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

// pace is the OnEvent of the Pacer. Only how long it stands still is counted here:
// a Snapshot tells what is so now.
func (t *tally) pace(e pace.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case pace.PauseBegun:
		t.pause = true
	case pace.PauseEnded:
		t.pause = false
	}
	t.closed = e.Mode == pace.Closed
	t.stand(e.Time)
}

// stand notes whether the run stands still from now on, or goes on.
func (t *tally) stand(now time.Time) {
	switch still := t.pause || t.closed || t.bad != ""; {
	case still && t.halt.IsZero():
		t.halt = now
	case !still && !t.halt.IsZero():
		t.halted += now.Sub(t.halt)
		t.halt = time.Time{}
	}
}

// stood returns how long the run stood still, until now.
func (t *tally) stood() time.Duration {
	if t.halt.IsZero() {
		return t.halted
	}
	return t.halted + time.Since(t.halt)
}

// quota returns what the Pacer knows of the portal now.
func (t *tally) quota() (now pace.State) {
	for _, s := range t.pacer.Snapshot() {
		if s.Key == t.portal && s.Sent >= now.Sent { // another token's may have been kept
			now = s
		}
	}
	if now.Rate >= 1e6 {
		now.Rate = 0 // the most that can be learned says that nothing was
	}
	return now
}

// report writes what it took, if anything was done.
func (t *tally) report(w io.Writer) {
	quota := t.quota()
	t.mu.Lock()
	defer t.mu.Unlock()
	counted := !t.asking.IsZero()
	if t.attempts == 0 && !counted {
		return
	}
	if counted {
		fmt.Fprintf(w, "rows      %d of %d, %d of them by earlier runs; %.1f MB\n", t.rows, t.total, t.restored, float64(t.bytes)/1e6)
	}
	fmt.Fprintf(w, "took      %.1f s, %.1f s of it paused", time.Since(t.began).Seconds(), t.stood().Seconds())
	if quota.Rate > 0 && t.refused { // what an earlier run was refused at is not this one's to tell
		fmt.Fprintf(w, "; the pace tried last was %.1f requests/s", quota.Rate)
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
