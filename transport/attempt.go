package transport

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/policy"
)

// An Attempt is one sending of a request or of a poll for its result, and what
// was done about it. It holds no secret.
type Attempt struct {
	N         int    // from 1, polls included
	Method    string // of the request sent
	URL       string // of the request sent, as classify.Redact shows it
	Status    int    // 0 if there was no response
	Kind      classify.Kind
	Class     classify.Class
	Acted     classify.Acted
	Code      string // the server's error code, where it was looked at
	RequestID string // X-Socrata-RequestId
	Err       error  // if there was no response, as classify.RedactError shows it

	// Start is when it was sent; zero if it never was.
	Start time.Time

	// Queued is the time that the Limiter and the Pacer held the attempt back.
	Queued time.Duration

	// Took is the time from sending until the headers or the error came.
	Took time.Duration

	// Conn is "new" or "reused". It is empty if that is not known: of a first
	// attempt, which nothing may burden, and of a Base without httptrace.
	Conn string

	// BodySent is how many bytes of the request's body Base has read by the
	// end of the attempt, those of a body from GetBody included. It is 0 if
	// there was no body, and of a first attempt, whose body is the caller's own.
	BodySent int64

	RetryAfter time.Duration // what the server asked for; 0 if nothing
	Wait       time.Duration // until the next attempt is made, or joins the Pacer's queue
	By         policy.Source // who set Wait
	Why        string        // why no other attempt followed, or why it was not sent; empty if the outcome is final
	RetryAt    time.Time     // when another would make sense, where that is known
}

// newAttempt describes what came of sending a request.
func newAttempt(sent *http.Request, resp *http.Response, o classify.Outcome) Attempt {
	a := Attempt{
		Method: cmp.Or(sent.Method, http.MethodGet),
		URL:    classify.Redact(sent.URL),
		Status: o.Status,
		Kind:   o.Kind,
		Class:  o.Class,
		Acted:  o.Acted,
		Code:   o.Code,
	}
	if resp != nil {
		a.RequestID = cut(resp.Header.Get("X-Socrata-Requestid"), 100)
	}
	return a
}

// held reports whether the Limiter or the Pacer did not let a through.
func (a Attempt) held() bool { return errors.As(a.Err, new(*limitError)) }

// String describes the attempt in one line, without the server's message.
func (a Attempt) String() string {
	var b strings.Builder
	if a.N > 0 {
		fmt.Fprintf(&b, "#%d ", a.N)
	}
	b.WriteString(strings.TrimSpace(a.Method+" "+a.URL) + ": ")
	if a.Err != nil {
		b.WriteString(strings.TrimPrefix(logText(a.Err), "sodahttp: "))
	} else {
		fmt.Fprintf(&b, "%d %s", a.Status, http.StatusText(a.Status))
	}
	if a.Code != "" {
		fmt.Fprintf(&b, " %.100q", a.Code)
	}
	if !a.held() { // which has no outcome
		fmt.Fprintf(&b, ", %v", a.Class)
	}
	if a.Queued > 0 {
		fmt.Fprintf(&b, ", queued %v", a.Queued.Round(time.Millisecond))
	}
	if a.By != "" {
		fmt.Fprintf(&b, ", next in %v (%s)", a.Wait.Round(time.Millisecond), a.By)
	}
	if a.Why != "" {
		b.WriteString(", gave up: " + cut(a.Why, 500))
	}
	return b.String()
}

// LogValue returns the attempt as a group, for package log/slog. Its keys are
// those of the JSON, in this order; those without a value are left out:
//
//	n, method, url, status, kind, class, acted, code, request_id, error,
//	start, queued_seconds, took_seconds, conn, body_sent_bytes,
//	retry_after_seconds, wait_seconds, wait_by, why, retry_at
//
// Seconds are numbers with up to six decimals.
func (a Attempt) LogValue() slog.Value {
	var g group
	g.int("n", int64(a.N))
	g.string("method", a.Method)
	g.string("url", a.URL)
	g.int("status", int64(a.Status))
	if a.Kind != classify.Unlisted {
		kind, _ := a.Kind.MarshalText()
		g.string("kind", string(kind))
	}
	g.string("class", a.Class.String())
	if a.Acted != classify.ActedUnknown {
		g.string("acted", a.Acted.String())
	}
	g.string("code", cut(a.Code, 100))
	g.string("request_id", a.RequestID)
	if a.Err != nil {
		g.string("error", logText(a.Err))
	}
	g.time("start", a.Start)
	g.seconds("queued_seconds", a.Queued)
	g.seconds("took_seconds", a.Took)
	g.string("conn", a.Conn)
	g.int("body_sent_bytes", a.BodySent)
	g.seconds("retry_after_seconds", a.RetryAfter)
	g.seconds("wait_seconds", a.Wait)
	g.string("wait_by", string(a.By))
	g.string("why", cut(a.Why, 500))
	g.time("retry_at", a.RetryAt)
	return slog.GroupValue(g...)
}

// MarshalJSON returns the members that LogValue lists. Times are RFC 3339.
func (a Attempt) MarshalJSON() ([]byte, error) { return marshal(a.LogValue()) }

// marshal returns a group as a JSON object.
func marshal(v slog.Value) ([]byte, error) {
	switch v.Kind() {
	case slog.KindGroup:
	case slog.KindTime:
		return json.Marshal(v.Time().Format(time.RFC3339Nano)) // a time.Time after the year 9999 has no JSON
	default:
		return json.Marshal(v.Any())
	}
	b := []byte("{")
	for i, attr := range v.Group() {
		member, err := marshal(attr.Value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(fmt.Appendf(b, "%q:", attr.Key), member...)
	}
	return append(b, '}'), nil
}

// A group is a list of attributes that have a value.
type group []slog.Attr

func (g *group) string(key, v string) {
	if v != "" {
		*g = append(*g, slog.String(key, v))
	}
}

func (g *group) int(key string, v int64) {
	if v != 0 {
		*g = append(*g, slog.Int64(key, v))
	}
}

func (g *group) float(key string, v float64) {
	if v != 0 {
		*g = append(*g, slog.Float64(key, v))
	}
}

func (g *group) seconds(key string, v time.Duration) {
	g.float(key, math.Round(v.Seconds()*1e6)/1e6)
}

func (g *group) time(key string, v time.Time) {
	if !v.IsZero() {
		*g = append(*g, slog.Time(key, v))
	}
}

// logText is err's text for logs: in one line, and without the message of a
// server, which repeats what people asked for.
func logText(err error) string {
	var said *classify.Error
	if errors.As(err, &said) {
		silent := *said
		silent.Message = ""
		return silent.Error()
	}
	return cut(errorText(err), 500)
}

// cut returns s in one line and not longer than most bytes.
func cut(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
