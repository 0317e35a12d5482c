package status

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// What is kept, so that memory is bounded whatever happens.
const (
	maxEach     = 50  // of the failed and of the slow: a slow night must not push out what failed
	maxOpen     = 200 // requests between two attempts
	maxAttempts = 20  // of each, the first and the last
	maxText     = 400 // bytes of each text

	longest = 2 * time.Hour // after a back-off, in the queue or at an attempt: twice what policy.Batch waits in all
)

// A log has the requests that are worth a look. Those that succeed at their
// first attempt never come to it.
type log struct {
	mu     sync.Mutex
	open   map[callKey]*request
	looked time.Time // when one of them to be forgotten was last looked for
	failed recent
	slow   recent
}

// A callKey tells requests apart. Transports count theirs from 1, each its own.
type callKey struct {
	from *transport.Transport
	call uint64
}

func keyOf(e transport.Event) callKey { return callKey{e.From, e.Call} }

// A request is what is known of one.
type request struct {
	call     uint64
	attempts []transport.Attempt
	dropped  int // attempts that were not kept
	began    time.Time
	ended    time.Time // zero if it has not
	waiting  time.Time // since when; zero if it is not
	next     time.Time // when the wait between two attempts ends
	failed   bool
}

// take takes in an event of a request that was not settled by its first attempt.
func (l *log) take(e transport.Event, c *chart, slow time.Duration, now time.Time) {
	a := e.Attempt()
	sent := a.Start
	if sent.IsZero() { // it never was
		sent = now
	} else if e.Kind == transport.AttemptDone {
		c.sent(now, a.N > 1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.find(e, sent.Add(-a.Queued), now)
	if e.Kind == transport.WaitCut {
		sent = now
	}
	if !r.waiting.IsZero() {
		c.waited(r.waiting, sent)
	} else if a.Queued > 0 && e.Kind == transport.AttemptDone {
		c.waited(sent.Add(-a.Queued), sent)
	}
	r.add(flat(a), e.Kind == transport.WaitCut)
	if e.Next != policy.Stop {
		r.waiting, r.next = now, now.Add(a.Wait)
		return
	}
	delete(l.open, keyOf(e))
	r.ended, r.waiting = now, time.Time{}
	r.failed = a.Status == 0 || a.Status >= 400 || a.Why != ""
	switch {
	case r.failed:
		l.failed.add(r)
	case r.ended.Sub(r.began) >= slow:
		l.slow.add(r)
	}
}

// find returns the request that e is about, a new one if it has to be. If there
// are too many it is not remembered: then it is told what the last attempt was,
// and of the others how many.
func (l *log) find(e transport.Event, began, now time.Time) *request {
	key := keyOf(e)
	if r := l.open[key]; r != nil {
		return r
	}
	r := &request{call: e.Call, began: began, dropped: e.N() - 1}
	if e.Next == policy.Stop || len(l.open) >= maxOpen && !l.forget(now) {
		return r
	}
	if l.open == nil {
		l.open = map[callKey]*request{}
	}
	l.open[key] = r
	return r
}

// forget forgets a request that is lost, and reports whether there was one. It does not look
// often, as it is called when there is much to do.
func (l *log) forget(now time.Time) bool {
	if now.Sub(l.looked) < time.Minute {
		return false
	}
	l.looked = now
	for key, r := range l.open {
		if r.lost(now) {
			delete(l.open, key)
			return true
		}
	}
	return false
}

// lost reports whether the request has not been heard of for long, as happens
// when a hook or a RoundTripper panics.
func (r *request) lost(now time.Time) bool { return now.Sub(r.next) > longest }

// add adds an attempt, or puts it in the place of the last.
func (r *request) add(a transport.Attempt, instead bool) {
	n := len(r.attempts)
	switch {
	case instead && n > 0:
		r.attempts[n-1] = a
	case n == maxAttempts:
		r.attempts = append(r.attempts[:1], r.attempts[2:]...)
		r.attempts = append(r.attempts, a)
		r.dropped++
	default:
		r.attempts = append(r.attempts, a)
	}
}

// flat returns a as it can be kept: with texts of bounded length, and an error
// that holds on to nothing.
func flat(a transport.Attempt) transport.Attempt {
	a.URL, a.Why, a.Code, a.Method = cut(a.URL), cut(a.Why), cut(a.Code), cut(a.Method)
	if a.Err == nil {
		return a
	}
	for _, attr := range a.LogValue().Group() {
		if attr.Key == "error" { // what is shown of it anyhow
			a.Err = errors.New(cut(attr.Value.String()))
		}
	}
	return a
}

func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// A recent is the last requests of a kind.
type recent struct {
	ring [maxEach]*request
	n    int
}

func (q *recent) add(r *request) {
	q.ring[q.n%maxEach] = r
	q.n++
}

// listed returns what is to be shown: the requests that are over, the latest
// first, and those between two attempts or at a later one, the oldest first,
// but for the lost. Requests that are over do not change.
func (l *log) listed(now time.Time) (over, open []request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range []*recent{&l.failed, &l.slow} {
		for _, r := range q.ring[:min(q.n, maxEach)] {
			over = append(over, *r)
		}
	}
	for _, r := range l.open {
		if r.lost(now) {
			continue
		}
		going := *r
		going.attempts = slices.Clone(r.attempts)
		open = append(open, going)
	}
	slices.SortStableFunc(over, func(a, b request) int { return b.ended.Compare(a.ended) })
	slices.SortFunc(open, func(a, b request) int {
		return cmp.Or(a.began.Compare(b.began), cmp.Compare(a.call, b.call))
	})
	return over, open
}
