package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// watch shows on w how far the run is, until stop is called: a bar on a
// terminal, elsewhere a line every few seconds.
func (t *tally) watch(w io.Writer) (stop func()) {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return every(5*time.Second, func() { fmt.Fprintln(w, t.status()) })
	}
	halt := every(200*time.Millisecond, t.bar(w))
	return func() { halt(); fmt.Fprintln(w) }
}

func (t *tally) bar(w io.Writer) func() {
	bar := progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(20),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false), // it would count the rows of earlier runs
	)
	return func() {
		t.mu.Lock()
		total, rows := int64(max(t.total, 1)), int64(t.rows)
		t.mu.Unlock()
		bar.ChangeMax64(total)
		bar.Set64(rows)
		bar.Describe(t.status())
	}
}
