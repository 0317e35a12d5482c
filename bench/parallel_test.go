package bench

import (
	"net/http"
	"runtime"
	"testing"
	"time"
)

// busy answers after keeping a processor for a while, as a Base does that
// writes a request and reads its answer.
type busy struct {
	stub
	rounds int
}

func (s *busy) RoundTrip(*http.Request) (*http.Response, error) {
	runtime.KeepAlive(spin(s.rounds))
	return s.resp, nil
}

// spin takes a time in proportion to n and touches no memory.
//
//go:noinline
func spin(n int) (x uint64) {
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// rounds returns how much spinning takes d here.
func rounds(d time.Duration) int {
	const n = 1_000_000
	best := time.Hour
	for range 10 { // somebody else may have the processor meanwhile
		start := time.Now()
		runtime.KeepAlive(spin(n))
		best = min(best, time.Since(start))
	}
	return int(n * d / best)
}

// BenchmarkParallel is what a request costs in 64 goroutines on one host that
// succeeds after half a microsecond of work.
func BenchmarkParallel(b *testing.B) {
	n := rounds(500 * time.Nanosecond)
	for _, c := range Contenders() {
		b.Run(c.Name, func(b *testing.B) {
			rt := c.Wrap(&busy{stub{&http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}}, n})
			b.ReportAllocs()
			b.SetParallelism(32) // times two processors
			b.RunParallel(func(pb *testing.PB) {
				req, err := http.NewRequest(http.MethodGet, "http://data.test/resource/abcd-1234.json", nil)
				if err != nil {
					b.Fatal(err)
				}
				for pb.Next() {
					if _, err := rt.RoundTrip(req); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
