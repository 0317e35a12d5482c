package status

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/transport"
)

// A page is what is shown, in whatever form. Its JSON is for programs: names
// stay, and have units in them.
type page struct {
	Time     time.Time `json:"time"`
	NoPacer  bool      `json:"no_pacer,omitempty"`
	Quotas   []quota   `json:"quotas"`
	Chart    *series   `json:"chart"`
	Going    []listed  `json:"unfinished"` // after a first attempt, the oldest first
	Requests []listed  `json:"requests"`   // failed or slow, the latest first
}

type quota struct {
	Quota    string         `json:"quota"`
	Token    uint8          `json:"token_tag,omitempty"` // tells the tokens of a host apart
	Mode     string         `json:"mode"`
	Rate     float64        `json:"rate_per_second,omitempty"`
	Pause    float64        `json:"pause_seconds,omitempty"`
	Until    time.Time      `json:"pause_until,omitzero"`
	Waiting  int            `json:"waiting_requests"`     // for their turn
	Backing  int            `json:"backing_off_requests"` // between two attempts, of all the host's tokens; of at most 200
	InFlight int            `json:"in_flight_requests"`
	Retries  float64        `json:"retries_left"`
	Sent     uint64         `json:"sent_requests"`
	Datasets map[string]int `json:"dataset_limits,omitempty"` // in flight
}

type listed struct {
	Call     uint64              `json:"call"`
	Began    time.Time           `json:"began"`
	Ended    time.Time           `json:"ended,omitzero"`
	Next     time.Time           `json:"next_attempt,omitzero"` // while that is to come
	Took     float64             `json:"took_seconds"`
	Failed   bool                `json:"failed"`
	Dropped  int                 `json:"attempts_not_kept,omitempty"`
	Attempts []transport.Attempt `json:"attempts"`

	doing string // what is known of one that is at a later attempt
}

// maxQuotas bounds what a person has to look through.
const maxQuotas = 100

func (h *Handler) page(now time.Time) *page {
	over, open := h.log.listed(now)
	waiting, backing := between(open, now)
	p := &page{
		Time:     now.UTC().Truncate(time.Millisecond),
		NoPacer:  h.Pacer == nil,
		Quotas:   []quota{},
		Chart:    h.chart.series(now, waiting),
		Going:    show(open[:min(len(open), maxEach)], now),
		Requests: show(over, now),
	}
	if h.Pacer == nil {
		return p
	}
	states := h.Pacer.Snapshot()
	for i := range p.Going {
		p.Going[i].doing = doing(open[i], states)
	}
	atOnce := 0
	for _, s := range states {
		atOnce += s.Waiting
	}
	for _, n := range backing {
		atOnce += n
	}
	p.Chart.Held[steps-1] = max(p.Chart.Held[steps-1], float64(atOnce)) // a queue tells of those who leave it
	slices.SortStableFunc(states, func(a, b pace.State) int { return weight(b, backing) - weight(a, backing) })
	for _, s := range states[:min(len(states), maxQuotas)] {
		q := quota{
			Quota: s.Key, Token: s.Tag, Mode: s.Mode.String(), Rate: round(s.Rate), Until: s.Until.UTC(),
			Waiting: s.Waiting, Backing: backing[s.Key], InFlight: s.InFlight, Retries: round(s.Retries), Sent: s.Sent, Datasets: s.Datasets,
		}
		if s.Until.IsZero() {
			q.Until = time.Time{}
		} else {
			q.Pause = round(max(0, s.Until.Sub(now)).Seconds())
		}
		p.Quotas = append(p.Quotas, q)
	}
	return p
}

// between tells of requests that are not over since when they wait, and how many
// of each host wait until a time that is to come: those whose time has come are
// counted by the Pacer.
func between(open []request, now time.Time) (since []time.Time, backing map[string]int) {
	backing = map[string]int{}
	for _, r := range open {
		since = append(since, r.waiting)
		if r.next.After(now) {
			backing[r.host()]++
		}
	}
	return since, backing
}

