package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/transport"
)

const gib = 1 << 30

// BenchmarkDownload is a body of 1 GiB over loopback TCP that is not cut, with
// and without Resume, and how much the heap grew meanwhile: read by io.Copy; by
// reads of 64 KiB, where Resume cannot save any and all of its hash is seen;
// and by io.Copy again, from a server that sends 1 GB/s.
func BenchmarkDownload(b *testing.B) {
	for _, kind := range []string{"application/octet-stream", "text/csv"} {
		for _, how := range []struct {
			name  string
			speed rate.Limit
			buf   []byte
		}{
			{"Copy", rate.Inf, nil},
			{"Read64K", rate.Inf, make([]byte, 64<<10)},
			{"1GBps", 1e9, nil},
		} {
			srv := httptest.NewServer(gibibyte(kind, how.speed))
			for _, c := range []struct {
				name string
				rt   http.RoundTripper
			}{
				{"bare", http.DefaultTransport},
				{"Resume", &transport.Resume{Base: http.DefaultTransport}},
			} {
				b.Run(fmt.Sprintf("%s/%s/%s", kind, how.name, c.name), func(b *testing.B) {
					download(b, &http.Client{Transport: c.rt}, srv.URL, how.buf)
				})
			}
			srv.Close()
		}
	}
}

// gibibyte answers with 1 GiB at that many bytes a second.
func gibibyte(kind string, speed rate.Limit) http.HandlerFunc {
	chunk := make([]byte, 64<<10)
	for i := range chunk {
		chunk[i] = byte(' ' + i%90)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		limiter := rate.NewLimiter(speed, 1<<20)
		w.Header().Set("Content-Type", kind)
		for range gib / len(chunk) {
			if limiter.WaitN(r.Context(), len(chunk)) != nil {
				return
			}
			w.Write(chunk)
		}
	}
}

// download reads with buf, or by io.Copy if that is nil.
func download(b *testing.B, client *http.Client, url string, buf []byte) {
	b.SetBytes(gib)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		resp, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		var n int64
		if buf == nil {
			n, err = io.Copy(io.Discard, resp.Body)
		} else {
			n, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
		}
		if resp.Body.Close(); n != gib || err != nil {
			b.Fatalf("read %d bytes, %v", n, err)
		}
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.HeapSys)-int64(before.HeapSys))/(1<<20), "MiB-heap")
}
