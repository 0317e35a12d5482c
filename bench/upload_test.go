package bench

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/transport"
)

// BenchmarkUpload is a body of 1 GiB over loopback TCP that is sent twice, as
// the first answer is a 503 after all of it has come or after 1 MiB. It gives
// the most that the heap grew meanwhile, server included.
func BenchmarkUpload(b *testing.B) {
	for _, early := range []bool{false, true} {
		for _, spool := range []bool{false, true} {
			b.Run(fmt.Sprintf("early=%v/spool=%v", early, spool), func(b *testing.B) { upload(b, early, spool) })
		}
	}
}

func upload(b *testing.B, early, spool bool) {
	attempts, sum := 0, uint32(0)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempts++
		h := crc32.NewIEEE()
		n := int64(gib)
		if attempts%2 == 1 && early {
			n = 1 << 20
		}
		io.CopyN(h, r.Body, n)
		if sum = h.Sum32(); attempts%2 == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	h := crc32.NewIEEE()
	io.Copy(h, newGibibyte())
	var rt http.RoundTripper = new(transport.Transport)
	if spool {
		rt = &transport.Spool{Base: rt, Dir: b.TempDir()}
	}
	b.SetBytes(2 * gib)
	peak := watchHeap()
	for b.Loop() {
		req, err := http.NewRequest("PUT", srv.URL, newGibibyte())
		if err != nil {
			b.Fatal(err)
		}
		if !spool {
			req.ContentLength = gib
			req.GetBody = func() (io.ReadCloser, error) { return newGibibyte(), nil }
		}
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 {
			b.Fatalf("%v, %v", resp, err)
		}
		if resp.Body.Close(); sum != h.Sum32() {
			b.Fatal("the body arrived changed")
		}
	}
	b.ReportMetric(peak(), "MiB-heap")
}

// newGibibyte returns 1 GiB, no two blocks of which are the same.
func newGibibyte() io.ReadCloser {
	return io.NopCloser(io.LimitReader(&blocks{}, gib))
}

// blocks is an endless series of numbered blocks.
type blocks struct {
	n    uint64
	buf  [32 << 10]byte
	left []byte // of buf
}

func (r *blocks) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		r.n++
		binary.LittleEndian.PutUint64(r.buf[:], r.n)
		r.left = r.buf[:]
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// watchHeap looks at the heap every few milliseconds, until it is asked for the
// most that it has grown, in MiB.
func watchHeap() (peak func() float64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	})
	return func() float64 {
		close(stop)
		watching.Wait()
		return float64(most-before) / (1 << 20)
	}
}
