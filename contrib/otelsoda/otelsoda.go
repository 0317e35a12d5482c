// Package otelsoda tells OpenTelemetry what a transport.Transport does. Its
// [Transport] is one, with traces and metrics:
//
//	client := &http.Client{Transport: &otelsoda.Transport{
//		Transport: transport.Transport{Policy: policy.Batch()},
//	}}
//
// # Spans
//
// A request is a span named "sodahttp GET", until its response is handed back.
// It has the events sodahttp.queued, sodahttp.retry, sodahttp.poll,
// sodahttp.gave_up and sodahttp.wait_cut. Under it, each attempt and each poll
// is a client span of otelhttp, until its body has been read, with
// http.request.resend_count from the second on and the header
// X-Socrata-RequestId.
//
// # Metrics
//
// Of the semantic conventions there are http.client.request.duration and
// http.client.request.body.size, of each attempt. Beside these:
//
//	sodahttp.retries            {retry}      by server.address, sodahttp.reason
//	sodahttp.polls              {poll}       by server.address
//	sodahttp.gave_up            {request}    by server.address, sodahttp.reason
//	sodahttp.resumes            {resume}     by server.address; see OnResume
//	sodahttp.wait.duration      s            by server.address, sodahttp.cause: back-off, server, poll or queue
//	sodahttp.quota.rate         {request}/s  learned; none while there is no limit
//	sodahttp.quota.pause        s            until requests are sent again
//	sodahttp.quota.waiting      {request}    in the queue
//	sodahttp.quota.in_flight    {request}
//	sodahttp.quota.retries_left {retry}      of the budget for transient failures
//	sodahttp.quota.mode         1            by sodahttp.mode: open, paced, closed or concurrency
//
// A reason is the row of the catalogue, such as too_many_requests, or else the
// status, timeout, canceled or no_response. Quotas have url.scheme, server.address,
// server.port, and sodahttp.token_tag, which tells the tokens of a host apart.
//
// # Secrets
//
// URLs and errors are as classify.Redact and classify.RedactError show them, in
// otelhttp's spans too. No trace or baggage is sent to the portal unless
// Propagator is set.
package otelsoda

import (
	"context"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/transport"
)

const scope = "github.com/sodahttp/sodahttp/contrib/otelsoda"

// A Transport is a transport.Transport that is observed. The zero Transport is
// complete, and tells OpenTelemetry's global providers. It is safe for
// concurrent use; its fields must not be changed once it is in use.
type Transport struct {
	// Transport has all the fields of one, which mean what they mean there. If
	// its Pacer is nil, there is one of its own, and OnEvent is told of it.
	transport.Transport

	// TracerProvider makes the spans. If nil, otel.GetTracerProvider().
	TracerProvider trace.TracerProvider

	// MeterProvider makes the metrics. If nil, otel.GetMeterProvider().
	MeterProvider metric.MeterProvider

	// Propagator writes each attempt's span into its header. If nil, nothing
	// is written: the portal is somebody else's.
	Propagator propagation.TextMapPropagator

	once        sync.Once
	inner       *transport.Transport // what does the work
	tracer      trace.Tracer
	instruments *instruments
}

// RoundTrip sends req, as [transport.Transport.RoundTrip] does.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.once.Do(t.start)
	if req == nil || req.URL == nil {
		return t.inner.RoundTrip(req)
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	host := hostOf(req.URL.Scheme, req.URL.Host)
	ctx, span := t.tracer.Start(req.Context(), "sodahttp "+method, trace.WithAttributes(host...),
		trace.WithAttributes(semconv.HTTPRequestMethodKey.String(method), semconv.URLFull(classify.Redact(req.URL))))
	defer span.End()
	c := &call{span: span, host: host[1:], instruments: t.instruments}
	if req.Response != nil && req.Response.Request != nil { // a redirect's hop goes on counting
		if before := callOf(req.Response.Request.Context()); before != nil {
			c.before = before.before + before.sent
		}
	}
	c.ctx = context.WithValue(ctx, callKey{}, c)
	resp, err := t.inner.RoundTrip(req.WithContext(c.ctx))
	c.end(resp, err)
	return resp, err
}

