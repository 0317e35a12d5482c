package pace_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

func request(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func tokenRequest(t testing.TB) *http.Request {
	req := request(t, "https://data.example.org/resource/6zsd-86xi.json?$limit=10")
	req.Header.Set("X-App-Token", "abcdefghijklmnopqrstuvwxy")
	return req
}

var good = classify.Outcome{Status: 200}

func BenchmarkKeyOf(b *testing.B) {
	req := tokenRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		pace.KeyOf(req)
	}
}

func BenchmarkWaitDone(b *testing.B) {
	var p pace.Pacer
	k, ctx := pace.KeyOf(tokenRequest(b)), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		t, _ := p.Wait(ctx, k, false)
		p.Done(t, good, 0, false)
	}
}

func BenchmarkAll(b *testing.B) {
	var p pace.Pacer
	req, ctx := tokenRequest(b), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		t, _ := p.Wait(ctx, pace.KeyOf(req), false)
		p.Done(t, good, 0, false)
	}
}

func BenchmarkParallel(b *testing.B) {
	var p pace.Pacer
	k, ctx := pace.KeyOf(tokenRequest(b)), context.Background()
	b.ReportAllocs()
	b.SetParallelism(32) // 64 goroutines on two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t, _ := p.Wait(ctx, k, false)
			p.Done(t, good, 0, false)
		}
	})
}

// A limit that is never reached: every send takes the lock, none waits.
func BenchmarkPaced(b *testing.B) {
	var p pace.Pacer
	k, ctx := pace.KeyOf(tokenRequest(b)), context.Background()
	if err := p.UnmarshalJSON([]byte(`{"version":1,"quotas":[{"scheme":"https","host":"data.example.org","rate":900000,"tag":` + tagOf(k) + `}]}`)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		t, _ := p.Wait(ctx, k, false)
		p.Done(t, good, 0, false)
	}
}

// tagOf returns the tag that saved state knows k by.
func tagOf(k pace.Key) string {
	var p pace.Pacer
	t, _ := p.Wait(context.Background(), k, false)
	p.Done(t, good, 0, false)
	return strconv.Itoa(int(p.Snapshot()[0].Tag))
}
