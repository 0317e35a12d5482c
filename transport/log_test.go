package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// levels is a Handler that keeps levels and messages.
type levels struct {
	slog.Handler
	got []string
}

func (l *levels) Enabled(ctx context.Context, _ slog.Level) bool { return ctx != nil }

func (l *levels) Handle(_ context.Context, r slog.Record) error {
	l.got = append(l.got, r.Level.String()+" "+r.Message)
	return errors.New("the disk is full") // which is nobody's business
}

func TestLogLevels(t *testing.T) {
	busy := func(after string) *http.Response {
		resp := answer(429, "")
		resp.Header.Set("Retry-After", after)
		return resp
	}
	accepted, _ := pending("/jobs/1")
	silent := baseFunc(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	})
	certificate := baseFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("bad certificate") })
	for _, row := range []struct {
		name string
		rt   *transport.Transport
		ctx  time.Duration // when it is cancelled; 0 for never, less for a deadline
		want []string
	}{
		{"a success", &transport.Transport{Base: answers(answer(200, ""))}, 0, []string{"DEBUG sodahttp: done"}},
		{"a final 404", &transport.Transport{Base: answers(answer(404, ""))}, 0, []string{"DEBUG sodahttp: done"}},
		{"a final error", &transport.Transport{Base: certificate}, 0, []string{"DEBUG sodahttp: failed"}},
		{"a deadline in flight", &transport.Transport{Base: silent}, -time.Second, []string{"WARN sodahttp: timed out"}},
		{"a deadline with a cause of its own", &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, errors.New("torn down")
		})}, -time.Second, []string{"WARN sodahttp: timed out"}},
		{"a final error that is a timeout", &transport.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) { return nil, slow{} }),
			Policy: policy.Policy{MaxAttempts: 1}}, 0, []string{"WARN sodahttp: gave up"}},
		{"cancelled in flight", &transport.Transport{Base: silent}, time.Second, []string{"INFO sodahttp: cancelled"}},
		{"a retry", &transport.Transport{Base: answers(answer(503, ""), answer(200, ""))}, 0, []string{"INFO sodahttp: retry", "DEBUG sodahttp: done"}},
		{"a poll", &transport.Transport{Base: answers(accepted, answer(200, ""))}, 0, []string{"INFO sodahttp: poll", "DEBUG sodahttp: done"}},
		{"giving up", &transport.Transport{Base: answers(busy("7200"))}, 0, []string{"WARN sodahttp: gave up"}},
		{"a wait that is cancelled", &transport.Transport{Base: answers(busy("5"))}, 2 * time.Second,
			[]string{"INFO sodahttp: retry", "INFO sodahttp: wait cancelled"}},
		{"a request that was not sent", &transport.Transport{Base: answers(answer(200, "")), Limiter: refusing{}}, 0, []string{"WARN sodahttp: not sent"}},
		{"a deadline in the queue", &transport.Transport{Base: answers(answer(200, "")), Limiter: waiting{}}, -time.Second, []string{"WARN sodahttp: not sent"}},
		{"a request that was cancelled in the queue", &transport.Transport{Base: answers(answer(200, "")), Limiter: waiting{}}, time.Second, []string{"INFO sodahttp: cancelled"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := new(levels)
			row.rt.OnEvent = transport.LogTo(h)
			row.rt.Pacer = &pace.Pacer{Off: true}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if row.ctx > 0 {
				time.AfterFunc(row.ctx, cancel)
			} else if row.ctx < 0 {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, -row.ctx)
				defer stop()
			}
			row.rt.RoundTrip(newRequest(t, "POST", "http://data.test/api/v3/views/abcd-1234/query.json", nil).WithContext(ctx))
			if !slices.Equal(h.got, row.want) {
				t.Errorf("%s: got %q, want %q", row.name, h.got, row.want)
			}
		})
	}
}

// TestLogToNil is a log of the program's own kind.
func TestLogToNil(t *testing.T) {
	var buf bytes.Buffer
	old := slog.Default()
	defer slog.SetDefault(old)
	slog.SetDefault(slog.New(slog.NewTextHandler(&buf, nil)))
	transport.LogTo(nil)(transport.Event{Kind: transport.BodyResumed})
	if !strings.Contains(buf.String(), "sodahttp: body resumed") {
		t.Errorf("got %q", buf.String())
	}
}

type refusing struct{}

func (refusing) Wait(context.Context) error { return errors.New("closed on Sundays") }

type waiting struct{}

