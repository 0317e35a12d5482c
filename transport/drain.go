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
func drain(body io.ReadCloser) []byte {
	if body == nil || body == http.NoBody {
		return []byte{}
	}
	end := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(body, drainSize+1))
		if err != nil || len(b) > drainSize {
			b = nil // an error only means that the connection is gone
		}
		end <- b
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	defer body.Close()
	select {
	case b := <-end:
		return b
	case <-timer.C:
		return nil
	}
}
