package otelsoda_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sodahttp/sodahttp/contrib/otelsoda"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/sodatest/contract"
	"github.com/sodahttp/sodahttp/transport"
)

type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A bench is a Transport and what it told.
type bench struct {
	*otelsoda.Transport
	t      *testing.T
	spans  *tracetest.InMemoryExporter
	reader *metric.ManualReader
}

// newBench returns one around base, which does not wait for turns.
func newBench(t *testing.T, base http.RoundTripper) *bench {
	b := &bench{t: t, spans: tracetest.NewInMemoryExporter(), reader: metric.NewManualReader()}
	b.Transport = &otelsoda.Transport{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(b.spans)),
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(b.reader)),
	}
	b.Base, b.Pacer = base, &pace.Pacer{Off: true}
	b.Policy = policy.Policy{LastWord: func(_ policy.Attempt, d policy.Decision) policy.Decision {
		if d.By == policy.ByBackOff {
			d.Wait = 2 * time.Second
		}
		return d
	}}
	return b
}

// send sends a request and reads its answer.
func (b *bench) send(rt http.RoundTripper, method, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(b.t.Context(), method, url, nil)
	if err != nil {
		b.t.Error(err)
		return nil, err
	}
	resp, err := rt.RoundTrip(req)
	if err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return resp, err
}

// told returns the spans in the order of their beginning, each in one line:
// name, attributes but those of the host, events, status.
func (b *bench) told() (lines []string) {
	all := b.spans.GetSpans()
	slices.SortStableFunc(all, func(x, y tracetest.SpanStub) int {
		return cmp.Or(x.StartTime.Compare(y.StartTime), depth(all, x)-depth(all, y))
	})
	for _, s := range all {
		line := s.Name + attributes(s.Attributes, "http.response.status_code", "http.request.resend_count", "error.type", "sodahttp.attempts")
		for _, e := range s.Events {
			line += " | " + e.Name + attributes(e.Attributes, "sodahttp.reason", "sodahttp.wait_seconds", "sodahttp.cause", "sodahttp.retry_after_seconds", "sodahttp.waited_seconds", "sodahttp.why")
		}
		if s.Status.Code == codes.Error {
			line += " | error: " + s.Status.Description
		}
		lines = append(lines, line)
	}
	return lines
}

// depth returns how many spans s is under.
func depth(all tracetest.SpanStubs, s tracetest.SpanStub) int {
	for _, p := range all {
		if p.SpanContext.SpanID() == s.Parent.SpanID() {
			return 1 + depth(all, p)
		}
	}
	return 0
}

// attributes prints those of some names.
func attributes(all []attribute.KeyValue, names ...string) (text string) {
	for _, name := range names {
		for _, a := range all {
			if string(a.Key) == name {
				_, short, _ := strings.Cut(name, ".")
				text += fmt.Sprintf(" %s=%s", short, a.Value.String())
			}
		}
	}
	return text
}