func (waiting) Wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestLogLevelsOfOtherEvents(t *testing.T) {
	done, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	change := func(k pace.EventKind, m pace.Mode) transport.Event {
		return transport.Event{Kind: transport.PaceChanged, Pace: pace.Event{Kind: k, Mode: m}}
	}
	h := new(levels)
	hook := transport.LogTo(h)
	for _, row := range []struct {
		e    transport.Event
		want string
	}{
		{transport.Event{Kind: transport.WaitCut, Context: done}, "WARN sodahttp: wait cut short"},
		{transport.Event{Kind: transport.BodyResumed, Context: done}, "INFO sodahttp: body resumed"},
		{change(pace.PauseBegun, pace.Paced), "INFO sodahttp: pause begun"},
		{change(pace.PauseEnded, pace.Paced), "INFO sodahttp: pause ended"},
		{change(pace.RateChanged, pace.Paced), "DEBUG sodahttp: rate changed"},
		{change(pace.ModeChanged, pace.Paced), "INFO sodahttp: mode changed"},
		{change(pace.ModeChanged, pace.Closed), "WARN sodahttp: mode changed"},
	} {
		hook(row.e)
		if got := h.got[len(h.got)-1]; got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

// TestLogThroughHandlers puts records through handlers that conform, as slogtest
// says, and finds every key where its doc comment has it.
func TestLogThroughHandlers(t *testing.T) {
	var buf bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	last := func() map[string]any {
		lines := bytes.Split(bytes.TrimSpace(buf.Bytes()), []byte("\n"))
		m := map[string]any{}
		if err := json.Unmarshal(lines[len(lines)-1], &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	slogtest.Run(t, func(*testing.T) slog.Handler { buf.Reset(); return slog.NewJSONHandler(&buf, options) },
		func(*testing.T) map[string]any { return last() })

	h := slog.NewJSONHandler(&buf, options).WithAttrs([]slog.Attr{slog.String("job", "night")}).WithGroup("soda")
	hook := transport.LogTo(h)
	hook(transport.Event{Kind: transport.PaceChanged, Pace: pace.Event{Kind: pace.PauseBegun, Key: "https://data.test", Mode: pace.Closed, Rate: 39.3912345, Until: time.Unix(0, 0).UTC()}})
	got, err := json.Marshal(last()["soda"])
	if want := `{"event":"pace changed","pace":{"change":"pause begun","mode":"closed","quota":"https://data.test","rate_per_second":39.4,"until":"1970-01-01T00:00:00Z"}}`; err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	synctest.Test(t, func(t *testing.T) {
		rt := &transport.Transport{Base: answers(answer(503, "")), Policy: policy.Policy{MaxAttempts: 1}, OnEvent: hook}
		if _, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/a", nil)); err != nil {
			t.Fatal(err)
		}
	})
	m := last()
	got, err = json.Marshal(m["soda"])
	if want := `{"attempt":{"class":"throttled","method":"GET","n":1,"start":"2000-01-01T00:00:00Z","status":503,"url":"http://data.test/a","why":"1 of 1 attempts made"},"call":1,"event":"attempt done","next":"stop"}`; err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if m["level"] != "WARN" || m["msg"] != "sodahttp: gave up" || m["job"] != "night" || m["time"] == nil {
		t.Errorf("got %v", m)
	}

	buf.Reset()
	transport.LogTo(slog.NewTextHandler(&buf, options))(transport.Event{Kind: transport.BodyResumed, Good: 7})
	if text := buf.String(); !strings.Contains(text, ` level=INFO msg="sodahttp: body resumed" event="body resumed" good_bytes=7 attempt.class=final`) {
		t.Errorf("got %s", text)
	}
	b, err := json.Marshal(transport.Event{Kind: transport.BodyResumed})
	if want := `{"event":"body resumed","good_bytes":0,"attempt":{"class":"final"}}`; err != nil || string(b) != want {
		t.Errorf("got  %s, %v\nwant %s", b, err, want)
	}
}

// TestLogHasNoMessages: what a server says is the caller's to log.
func TestLogHasNoMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
			sodatest.Reply{Status: 200, InBand: true, Message: "near 'Jane'"}))
		defer srv.Close()
		var buf bytes.Buffer
		hook := transport.LogTo(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
		rt := &transport.Resume{OnEvent: hook, Base: &transport.Transport{OnEvent: hook, Base: srv.Transport()}}
		resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL+"/resource/"+sodatest.SampleID+".json", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		a := transport.Attempt{Err: &classify.Error{Status: 400, Message: "near 'Jane'"}}
		b, err := json.Marshal(a)
		text := buf.String() + a.String() + string(b)
		if err != nil || !strings.Contains(text, "body resumed") || !strings.Contains(text, "socrata: 400") || strings.Contains(text, "Jane") {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// counter is a Handler that is never enabled.
type counter struct {
	slog.Handler
	asked int
}

func (c *counter) Enabled(context.Context, slog.Level) bool { c.asked++; return false }

func TestLogThatIsOffDoesNotAllocate(t *testing.T) {
	h := new(counter) // whose Handle panics
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	rt := &transport.Transport{OnEvent: transport.LogTo(h), Base: baseFunc(func(*http.Request) (*http.Response, error) { return resp, nil })}
	req := newRequest(t, "GET", "http://data.test/?$limit=5", nil)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}); n != 0 || h.asked < 1000 {
		t.Errorf("a success allocates %v times; the handler was asked %d times", n, h.asked)
	}
}
