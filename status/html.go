package status

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sodahttp/sodahttp/transport"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// csp lets a browser load nothing at all, and apply the one style sheet.
var csp = func() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// html returns the page for browsers, which comes anew every ten seconds if
// fresh is set.
func (p *page) html(fresh bool) []byte {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{"Page": p, "CSS": template.CSS(pageCSS), "Fresh": fresh, "NoPacer": noPacer, "Modes": modes})
	if err != nil {
		return fmt.Appendf(nil, "the page cannot be written: %v", err)
	}
	return b.Bytes()
}

// A plot is a line of the chart: bars, each of two parts, the upper one marked.
type plot struct {
	Name   string
	Unit   string
	Marked string // what the upper part is; empty if there is none
	Top    float64
	all    [steps]float64
	marked *[steps]float64
	end    time.Time
}

// Charts returns what is plotted.
func (p *page) Charts() []plot {
	s := p.Chart
	plots := []plot{
		{Name: "Requests", Unit: "per second", Marked: "retries and polls", all: s.Sends, marked: &s.Again, end: s.End},
		{Name: "Waiting or backing off", Unit: "requests", all: s.Held, end: s.End},
	}
	for i := range plots {
		plots[i].Top = slices.Max(plots[i].all[:])
	}
	return plots
}

// spark draws the plot in a line of text.
func (p plot) spark() string {
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range p.all {
		switch {
		case v == 0:
			b.WriteByte('.')
		default:
			b.WriteRune(bars[min(int(v/p.Top*float64(len(bars))), len(bars)-1)])
		}
	}
	return b.String()
}

// A bar is one step of a plot, in units of its drawing: steps wide and 100 high.
type bar struct {
	X                  int
	Y, Height          float64
	MarkedY, MarkedTop float64 // the upper part begins at Y and is MarkedTop high
	Title              string
}

// Bars returns those that are not empty.
func (p plot) Bars() (bars []bar) {
	for i, v := range p.all {
		if v == 0 {
			continue
		}
		b := bar{X: i, Height: round(v / p.Top * 100)}
		b.Y = round(100 - b.Height)
		b.Title = fmt.Sprintf("%s: %.3g %s", p.end.Add(time.Duration(i-steps)*step).Format(time.TimeOnly), v, p.Unit)
		if p.marked != nil && p.marked[i] > 0 {
			b.MarkedTop = round(p.marked[i] / p.Top * 100)
			b.Title += fmt.Sprintf(", of them %.3g %s", p.marked[i], p.Marked)
		}
		bars = append(bars, b)
	}
	return bars
}

// Path returns what a request asked for, without the host and the query.
func (r listed) Path() string {
	if u, err := url.Parse(r.Attempts[0].URL); err == nil && u.Path != "" {
		return u.Path
	}
	return r.Attempts[0].URL
}

// waitsAfter reports whether the wait after the attempt of that index goes on.
func (r listed) waitsAfter(i int) bool { return i == len(r.Attempts)-1 && !r.Next.IsZero() }

// Count returns how many attempts were made.
func (r listed) Count() string {
	if n := r.Last().N; n != 1 {
		return fmt.Sprintf("%d attempts", n)
	}
	return "1 attempt"
}

// A line is an attempt as the page shows it.
type line struct {
	N       int
	Time    string
	URL     string
	Outcome string
	Good    bool
	What    []string // was done about it, and what is known
}

// Lines returns the attempts.
func (r listed) Lines() (lines []line) {
	for i, a := range r.Attempts {
		l := line{N: a.N, URL: a.Method + " " + a.URL, Outcome: "no answer", Good: a.Status != 0 && a.Status < 400, What: what(a, r.waitsAfter(i))}
		if a.Status != 0 {
			l.Outcome = fmt.Sprint(a.Status)
		}
		if !a.Start.IsZero() {
			l.Time = a.Start.UTC().Format("15:04:05.000")
		}
		lines = append(lines, l)
	}
	return lines
}

// what returns what is known of an attempt, in short. The wait after it goes on
// if waits is set.
func what(a transport.Attempt, waits bool) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if a.Err != nil {
		add("%v", a.Err)
	}
	if a.Code != "" {
		add("code %q", a.Code)
	}
	if a.Queued > 0 {
		add("queued %s", inWords(a.Queued.Seconds()))
	}
	if a.Took > 0 {
		add("took %s", inWords(a.Took.Seconds()))
	}
	if a.RetryAfter > 0 {
		add("server asks for %s", inWords(a.RetryAfter.Seconds()))
	}
	if wait := waitText(a, waits); wait != "" {
		add("%s", wait)
	}
	if a.Why != "" {
		add("gave up: %s", a.Why)
	}
	if !a.RetryAt.IsZero() {
		add("again at %s", a.RetryAt.UTC().Format(time.TimeOnly))
	}
	if a.RequestID != "" {
		add("request id %s", a.RequestID)
	}
	return all
}
