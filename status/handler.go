// Package status is a page about what a transport.Transport is doing, for those
// who look after a job while it runs.
//
//	pacer := new(pace.Pacer)
//	page := &status.Handler{Pacer: pacer}
//	rt := &transport.Transport{Pacer: pacer, OnEvent: page.OnEvent}
//	http.Handle("/debug/sodahttp", page)
//
// It shows each quota: the learned rate, the pause, who waits, backs off or is
// in flight, and what is left of the retry budget; the last ten minutes as a
// chart; requests that are being tried again; and the last 50 that failed and
// the last 50 that were slow, with their attempts. Browsers get HTML, curl gets
// text, and Accept: application/json gets JSON.
//
// The names in the JSON stay, and have their units in them. What is not there is
// zero. Times are in UTC.
//
//	time                    of the page
//	no_pacer                there is no Pacer, and so there are no quotas
//	quotas                  at most 100, those with the most to see first
//	  quota                 scheme and host
//	  token_tag             tells the tokens of a host apart
//	  mode                  open, paced, closed or concurrency
//	  rate_per_second       learned
//	  pause_seconds         how long the pause goes on
//	  pause_until           when it ends
//	  waiting_requests      for their turn
//	  backing_off_requests  between two attempts, of all the host's tokens; of at
//	                        most 200
//	  in_flight_requests    sent, and without an outcome
//	  retries_left          that the budget allows now
//	  sent_requests         so far
//	  dataset_limits        by dataset, how many requests may be in flight
//	chart                   lists of 60 steps, the oldest first
//	  step_seconds          how long a step is
//	  last_step_seconds     how much of the last one is over
//	  end                   of the last one, which is to come
//	  requests_per_second   sent
//	  repeats_per_second    of them, those that were not the first attempt
//	  held_requests         that waited for their turn or backed off, on average
//	unfinished              requests after a first attempt, the oldest first; at
//	                        most 50
//	requests                those that failed or were slow, the latest first
//	  call                  its number, which each Transport counts from 1
//	  began, ended
//	  next_attempt          when the back-off ends, while that is to come
//	  took_seconds          until now, if it has not ended
//	  failed                else it was slow, or is unfinished
//	  attempts_not_kept     of many, the first and the last 19 are kept
//	  attempts              as transport.Attempt has them
//
// The last bar of the chart is of the ten seconds that are running. Who waits for
// a first attempt comes into the others when it is sent; until then the last bar
// and the quota's count have it.
//
// A request that is not heard of for two hours after its back-off is left out of
// the unfinished ones, as its end may never be told: a RoundTripper below may
// have panicked.
//
// The page has no secret: URLs are as classify.Redact shows them. Paths and
// hosts are on it all the same, so mount it where only those come who may see
// them.
package status

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// A Handler is an http.Handler that shows what it was told of, and what its
// Pacer knows. The zero Handler is ready to use. It is safe for concurrent use
// and may listen to several Transports; its memory is bounded.
type Handler struct {
	// Pacer is whose quotas are shown. A Transport that is given none has one
	// of its own, which nobody else sees, so share one. If nil, no quotas are
	// shown.
	Pacer *pace.Pacer

	// Slow is how long a request may take, waits included, before it is
	// listed as slow. If 0, 10 s.
	Slow time.Duration

	// Next is told of each event too. If nil, nobody is.
	Next func(transport.Event)

	chart chart
	log   log
}

// OnEvent takes in what a Transport tells, and passes it on to Next. It goes
// into [transport.Transport.OnEvent]. A success costs some 100 ns more then, and no allocation.
func (h *Handler) OnEvent(e transport.Event) {
	switch {
	case e.Kind != transport.AttemptDone && e.Kind != transport.WaitCut:
	case h.settled(&e):
		now := time.Now()
		h.chart.sent(now, false)
		if queued := e.Queued(); queued > 0 {
			sent := now.Add(-e.Took())
			h.chart.waited(sent.Add(-queued), sent)
		}
	default:
		h.log.take(e, &h.chart, h.slow(), time.Now())
	}
	if h.Next != nil {
		h.Next(e)
	}
}

// settled reports whether e is a success at the first attempt, and not a slow
// one: nothing to list. No Attempt is made for it.
func (h *Handler) settled(e *transport.Event) bool {
	status := e.Status()
	return e.Kind == transport.AttemptDone && e.N() == 1 && e.Next == policy.Stop &&
		status != 0 && status < 400 && status != http.StatusAccepted && // a 202 may have been given up
		e.Queued()+e.Took() < h.slow()
}

func (h *Handler) slow() time.Duration {
	if h.Slow > 0 {
		return h.Slow
	}
	return 10 * time.Second
}

// ServeHTTP writes the page, for GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", csp)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "the page is for GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	p := h.page(time.Now())
	body, kind := p.text(), textType
	switch accepted(r.Header.Values("Accept")) {
	case htmlType:
		body, kind = p.html(!r.URL.Query().Has("still")), htmlType
	case jsonType:
		body, kind = p.json(), jsonType
	}
	header.Set("Vary", "Accept")
	header.Set("Content-Type", kind+"; charset=utf-8")
	header.Set("Content-Length", fmt.Sprint(len(body)))
	w.Write(body) // of HEAD, net/http leaves it out
}

const (
	htmlType = "text/html"
	jsonType = "application/json"
	textType = "text/plain"
)

// accepted returns the type that is liked best by its own name, of equal ones
// the first of HTML, JSON and text. That any type will do is what curl says,
// and it gets text.
func accepted(accept []string) string {
	liking := map[string]float64{}
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		if params["q"] == "" {
			q, err = 1, nil
		}
		if err == nil {
			liking[name] = max(liking[name], q)
		}
	}
	best := textType
	for _, kind := range []string{textType, jsonType, htmlType} {
		if liking[kind] > 0 && liking[kind] >= liking[best] {
			best = kind
		}
	}
	return best
}
