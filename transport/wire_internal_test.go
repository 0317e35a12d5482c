package transport

import (
	"io"
	"testing"
)

// An upload of any size costs no more memory for being watched.
func TestWatchedReadDoesNotAllocate(t *testing.T) {
	b := &watchedBody{ReadCloser: io.NopCloser(zeros{}), wire: new(wire)}
	p := make([]byte, 1<<10)
	if n := testing.AllocsPerRun(100, func() { _, _ = b.Read(p) }); n != 0 {
		t.Errorf("%v allocations a Read", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