// start makes what does the work, with the providers of the time of the first
// request. The user's own Transport stays as it is.
func (t *Transport) start() {
	tracers, meters := t.TracerProvider, t.MeterProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	t.tracer = tracers.Tracer(scope)
	meter := meters.Meter(scope)
	t.instruments = newInstruments(meter)

	// By reflection, so that a field which this package does not know yet is
	// not lost.
	t.inner = new(transport.Transport)
	from, to := reflect.ValueOf(&t.Transport).Elem(), reflect.ValueOf(t.inner).Elem()
	for i := range to.NumField() {
		if to.Type().Field(i).IsExported() {
			to.Field(i).Set(from.Field(i))
		}
	}
	t.inner.Base = t.attempts(tracers, meters)
	own := t.OnEvent
	if t.inner.Pacer == nil {
		t.inner.Pacer = new(pace.Pacer)
		if own != nil {
			t.inner.Pacer.OnEvent = func(e pace.Event) { own(transport.Event{Kind: transport.PaceChanged, Pace: e}) }
		}
	}
	t.inner.OnEvent = func(e transport.Event) {
		if c := callOf(e.Context); c != nil {
			c.event(e)
		}
		if own != nil {
			own(e)
		}
	}
	// The meter must not keep t alive, nor go on to show its Pacer afterwards.
	if shown := observe(meter, t.inner.Pacer); shown != nil {
		runtime.AddCleanup(t, func(r metric.Registration) { r.Unregister() }, shown)
	}
}

// OnResume is for the OnEvent of a transport.Resume around t: it counts the
// bodies that were resumed, and adds the event sodahttp.resume to the span that
// the request was made under.
func (t *Transport) OnResume(e transport.Event) {
	t.once.Do(t.start)
	if e.Kind == transport.BodyResumed {
		t.instruments.resumed(e)
	}
}

// attempts returns the Base of what does the work: otelhttp around the user's
// own, which sees the URL and the errors only as they may be shown.
func (t *Transport) attempts(tracers trace.TracerProvider, meters metric.MeterProvider) http.RoundTripper {
	own := t.Base
	if own == nil {
		own = defaultBase
	}
	propagator := t.Propagator
	if propagator == nil {
		propagator = propagation.NewCompositeTextMapPropagator() // of none
	}
	return &veil{otelhttp.NewTransport(&unveil{own},
		otelhttp.WithTracerProvider(tracers), otelhttp.WithMeterProvider(meters), otelhttp.WithPropagators(propagator))}
}

// defaultBase is http.DefaultTransport as it was at the start: a program may
// put a Transport in its place.
var defaultBase = http.DefaultTransport

// A call is one request on its way.
type call struct {
	ctx         context.Context // of its span
	span        trace.Span
	host        []attribute.KeyValue
	instruments *instruments

	before  int           // requests sent by the hops before this one
	sent    int           // attempts so far
	planned time.Duration // the wait that goes on
	cause   string        // of it; empty if there is none
	why     string        // it was given up
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	if ctx == nil {
		return nil
	}
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// end tells what the request came to.
func (c *call) end(resp *http.Response, err error) {
	c.span.SetAttributes(attribute.Int("sodahttp.attempts", c.sent))
	switch {
	case err != nil:
		c.span.SetAttributes(semconv.ErrorTypeKey.String(nameOf(err)))
		c.span.SetStatus(codes.Error, err.Error()) // the Transport has redacted it
		return
	case resp.StatusCode >= 400:
		c.span.SetAttributes(semconv.ErrorTypeKey.Int(resp.StatusCode))
		c.span.SetStatus(codes.Error, c.why)
	case c.why != "":
		c.span.SetStatus(codes.Error, c.why)
	}
	c.span.SetAttributes(semconv.HTTPResponseStatusCode(resp.StatusCode))
}
