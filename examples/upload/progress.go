package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/schollz/progressbar/v3"
)

// A progress shows how much of the file has been read: in a bar, or where
// nobody looks at it, in a line for each tenth.
type progress struct {
	out   io.Writer
	bar   bool
	total int64

	mu     sync.Mutex
	opened int // attempts so far
	shown  int // the newest of those that have begun to read
	tenths int64
	drawn  *progressbar.ProgressBar
	line   bool // the cursor is behind a bar
}

// attempt returns what a new attempt reports to. An old one may still be read,
// and is not heard any more.
func (p *progress) attempt() func(read int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened++
	n := p.opened
	return func(read int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if n < p.shown {
			return
		}
		if n > p.shown {
			p.begin(n)
		}
		p.set(read)
	}
}

func (p *progress) begin(n int) {
	p.shown, p.tenths = n, 0
	if p.bar {
		p.drawn = progressbar.NewOptions64(p.total,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetDescription(fmt.Sprintf("attempt %d", n)),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30),
		)
	}
}

func (p *progress) set(read int64) {
	if p.bar {
		p.drawn.Set64(min(read, p.total))
		p.line = true
		return
	}
	if tenths := read * 10 / p.total; tenths > p.tenths {
		p.tenths = tenths
		fmt.Fprintf(p.out, "attempt %d: %d %% of %d bytes\n", p.shown, 10*tenths, p.total)
	}
}

// say prints a line, and takes the bar away before.
func (p *progress) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line {
		p.drawn.Clear()
		p.line = false
	}
	fmt.Fprintln(p.out, line)
}

// done leaves the bar where it is.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line {
		fmt.Fprintln(p.out)
		p.line = false
	}
}
