package transport_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/transport"
)

// BenchmarkSuccess is what a first attempt that succeeds costs, by who listens.
func BenchmarkSuccess(b *testing.B) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{
		"Content-Type": {"application/json"}, "X-Socrata-Requestid": {"96914e023b148fc8410d70febfa818e4"}}}
	base := baseFunc(func(*http.Request) (*http.Response, error) { return resp, nil })
	at := func(level slog.Level) func(transport.Event) {
		return transport.LogTo(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: level}))
	}
	for _, c := range []struct {
		name  string
		hook  func(transport.Event)
		pacer *pace.Pacer
	}{
		{"nobody", nil, nil},
		{"log at Warn", at(slog.LevelWarn), nil},
		{"log at Debug", at(slog.LevelDebug), nil},
		{"a hook", func(transport.Event) {}, nil},
		{"Pacer, nobody", nil, new(pace.Pacer)},
		{"Pacer, log at Warn", at(slog.LevelWarn), new(pace.Pacer)},
	} {
		b.Run(c.name, func(b *testing.B) {
			rt := &transport.Transport{Base: base, OnEvent: c.hook, Pacer: c.pacer}
			req, err := http.NewRequestWithContext(context.Background(), "GET", "http://data.test/resource/abcd-1234.json?$limit=5&$order=:id", nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rt.RoundTrip(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
