package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A display is where a run says what happens, a line each, and how far it is: on
// a terminal in a bar beneath the lines.
type display struct {
	w     io.Writer
	width func() int // of the terminal; nil if it is none

	mu    sync.Mutex
	drawn bool // the bar is in the last line
}

func newDisplay(w io.Writer) *display {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &display{w: w}
	}
	return &display{w: w, width: func() int {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
		return 80
	}}
}

// Write writes lines, in the place of the bar.
func (d *display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.drawn {
		d.drawn = false
		p = append([]byte(eraseLine), p...)
	}
	n, err := d.w.Write(p)
	return n, err
}

const eraseLine = "\r\x1b[K"

// watch shows how far the run is, until stop is called: a bar on a terminal,
// elsewhere a line every few seconds.
func (d *display) watch(t *tally) (stop func()) {
	if d.width == nil {
		return every(5*time.Second, func() { fmt.Fprintln(d, t.status(0)) })
	}
	halt := every(200*time.Millisecond, func() { d.draw(t) })
	return func() {
		halt()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.drawn = false
		fmt.Fprintln(d.w)
	}
}

// draw draws the bar anew, in less than the width of the terminal: at its last
// column some begin a new line.
func (d *display) draw(t *tally) {
	room, bar := max(d.width()-1, 1), ""
	if room >= 60 {
		bar = t.bar()
	}
	line := t.status(room - len([]rune(bar)))
	if strings.HasSuffix(line, "…") {
		line, bar = t.status(room), ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	io.WriteString(d.w, eraseLine+line+bar)
	d.drawn = true
}

// bar is " 43% |████    |".
func (t *tally) bar() string {
	t.mu.Lock()
	total, rows := int64(max(t.total, 1)), int64(t.rows)
	t.mu.Unlock()
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(io.Discard),
		progressbar.OptionSetWidth(12),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false), // it would count the rows of earlier runs
	)
	bar.RenderBlank()
	bar.Set64(rows)
	return " " + strings.TrimSpace(bar.String())
}
