package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A page is what is to be written.
type page struct {
	text     bytes.Buffer // Markdown
	bench    bytes.Buffer // in the format of Go's benchmarks
	sim      bytes.Buffer // what was simulated, run by run
	pictures map[string][]byte
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(&p.text, format, args...) }

// picture adds one, and shows it.
func (p *page) picture(name, alt string, svg []byte) {
	if p.pictures == nil {
		p.pictures = map[string][]byte{}
	}
	p.pictures[name+".svg"] = svg
	p.printf("![%s](benchmarks/%s.svg)\n\n", alt, name)
}

// save writes everything into folder docs.
func (p *page) save(docs, head string) error {
	files := map[string][]byte{
		"benchmarks.md":             append([]byte(head), bytes.TrimRight(p.text.Bytes(), "\n")...),
		"benchmarks/benchstat.txt":  p.bench.Bytes(),
		"benchmarks/simulation.txt": p.sim.Bytes(),
	}
	files["benchmarks.md"] = append(files["benchmarks.md"], '\n')
	files["benchmarks/benchstat.txt"] = append(fmt.Appendf(nil, "goos: %s\ngoarch: %s\npkg: github.com/sodahttp/sodahttp/bench\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, processor()), p.bench.Bytes()...)
	for name, svg := range p.pictures {
		files["benchmarks/"+name] = svg
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(docs, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A table has a row for each piece of work and a column for each contender.
type table struct {
	corner  string
	columns []string
	rows    [][]string
}

func (p *page) table(t table) {
	p.printf("| %s | %s |\n|---|%s\n", t.corner, strings.Join(t.columns, " | "), strings.Repeat("---|", len(t.columns)))
	for _, row := range t.rows {
		p.printf("| %s |\n", strings.Join(row, " | "))
	}
	p.printf("\n")
}

// slug makes a name one word.
func slug(name string) string {
	return strings.NewReplacer(", ", "-", " ", "-", "/", "-").Replace(strings.ToLower(name))
}

func bold(s string) string { return "**" + s + "**" }

// quartiles returns the middle of v and the range of its middle half.
func quartiles(v []float64) (low, median, high float64) {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/4], v[len(v)/2], v[len(v)-1-len(v)/4]
}

// nanos is a time that is easy to read.
func nanos(ns float64) string {
	digits := func(v float64) string {
		if v < 9.95 {
			return fmt.Sprintf("%.1f", v)
		}
		return thousands(v)
	}
	switch v := math.Abs(ns); {
	case v < 10_000:
		return thousands(ns) + " ns"
	case v < 10e6:
		return digits(ns/1e3) + " µs"
	}
	return digits(ns/1e6) + " ms"
}

func thousands[N int | int64 | float64](n N) string {
	s := fmt.Sprintf("%.0f", float64(n))
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
