package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/sodahttp/sodahttp/bench"
	"github.com/sodahttp/sodahttp/transport"
)

const (
	gib     = 1 << 30
	spooled = "sodahttp with Spool, no GetBody"
)

// An upload is what one contender made of 1 GiB whose first attempt is answered
// 503 before it is read.
type upload struct {
	name    string
	peaks   []float64 // bytes of heap above what there was before, by run
	took    []float64 // seconds
	outcome string
}

// uploads measures them in turn, over TCP.
func uploads(r *run) (all []*upload) {
	chosen := append(bench.Contenders()[1:], bench.Contender{Name: spooled, Wrap: func(base http.RoundTripper) http.RoundTripper {
		return &transport.Spool{Base: &transport.Transport{Base: base}}
	}}) // bare does not try again
	for range r.rounds(3) {
		for i, c := range chosen {
			r.progress("1 GiB up, " + c.Name)
			if len(all) == i {
				all = append(all, &upload{name: c.Name})
			}
			all[i].once(c)
		}
	}
	return all
}

func (u *upload) once(c bench.Contender) {
	var attempts atomic.Int32
	var got atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if attempts.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, req.Body, make([]byte, 256<<10))
		got.Store(n)
	}))
	defer srv.Close()
	base := &http.Transport{WriteBufferSize: 64 << 10}
	defer base.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "PUT", srv.URL+"/resource/abcd-1234.json", content())
	if err != nil {
		panic(err)
	}
	req.ContentLength = gib
	if c.Name != spooled {
		req.GetBody = func() (io.ReadCloser, error) { return content(), nil }
	}
	debug.FreeOSMemory()
	stop := watchHeap()
	start := time.Now()
	resp, err := c.Wrap(base).RoundTrip(req)
	u.took = append(u.took, time.Since(start).Seconds())
	u.peaks = append(u.peaks, stop())
	switch {
	case u.outcome != "" && u.outcome != "whole": // one that fails once fails
	case err != nil:
		u.outcome = fmt.Sprintf("fails: %v", bare(err))
	case resp.StatusCode != 200 || got.Load() != gib:
		u.outcome = fmt.Sprintf("status %d, %d bytes", resp.StatusCode, got.Load())
	default:
		u.outcome = "whole"
	}
	if err == nil {
		resp.Body.Close()
	}
	debug.FreeOSMemory()
}

// bare returns the cause of an error, which names no port.
func bare(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err
		}
		err = inner.Unwrap()
	}
}

// content returns a body of 1 GiB that takes no memory.
func content() io.ReadCloser { return io.NopCloser(io.LimitReader(blanks{}, gib)) }

// blanks are as many of them as one reads.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// watchHeap looks at the heap until the function it returns is called, which
// says how far it grew.
func watchHeap() func() float64 {
	runtime.GC()
	before := heap()
	quit, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			most = max(most, heap())
			select {
			case <-quit:
				peak <- max(most, heap())
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() float64 {
		close(quit)
		return float64(<-peak) - float64(before)
	}
}

func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
