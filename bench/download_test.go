package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/sodahttp/sodahttp/transport"
)

// BenchmarkDownload is a body of 1 GiB over loopback TCP that is not cut, with
// and without Resume, and how much the heap grew meanwhile.
func BenchmarkDownload(b *testing.B) {
	const size = 1 << 30
	chunk := make([]byte, 64<<10)
	for i := range chunk {
		chunk[i] = byte(' ' + i%90)
	}
	for _, kind := range []string{"application/octet-stream", "text/csv"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			for range size / len(chunk) {
				w.Write(chunk)
			}
		}))
		for _, c := range []struct {
			name string
			rt   http.RoundTripper
		}{
			{"bare", http.DefaultTransport},
			{"Resume", &transport.Resume{Base: http.DefaultTransport}},
		} {
			b.Run(fmt.Sprintf("%s/%s", kind, c.name), func(b *testing.B) {
				b.SetBytes(size)
				client := &http.Client{Transport: c.rt}
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for b.Loop() {
					resp, err := client.Get(srv.URL)
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
						b.Fatalf("read %d bytes, %v", n, err)
					}
					resp.Body.Close()
				}
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(int64(after.HeapSys)-int64(before.HeapSys))/(1<<20), "MiB-heap")
			})
		}
		srv.Close()
	}
}
