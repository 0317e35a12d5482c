package pace_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
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

// Limits that are never reached: every send takes the lock, none waits. There
// are several, since the highest that can be restored would be reached.
func BenchmarkPaced(b *testing.B) {
	p, keys := pacedKeys(b)
	ctx, i := context.Background(), 0
	b.ReportAllocs()
	for b.Loop() {
		t, _ := p.Wait(ctx, keys[i%len(keys)], false)
		p.Done(t, good, 0, false)
		i++
	}
}

// What a send costs by how many quotas are in flight.
func BenchmarkKnownKey(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var p pace.Pacer
			keys, ctx, i := hosts(b, n), context.Background(), 0
			for _, k := range keys {
				p.Wait(ctx, k, false)
			}
			b.ReportAllocs()
			for b.Loop() {
				t, _ := p.Wait(ctx, keys[i], false)
				p.Done(t, good, 0, false)
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// What each of n new quotas costs that are all in flight at once.
func BenchmarkNewKey(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			keys, ctx, tickets := hosts(b, n), context.Background(), make([]pace.Ticket, n)
			b.ReportAllocs()
			for b.Loop() {
				var p pace.Pacer
				for i, k := range keys {
					tickets[i], _ = p.Wait(ctx, k, false)
				}
				for _, t := range tickets {
					p.Done(t, good, 0, false)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/key")
		})
	}
}

func hosts(b *testing.B, n int) (keys []pace.Key) {
	for i := range n {
		keys = append(keys, pace.KeyOf(request(b, "https://data"+strconv.Itoa(i)+".example.org/")))
	}
	return keys
}

// What a send costs while n wait for another dataset, which is at its limit.
func BenchmarkBesideWaiters(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			p, _ := narrowed(b, 0)
			leave := crowd(b, p, narrow, n)
			k, ctx := pace.KeyOf(request(b, wide)), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				t, _ := p.Wait(ctx, k, false)
				p.Done(t, good, 0, false)
			}
			leave()
		})
	}
}

// What a waiter costs that gives up, of n.
func BenchmarkGiveUp(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				p, _ := narrowed(b, 0)
				leave := crowd(b, p, narrow, n)
				b.StartTimer()
				leave()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/waiter")
		})
	}
}

// pacedKeys returns quotas that are limited, and a Pacer that knows it.
func pacedKeys(t testing.TB) (*pace.Pacer, []pace.Key) {
	t.Helper()
	var (
		keys   []pace.Key
		quotas []string
	)
	for i := range 16 {
		host := "data" + strconv.Itoa(i) + ".example.org"
		keys = append(keys, pace.KeyOf(request(t, "https://"+host+"/resource/6zsd-86xi.json")))
		quotas = append(quotas, `{"scheme":"https","host":"`+host+`","rate":900000}`)
	}
	p := &pace.Pacer{}
	if err := p.UnmarshalJSON([]byte(`{"version":1,"quotas":[` + strings.Join(quotas, ",") + `]}`)); err != nil {
		t.Fatal(err)
	}
	return p, keys
}

// Nobody who need not wait costs an allocation, limit or not.
func TestPacedAllocatesNothing(t *testing.T) {
	p, keys := pacedKeys(t)
	ctx, i := context.Background(), 0
	send := func() {
		k, _ := p.Wait(ctx, keys[i%len(keys)], false)
		p.Done(k, good, 0, false)
		i++
	}
	for range 1000 * len(keys) { // until the slow start is over and the datasets are known
		send()
	}
	if n := testing.AllocsPerRun(100, send); n != 0 {
		t.Errorf("%v allocations for each send, want none", n)
	}
}