// measured returns the metrics, by name and attributes.
func (b *bench) measured() map[string]float64 {
	var rm metricdata.ResourceMetrics
	if err := b.reader.Collect(context.Background(), &rm); err != nil {
		b.t.Error(err)
	}
	all := map[string]float64{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					all[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					all[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					key := m.Name + " " + p.Attributes.Encoded(attribute.DefaultEncoder())
					all[key], all[key+" count"] = p.Sum, float64(p.Count)
				}
			}
		}
	}
	return all
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func TestSpans(t *testing.T) {
	busy := sodatest.Reply{Code: "too-many-requests", RetryAfter: "7"}
	for _, row := range []struct {
		name    string
		path    string
		replies []sodatest.Reply
		timeout time.Duration
		want    []string
	}{
		{"a success", "/resource/abcd-1234.json", nil, 0, []string{
			"sodahttp GET response.status_code=200 attempts=1",
			"HTTP GET response.status_code=200",
		}},
		{"not found", "/resource/none-such.json", nil, 0, []string{
			"sodahttp GET response.status_code=404 type=404 attempts=1 | error: ",
			"HTTP GET response.status_code=404 type=404 | error: ",
		}},
		{"a throttle and a fault", "/resource/abcd-1234.json", []sodatest.Reply{busy, sodatest.Fault("execution_timeout")}, 0, []string{
			"sodahttp GET response.status_code=200 attempts=3" +
				" | sodahttp.retry reason=too_many_requests wait_seconds=SERVER cause=server retry_after_seconds=7" +
				" | sodahttp.retry reason=execution_timeout wait_seconds=2 cause=back-off",
			"HTTP GET response.status_code=429 type=429 | error: ",
			"HTTP GET response.status_code=504 request.resend_count=1 type=504 | error: ",
			"HTTP GET response.status_code=200 request.resend_count=2",
		}},
		{"work in progress", "/resource/abcd-1234.json", []sodatest.Reply{{Status: 202}, {Status: 202}}, 0, []string{
			"sodahttp GET response.status_code=200 attempts=3" +
				" | sodahttp.poll reason=accepted wait_seconds=1 cause=poll | sodahttp.poll reason=accepted wait_seconds=1.5 cause=poll",
			"HTTP GET response.status_code=202",
			"HTTP GET response.status_code=202 request.resend_count=1",
			"HTTP GET response.status_code=200 request.resend_count=2",
		}},
		{"too long a wait", "/resource/abcd-1234.json", []sodatest.Reply{{Status: 503, RetryAfter: "3600"}}, 0, []string{
			"sodahttp GET response.status_code=503 type=503 attempts=1" +
				" | sodahttp.gave_up reason=503 retry_after_seconds=3600 why=the server asks to wait 1h0m0s, more than MaxRetryAfter, 5m0s" +
				" | error: the server asks to wait 1h0m0s, more than MaxRetryAfter, 5m0s",
			"HTTP GET response.status_code=503 type=503 | error: ",
		}},
		{"a wait that is cut", "/resource/abcd-1234.json", []sodatest.Reply{busy}, 3 * time.Second, []string{
			"sodahttp GET type=canceled attempts=1" +
				" | sodahttp.retry reason=too_many_requests wait_seconds=SERVER cause=server retry_after_seconds=7" +
				" | sodahttp.wait_cut reason=too_many_requests retry_after_seconds=7 waited_seconds=3" +
				" | error: sodahttp: context canceled: the context ended during the wait (last answer: 429)",
			"HTTP GET response.status_code=429 type=429 | error: ",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(row.replies...))
				defer srv.Close()
				b := newBench(t, srv.Transport())
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if row.timeout > 0 {
					time.AfterFunc(row.timeout, cancel)
				}
				req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+row.path, nil)
				resp, err := b.RoundTrip(req)
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				got := b.told()
				for i := range got { // of the server's wait, jitter only adds
					before, after, ok := strings.Cut(got[i], "wait_seconds=7.")
					if _, after, found := strings.Cut(after, " "); ok && found {
						got[i] = before + "wait_seconds=SERVER " + after
					}
				}
				equal(t, "the spans", got, row.want)
				family(t, b.spans.GetSpans())
				if n := len(srv.Requests()); n != len(row.want)-1 {
					t.Errorf("%d requests were sent", n)
				}
				for _, r := range srv.Requests() {
					if r.Header.Get("Traceparent")+r.Header.Get("Baggage") != "" {
						t.Errorf("the portal was told of the trace: %v", r.Header)
					}
				}
			})
		})
	}
}

// family holds the attempts to be clients' spans under the one of the request,
// which have the request id.
func family(t *testing.T, spans tracetest.SpanStubs) {
	t.Helper()
	parent := spans[slices.IndexFunc(spans, func(s tracetest.SpanStub) bool { return strings.HasPrefix(s.Name, "sodahttp") })]
	for _, s := range spans {
		if s.Name == parent.Name {
			continue
		}
		if s.Parent.SpanID() != parent.SpanContext.SpanID() || s.SpanKind != trace.SpanKindClient || parent.SpanKind != trace.SpanKindInternal {
			t.Errorf("%s is of the kind %v, and its parent is not the request", s.Name, s.SpanKind)
		}
		if !strings.Contains(attributes(s.Attributes, "http.response.header.x-socrata-requestid"), "requestid=") {
			t.Errorf("%s has no request id: %v", s.Name, s.Attributes)
		}
	}
}

