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
// read that is still going on.
func drain(body io.ReadCloser) {
	if body == nil || body == http.NoBody {
		return
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		io.Copy(io.Discard, io.LimitReader(body, drainSize)) // an error only means that the connection is gone
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-end:
	case <-timer.C:
	}
	body.Close()
}