// host returns the quota's name, but for its token.
func (r *request) host() string {
	u, err := url.Parse(r.attempts[0].URL)
	if err != nil {
		return ""
	}
	return pace.KeyOf(&http.Request{URL: &url.URL{Scheme: u.Scheme, Host: u.Host}}).String()
}

// doing says what a request does whose back-off is over, as far as its quota
// tells: events tell of the end of an attempt only.
func doing(r request, states []pace.State) string {
	var waiting, inFlight int
	host := r.host()
	for _, s := range states {
		if s.Key == host {
			waiting += s.Waiting
			inFlight += s.InFlight
		}
	}
	switch {
	case waiting == 0:
		return "tries again"
	case inFlight == 0:
		return "waits for its turn"
	default:
		return "waits for its turn, or for its answer"
	}
}

// weight is larger the more there is to see about a quota.
func weight(s pace.State, backing map[string]int) int {
	switch {
	case s.Mode == pace.Closed:
		return 4
	case !s.Until.IsZero():
		return 3
	case s.Mode != pace.Open:
		return 2
	case s.Waiting > 0 || s.InFlight > 0 || backing[s.Key] > 0:
		return 1
	}
	return 0
}

func show(all []request, now time.Time) []listed {
	shown := make([]listed, 0, len(all))
	for _, r := range all {
		end := r.ended
		if end.IsZero() {
			end = now
		}
		l := listed{
			Call: r.call, Began: r.began.UTC(), Took: round(end.Sub(r.began).Seconds()),
			Failed: r.failed, Dropped: r.dropped, Attempts: r.attempts,
		}
		if !r.ended.IsZero() {
			l.Ended = r.ended.UTC()
		} else if r.next.After(now) {
			l.Next = r.next.UTC()
		}
		shown = append(shown, l)
	}
	return shown
}

// round rounds to three places after the point.
func round(f float64) float64 { return math.Round(f*1000) / 1000 }

func (p *page) json() []byte {
	b, err := json.Marshal(p)
	if err != nil { // only a number that is none could do it
		return []byte(`{"error":"the page cannot be written as JSON"}`)
	}
	return append(b, '\n')
}

func (p *page) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "sodahttp, %s\n\n", p.Time.Format(time.DateTime+" MST"))
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	if p.NoPacer {
		fmt.Fprintln(w, noPacer)
	} else {
		fmt.Fprintln(w, "QUOTA\tMODE\tRATE\tPAUSE\tWAITING\tBACKING OFF\tIN FLIGHT\tRETRIES LEFT\tSENT")
	}
	for _, q := range p.Quotas {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", q.Name(), q.Mode, q.PerSecond(), q.PauseText(), q.Waiting, q.Backing, q.InFlight, q.WholeRetries(), q.Sent)
		for _, d := range q.Limits() {
			fmt.Fprintf(w, "  %s\n", d)
		}
	}
	if len(p.Quotas) > 0 {
		fmt.Fprintln(w)
		for _, m := range modes {
			fmt.Fprintf(w, "%s: %s\n", m.Mode, m.Meaning)
		}
	}
	fmt.Fprintf(w, "\nTEN MINUTES TO %s\n", p.Time.Format(time.TimeOnly))
	for _, c := range p.Charts() {
		fmt.Fprintf(w, "%s\t%s\thighest %.3g\n", c.Name, c.spark(), c.Top)
	}
	w.Flush()
	for _, l := range p.Lists() {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(l.Name))
		for _, r := range l.Requests {
			fmt.Fprintf(&b, "%s  %s, %s, call %d\n", r.Time(), r.Outcome(), r.Duration(), r.Call)
			for i, a := range r.Attempts {
				fmt.Fprintf(&b, "  %s\n", attemptText(a, r.waitsAfter(i)))
			}
			if r.Dropped > 0 {
				fmt.Fprintf(&b, "  (attempts that were not kept: %d)\n", r.Dropped)
			}
		}
	}
	return bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return ' '
		}
		return r
	}, b.Bytes())
}