// TestRedirect: a hop goes on counting where the one before has stopped.
func TestRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
			sodatest.Fault("service-unavailable"), sodatest.Reply{Status: 302, Location: "/newer"},
			sodatest.Reply{Status: 302, Location: "/resource/abcd-1234.json"}, sodatest.Fault("service-unavailable")))
		defer srv.Close()
		b := newBench(t, srv.Transport())
		resp, err := (&http.Client{Transport: b}).Get(srv.URL + "/old")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		var counts []string
		for _, line := range b.told() {
			if strings.HasPrefix(line, "HTTP") {
				_, count, _ := strings.Cut(line, "resend_count=")
				counts = append(counts, strings.Fields(count + " -")[0])
			}
		}
		equal(t, "the resend counts", counts, []string{"-", "1", "2", "3", "4"})
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
			sodatest.Fault("execution_timeout"), sodatest.Reply{Drop: true}, sodatest.Reply{Status: 202}, sodatest.Reply{},
			sodatest.Reply{Status: 503, RetryAfter: "3600"}))
		defer srv.Close()
		base := srv.Transport().Clone()
		base.DisableKeepAlives = true
		b := newBench(t, base)
		b.Limiter = waiter(3 * time.Second)
		for range 2 {
			b.send(b, "GET", srv.URL+"/resource/abcd-1234.json")
		}
		synctest.Wait() // for the server's word that a body has been read
		got := b.measured()
		const host = "server.address=socrata.test"
		for name, want := range map[string]float64{
			"sodahttp.retries " + host + ",sodahttp.reason=execution_timeout": 1,
			"sodahttp.retries " + host + ",sodahttp.reason=no_response":       1,
			"sodahttp.polls " + host:                                            1,
			"sodahttp.gave_up " + host + ",sodahttp.reason=503":                 1,
			"sodahttp.wait.duration " + host + ",sodahttp.cause=back-off":       4,
			"sodahttp.wait.duration " + host + ",sodahttp.cause=back-off count": 2,
			"sodahttp.wait.duration " + host + ",sodahttp.cause=poll":           1,
			"sodahttp.wait.duration " + host + ",sodahttp.cause=queue":          15,
			"sodahttp.wait.duration " + host + ",sodahttp.cause=queue count":    5,
			"http.client.request.duration http.request.method=GET,http.response.status_code=504,network.protocol.name=http,network.protocol.version=1.1," + host + ",url.scheme=http count": 1,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		if t.Failed() {
			for name, v := range got {
				t.Log(name, v)
			}
		}
	})
}

type waiter time.Duration

func (w waiter) Wait(context.Context) error { time.Sleep(time.Duration(w)); return nil }

// TestCutWait: a wait that was cut counts as long as it was.
func TestCutWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, baseFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"60"}}, Body: http.NoBody}, nil
		}))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://data.test:8443/", nil)
		b.RoundTrip(req)
		got := b.measured()
		if d := got["sodahttp.wait.duration server.address=data.test,server.port=8443,sodahttp.cause=server"]; d != 5 {
			t.Errorf("%v s were waited, want 5: %v", d, got)
		}
		if n := got["sodahttp.gave_up server.address=data.test,server.port=8443,sodahttp.reason=too_many_requests"]; n != 1 {
			t.Errorf("%v requests were given up", n)
		}
	})
}

func TestQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, baseFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"60"}}, Body: http.NoBody}, nil
		}))
		b.Pacer = nil // one of its own, which tells OnEvent
		var pauses atomic.Int32
		b.OnEvent = func(e transport.Event) {
			if e.Kind == transport.PaceChanged && e.Pace.Kind == pace.PauseBegun {
				pauses.Add(1)
			}
		}
		for range 3 {
			go b.send(b, "GET", "https://data.test/resource/abcd-1234.json")
			time.Sleep(time.Second)
		}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://other.test:8443/", nil)
		req.Header.Set("X-App-Token", "a token")
		go b.RoundTrip(req)
		synctest.Wait()
		got := b.measured()
		const host = "server.address=data.test"
		for name, want := range map[string]float64{"pause": 57, "waiting": 3, "in_flight": 0, "retries_left": 10} {
			if v, ok := got["sodahttp.quota."+name+" "+host+",url.scheme=https"]; !ok || v < want-1 || v > want+1 {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		if got["sodahttp.quota.rate "+host+",url.scheme=https"] <= 0 || got["sodahttp.quota.mode "+host+",sodahttp.mode=paced,url.scheme=https"] != 1 {
			t.Errorf("the metrics are %v", got)
		}
		if p := b.spot("sodahttp.quota.waiting", "server.address=other.test,server.port=8443,sodahttp.token_tag="); len(p) != 1 {
			t.Errorf("of the quota with a token is told %v", p)
		}
		if pauses.Load() != 2 {
			t.Errorf("OnEvent was told of %d pauses", pauses.Load())
		}
		time.Sleep(time.Hour)
	})
}

// spot returns the metrics of a name, and attributes that begin so.
func (b *bench) spot(name, attributes string) (found []string) {
	for key := range b.measured() {
		if strings.HasPrefix(key, name+" "+attributes) {
			found = append(found, key)
		}
	}
	return found
}

// TestGivenUp: a 202 that goes back although its result was wanted is an error.
func TestGivenUp(t *testing.T) {
	b := newBench(t, baseFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 202, Body: http.NoBody}, nil
	}))
	b.Policy.Poll.Off = true
	b.send(b, "GET", "https://data.test/")
	equal(t, "the span", b.told()[:1], []string{"sodahttp GET response.status_code=202 attempts=1 | sodahttp.gave_up reason=accepted why=polling is off | error: polling is off"})
}

