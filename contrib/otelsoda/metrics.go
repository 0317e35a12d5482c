package otelsoda

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// instruments count what events tell of.
type instruments struct {
	retries, polls, gaveUp, resumes metric.Int64Counter
	waits                           metric.Float64Histogram
}

func newInstruments(m metric.Meter) *instruments {
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		report(err)
		return c
	}
	waits, err := m.Float64Histogram("sodahttp.wait.duration", metric.WithUnit("s"),
		metric.WithDescription("How long requests waited between attempts, and for their turn."),
		metric.WithExplicitBucketBoundaries(.1, .5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600))
	report(err)
	return &instruments{
		retries: counter("sodahttp.retries", "{retry}", "Requests sent again."),
		polls:   counter("sodahttp.polls", "{poll}", "Times that the result of a 202 was asked for."),
		gaveUp:  counter("sodahttp.gave_up", "{request}", "Requests that were handed back although another attempt could have helped."),
		resumes: counter("sodahttp.resumes", "{resume}", "Bodies that were cut and went on."),
		waits:   waits,
	}
}

// report tells OpenTelemetry's own error handler.
func report(err error) {
	if err != nil {
		otel.Handle(err)
	}
}

// event takes in what the Transport tells of c.
func (c *call) event(e transport.Event) {
	if e.Kind != transport.AttemptDone && e.Kind != transport.WaitCut {
		return
	}
	if e.Kind == transport.AttemptDone {
		c.waited(c.planned, c.cause)
		c.queued(e.Queued())
	}
	if s := e.Status(); e.Next == policy.Stop && s != 0 && s < 400 && s != http.StatusAccepted && e.Kind == transport.AttemptDone {
		return // all is well, and an Attempt need not be made
	}
	a := e.Attempt()
	attrs := []attribute.KeyValue{attribute.Int("sodahttp.attempt", a.N), attribute.String("sodahttp.reason", reason(a))}
	if a.RetryAfter > 0 {
		attrs = append(attrs, attribute.Float64("sodahttp.retry_after_seconds", a.RetryAfter.Seconds()))
	}
	counted := metric.WithAttributes(append(c.host[:len(c.host):len(c.host)], attribute.String("sodahttp.reason", reason(a)))...)
	if e.Next != policy.Stop {
		c.planned, c.cause = a.Wait, string(a.By)
		attrs = append(attrs, attribute.Float64("sodahttp.wait_seconds", a.Wait.Seconds()), attribute.String("sodahttp.cause", c.cause))
	}
	switch {
	case e.Kind == transport.WaitCut:
		c.waited(a.Wait, c.cause)
		c.why = a.Why
		c.add("sodahttp.wait_cut", append(attrs, attribute.Float64("sodahttp.waited_seconds", a.Wait.Seconds())))
		c.instruments.gaveUp.Add(c.ctx, 1, counted)
	case e.Next == policy.Retry:
		c.add("sodahttp.retry", attrs)
		c.instruments.retries.Add(c.ctx, 1, counted)
	case e.Next == policy.Poll:
		c.add("sodahttp.poll", attrs)
		c.instruments.polls.Add(c.ctx, 1, metric.WithAttributes(c.host...))
	case a.Why != "":
		c.why = a.Why
		c.add("sodahttp.gave_up", append(attrs, attribute.String("sodahttp.why", a.Why)))
		c.instruments.gaveUp.Add(c.ctx, 1, counted)
	}
}

func (c *call) add(name string, attrs []attribute.KeyValue) {
	c.span.AddEvent(name, trace.WithAttributes(attrs...))
}

// waited counts a wait that is over.
func (c *call) waited(d time.Duration, cause string) {
	if cause != "" {
		c.instruments.waits.Record(c.ctx, d.Seconds(),
			metric.WithAttributes(append(c.host[:len(c.host):len(c.host)], attribute.String("sodahttp.cause", cause))...))
	}
}