// attemptText describes an attempt in a line, with what the portal's support
// wants to know. A wait that is over is not said to come.
func attemptText(a transport.Attempt, waits bool) string {
	wait, id := waitText(a, waits), a.RequestID
	a.By = ""
	text := a.String()
	if wait != "" {
		text += ", " + wait
	}
	if id != "" {
		text += ", request id " + id
	}
	return text
}

// waitText describes the wait after an attempt, which goes on if waits is set.
func waitText(a transport.Attempt, waits bool) string {
	switch d := inWords(a.Wait.Seconds()); {
	case a.By == "":
		return ""
	case waits:
		return fmt.Sprintf("waits %s (%s)", d, a.By)
	default:
		return fmt.Sprintf("waited %s (%s)", d, a.By)
	}
}

// modes say what a quota's mode means.
var modes = [...]struct {
	Mode    pace.Mode
	Meaning string
}{
	{pace.Open, "nothing was refused, so nothing is held back."},
	{pace.Paced, "the server refused some, so requests keep to the learned rate."},
	{pace.Closed, "nothing goes through; one request at a time finds out."},
	{pace.Concurrency, "a dataset takes only so many requests at once."},
}

const noPacer = "No Pacer is shared with this page, so it has no quotas to show."

// A list is requests under a heading.
type list struct {
	Name     string
	Requests []listed
}

// Lists returns the lists of requests that there are.
func (p *page) Lists() (lists []list) {
	if len(p.Going) > 0 {
		lists = append(lists, list{"Still being tried", p.Going})
	}
	name := "Failed or slow"
	if len(p.Requests) == 0 {
		name = "No failed or slow requests"
	}
	return append(lists, list{name, p.Requests})
}

// Name returns the quota and which of its tokens it is.
func (q quota) Name() string {
	if q.Token != 0 {
		return fmt.Sprintf("%s token %d", q.Quota, q.Token)
	}
	return q.Quota
}

// PerSecond returns the learned rate.
func (q quota) PerSecond() string {
	if q.Rate == 0 || q.Rate >= 1e6 { // the most that a Pacer can learn, which is none
		return "-"
	}
	return fmt.Sprintf("%.3g/s", q.Rate)
}

// PauseText returns how long the pause goes on.
func (q quota) PauseText() string {
	if q.Pause == 0 {
		return "-"
	}
	return inWords(q.Pause)
}

// WholeRetries returns how many retries can be made now: there are no parts of
// one.
func (q quota) WholeRetries() int { return int(q.Retries) }

// Limits returns a line for each dataset that takes only so many at once.
func (q quota) Limits() (lines []string) {
	for name, n := range q.Datasets {
		lines = append(lines, fmt.Sprintf("%s: %d at once", name, n))
	}
	slices.Sort(lines)
	return lines[:min(len(lines), maxQuotas)]
}

// Last returns the last attempt.
func (r listed) Last() transport.Attempt { return r.Attempts[len(r.Attempts)-1] }

// Time returns when the request ended, or began if it has not.
func (r listed) Time() string {
	if r.Ended.IsZero() {
		return r.Began.Format(time.TimeOnly)
	}
	return r.Ended.Format(time.TimeOnly)
}

// Outcome returns what became of the request, in a word or two.
func (r listed) Outcome() string {
	switch {
	case !r.Next.IsZero():
		return "backs off"
	case r.Ended.IsZero():
		return cmp.Or(r.doing, "tries again")
	case r.Last().Status == 0:
		return "no answer"
	}
	return fmt.Sprint(r.Last().Status)
}

// Duration returns how long the request took, and while it backs off, how long
// it still does.
func (r listed) Duration() string {
	if r.Next.IsZero() {
		return inWords(r.Took)
	}
	left := r.Next.Sub(r.Began).Seconds() - r.Took
	return inWords(r.Took) + ", next in " + inWords(left)
}

// inWords returns seconds as people read them.
func inWords(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	return d.String()
}