// TestNoAnswer: the attempts are used up, and there is no response.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, baseFunc(func(r *http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }))
		b.Policy.MaxAttempts = 2
		b.send(b, "GET", "https://data.test/")
		equal(t, "the spans", b.told(), []string{
			"sodahttp GET type=no_response attempts=2 | sodahttp.retry reason=no_response wait_seconds=2 cause=back-off" +
				" | sodahttp.gave_up reason=no_response why=2 of 2 attempts made" +
				" | error: sodahttp: after 2 attempts: unexpected EOF: 2 of 2 attempts made",
			"HTTP GET type=*errors.errorString | error: unexpected EOF",
			"HTTP GET request.resend_count=1 type=*errors.errorString | error: unexpected EOF",
		})
	})
}

// TestQuotasEnd: with a Transport goes what is shown of its Pacer.
func TestQuotasEnd(t *testing.T) {
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	b := &bench{t: t, reader: reader, Transport: &otelsoda.Transport{MeterProvider: meters}}
	b.Base = baseFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	b.send(b, "GET", "https://data.test/")
	const name = "sodahttp.quota.in_flight server.address=data.test,url.scheme=https"
	if _, ok := b.measured()[name]; !ok {
		t.Fatal("the quota is not shown")
	}
	b.Transport = nil
	for range 1000 {
		runtime.GC()
		runtime.Gosched() // to the cleanup
		if _, ok := b.measured()[name]; !ok {
			return
		}
	}
	t.Error("the quota of a Transport that is gone is still shown")
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 200, Bytes: 100_000, Cut: 40_000}, sodatest.Reply{Status: 200, Bytes: 100_000}))
		defer srv.Close()
		b := newBench(t, srv.Transport())
		tracer := b.TracerProvider.Tracer("job")
		ctx, span := tracer.Start(t.Context(), "job")
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/a", nil)
		resp, err := (&transport.Resume{Base: b, OnEvent: b.OnResume}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != 100_000 || err != nil {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		resp.Body.Close()
		span.End()
		if n := b.measured()["sodahttp.resumes server.address=socrata.test"]; n != 1 {
			t.Errorf("%v bodies were resumed", n)
		}
		if got := b.told(); !strings.Contains(got[0], "job | sodahttp.resume") {
			t.Errorf("%q", got)
		}
	})
}

// TestPropagator: who wants the portal to know of the trace, says so.
func TestPropagator(t *testing.T) {
	var got http.Header
	b := newBench(t, baseFunc(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	b.Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	member, _ := baggage.NewMember("user", "jane")
	bag, _ := baggage.New(member)
	req, _ := http.NewRequestWithContext(baggage.ContextWithBaggage(t.Context(), bag), "GET", "https://data.test/", nil)
	b.RoundTrip(req)
	if got.Get("Traceparent") == "" || got.Get("Baggage") != "user=jane" {
		t.Errorf("the header is %v", got)
	}
	if len(req.Header) != 0 {
		t.Errorf("the request was modified: %v", req.Header)
	}
}

// TestZeroValue: it does its work, with the global providers, which tell nobody.
func TestZeroValue(t *testing.T) {
	srv := sodatest.NewServer()
	defer srv.Close()
	rt := new(otelsoda.Transport)
	defer rt.CloseIdleConnections()
	resp, err := (&http.Client{Transport: rt}).Get(srv.URL + "/resource/abcd-1234.json")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	if rt.Base != nil || rt.Pacer != nil || rt.OnEvent != nil || rt.TracerProvider != nil || rt.MeterProvider != nil {
		t.Error("the user's fields were changed")
	}
	if _, err := rt.RoundTrip(nil); err == nil {
		t.Error("a request that is nil was sent")
	}
	if _, err := rt.RoundTrip(new(http.Request)); err == nil {
		t.Error("a request without a URL was sent")
	}
}

// TestErrorsAreBases: who calls gets the error that Base gave.
func TestErrorsAreBases(t *testing.T) {
	own := errors.New("see https://data.test/?$$app_token=secret")
	var seen error
	b := newBench(t, baseFunc(func(*http.Request) (*http.Response, error) { return nil, own }))
	b.OnEvent = func(e transport.Event) { seen = e.Attempt().Err }
	if _, err := b.send(b, "GET", "https://data.test/"); !errors.Is(err, own) || !errors.Is(seen, own) {
		t.Errorf("got %v, told of %v", err, seen)
	}
	if _, err := b.send(b, "", "https://data.test/"); err == nil {
		t.Error("no error")
	}
	equal(t, "the spans", b.told()[:1], []string{"sodahttp GET type=no_response attempts=1 | error: see https://data.test/?$$app_token=***"})
}

func TestContract(t *testing.T) {
	contract.Test(t, func(base http.RoundTripper) http.RoundTripper {
		rt := &otelsoda.Transport{
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(tracetest.NewInMemoryExporter())),
			MeterProvider:  metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())),
		}
		rt.Base = base
		return rt
	})
}
