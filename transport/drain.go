package transport

import (
	"io"
	"net/http"
	"time"
)

// A discarded response is read to its end, so that its connection can be used
// again, if that is near.
const (
	drainSize = 64 << 10
	drainTime = 250 * time.Millisecond
)

// drain reads what is left of body, within bounds, and closes it, which ends a
// read that is still going on. It returns what it read, nil if that is not all.
// A Read that panics does so in the caller, who may know what to do about it.
func drain(body io.ReadCloser) []byte {
	if body == nil || body == http.NoBody {
		return []byte{}
	}
	type result struct {
		read     []byte
		panicked any
	}
	end := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panicked = recover()
			end <- r
		}()
		b, err := io.ReadAll(io.LimitReader(body, drainSize+1))
		if err == nil && len(b) <= drainSize { // an error only means that the connection is gone
			r.read = b
		}
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	defer body.Close()
	select {
	case r := <-end:
		if r.panicked != nil {
			panic(r.panicked)
		}
		return r.read
	case <-timer.C:
		return nil
	}
}
