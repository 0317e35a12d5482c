package transport

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
)

// LogTo returns an OnEvent that logs to h:
//
//	&transport.Transport{OnEvent: transport.LogTo(slog.Default().Handler())}
//
// The levels are
//
//	Warn   an attempt that was given up, not sent, or timed out, a wait that
//	       the deadline cut short, a quota that lets nothing through
//	Info   a retry, a poll, a body that was resumed, a pause begun or ended,
//	       another mode, an attempt or a wait that was cancelled
//	Debug  what goes back to the caller because it is final: an answer, be it a
//	       success or a 404, as done, an error as failed; a change of a
//	       learned rate
//
// A record has the keys of [Event.LogValue], and a message that begins with
// "sodahttp: ". Messages of servers are not logged, as they repeat what people
// asked for. While h is not enabled for a level, nothing is put into words. If h
// is nil, it is that of slog.Default, as it is now.
func LogTo(h slog.Handler) func(Event) {
	if h == nil {
		h = slog.Default().Handler()
	}
	return func(e Event) {
		ctx := e.Context
		if ctx == nil {
			ctx = context.Background()
		}
		level, message := e.level()
		if !h.Enabled(ctx, level) {
			return
		}
		r := slog.NewRecord(time.Now(), level, "sodahttp: "+message, 0)
		r.AddAttrs(e.LogValue().Group()...)
		h.Handle(ctx, r) // as slog.Logger does: a log that fails is no reason to fail
	}
}

// level returns how much e matters, and what it is.
func (e *Event) level() (slog.Level, string) {
	switch e.Kind {
	case PaceChanged:
		return levelOf(&e.Pace), e.Pace.Kind.String()
	case BodyResumed:
		return slog.LevelInfo, "body resumed"
	case WaitCut:
		if e.Context != nil && errors.Is(e.Context.Err(), context.Canceled) {
			return slog.LevelInfo, "wait cancelled"
		}
		return slog.LevelWarn, "wait cut short"
	}
	switch a := e.attempt; {
	case a == nil: // it was the first
		return slog.LevelDebug, "done"
	case e.Next != policy.Stop:
		return slog.LevelInfo, e.Next.String()
	case a.Err == nil && a.Why == "":
		return slog.LevelDebug, "done"
	case a.Err != nil && (errors.Is(a.Err, context.Canceled) || e.Context.Err() == context.Canceled):
		return slog.LevelInfo, "cancelled"
	case errors.As(a.Err, new(*limitError)):
		return slog.LevelWarn, "not sent"
	case a.Why != "":
		return slog.LevelWarn, "gave up"
	case timedOut(a.Err) || e.Context.Err() == context.DeadlineExceeded:
		return slog.LevelWarn, "timed out"
	}
	return slog.LevelDebug, "failed"
}

func levelOf(e *pace.Event) slog.Level {
	switch {
	case e.Kind == pace.RateChanged:
		return slog.LevelDebug
	case e.Kind == pace.ModeChanged && e.Mode == pace.Closed:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// LogValue returns the event as a group, for package log/slog. Its keys depend
// on what it is about: an attempt or a wait that was cut, a body that was
// resumed, or a change of pace.
//
//	event, call, next, attempt
//	event, good_bytes, attempt
//	event, pace
//
// The value of attempt is the group that [Attempt.LogValue] returns. That of
// pace is a group too, in which the rate has three significant digits:
//
//	change, quota, mode, rate_per_second, until
//
// Keys without a value are left out, but for good_bytes.
func (e Event) LogValue() slog.Value {
	var g group
	g.string("event", e.Kind.String())
	if e.Kind == PaceChanged {
		var p group
		p.string("change", e.Pace.Kind.String())
		p.string("quota", e.Pace.Key)
		p.string("mode", e.Pace.Mode.String())
		p.float("rate_per_second", rounded(e.Pace.Rate))
		p.time("until", e.Pace.Until)
		return slog.GroupValue(append(g, slog.Attr{Key: "pace", Value: slog.GroupValue(p...)})...)
	}
	g.int("call", int64(e.Call))
	if e.Kind == AttemptDone {
		g.string("next", e.Next.String())
	}
	if e.Kind == BodyResumed { // 0 says something
		g = append(g, slog.Int64("good_bytes", e.Good))
	}
	return slog.GroupValue(append(g, slog.Attr{Key: "attempt", Value: e.Attempt().LogValue()})...)
}

// rounded returns v with three significant digits: a learned rate is no better.
func rounded(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return v
}

// MarshalJSON returns the members that LogValue lists.
func (e Event) MarshalJSON() ([]byte, error) { return marshal(e.LogValue()) }