// queued tells of a wait for the Pacer or the Limiter.
func (c *call) queued(d time.Duration) {
	if d > 0 {
		c.waited(d, "queue")
		c.add("sodahttp.queued", []attribute.KeyValue{attribute.Float64("sodahttp.waited_seconds", d.Seconds())})
	}
}

// resumed counts a body that was cut and goes on.
func (i *instruments) resumed(e transport.Event) {
	var host []attribute.KeyValue
	if u, err := url.Parse(e.Attempt().URL); err == nil {
		host = hostOf(u.Scheme, u.Host)[1:]
	}
	i.resumes.Add(e.Context, 1, metric.WithAttributes(host...))
	trace.SpanFromContext(e.Context).AddEvent("sodahttp.resume", trace.WithAttributes(attribute.Int64("sodahttp.good_bytes", e.Good)))
}

// reason says in a word why an attempt was not the last, or should not have
// been.
func reason(a transport.Attempt) string {
	switch {
	case a.Kind != classify.Unlisted:
		return strings.ToLower(strings.ReplaceAll(a.Kind.String(), " ", "_"))
	case a.Status != 0:
		return strconv.Itoa(a.Status)
	}
	return nameOf(a.Err)
}

// nameOf returns a word for why there is no response: few, as metrics want it.
func nameOf(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "no_response"
}

// hostOf returns url.scheme, and behind it server.address and server.port, if
// there is one.
func hostOf(scheme, host string) []attribute.KeyValue {
	u := url.URL{Host: host}
	attrs := []attribute.KeyValue{semconv.URLScheme(scheme), semconv.ServerAddress(u.Hostname())}
	if port, err := strconv.Atoi(u.Port()); err == nil {
		attrs = append(attrs, semconv.ServerPort(port))
	}
	return attrs
}

// observe has m show what p knows. All are gauges, so that a Pacer which several
// Transports show is not counted twice. It returns nil if that cannot be.
func observe(m metric.Meter, p *pace.Pacer) metric.Registration {
	var all []metric.Observable
	gauge := func(name, unit, what string) metric.Float64Observable {
		g, err := m.Float64ObservableGauge("sodahttp.quota."+name, metric.WithUnit(unit), metric.WithDescription(what))
		report(err)
		all = append(all, g)
		return g
	}
	rate := gauge("rate", "{request}/s", "The rate that was learned.")
	pause := gauge("pause", "s", "How long nothing is sent.")
	waiting := gauge("waiting", "{request}", "Requests that wait for their turn.")
	inFlight := gauge("in_flight", "{request}", "Requests without an answer.")
	left := gauge("retries_left", "{retry}", "What is left of the budget for retries of transient failures.")
	mode := gauge("mode", "1", "1 for the mode that the quota is in.")
	r, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, s := range p.Snapshot() {
			attrs := quotaOf(s)
			quota := metric.WithAttributes(attrs...)
			if s.Rate > 0 {
				o.ObserveFloat64(rate, s.Rate, quota)
			}
			o.ObserveFloat64(pause, max(0, time.Until(s.Until).Seconds()), quota) // the zero time is long ago
			o.ObserveFloat64(waiting, float64(s.Waiting), quota)
			o.ObserveFloat64(inFlight, float64(s.InFlight), quota)
			o.ObserveFloat64(left, s.Retries, quota)
			o.ObserveFloat64(mode, 1, metric.WithAttributes(append(attrs, attribute.String("sodahttp.mode", s.Mode.String()))...))
		}
		return nil
	}, all...)
	report(err)
	return r
}

// quotaOf returns what tells a quota from others.
func quotaOf(s pace.State) []attribute.KeyValue {
	scheme, host, _ := strings.Cut(s.Key, "://")
	attrs := hostOf(scheme, host)
	if s.Tag != 0 {
		attrs = append(attrs, attribute.Int("sodahttp.token_tag", int(s.Tag)))
	}
	return attrs
}
