// Compare has this library and its rivals do the same work, interleaved, and
// writes the page of what came of it, docs/benchmarks.md, with its pictures and
// the raw output in docs/benchmarks. Run it in bench/:
//
//	go run ./cmd/compare
//
// With -parts or -quick it shows what part of the page would be, and writes
// that to a temporary folder unless -docs names one.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"
)

// A part is a section of the page and the work it is about.
type part struct {
	name string
	do   func(*testing.T, *run)
}

var parts = []part{
	{"first", first}, {"retry", retry}, {"parallel", goroutines}, {"upload", up}, {"download", down},
	{"contract", obligations}, {"throttle", throttle}, {"held", held}, {"windows", windows}, {"short", short}, {"arrivals", arrivals},
	{"growth", grow}, {"portal", portal},
}

var discardLog = log.New(io.Discard, "", 0)

func main() {
	names := ""
	for _, p := range parts {
		names += " " + p.name
	}
	r := &run{start: time.Now()}
	chosen := flag.String("parts", "", "regular expression of the parts to do; all are:"+names)
	flag.BoolVar(&r.quick, "quick", false, "few rounds, seeds and servers, to see that all works")
	flag.StringVar(&r.docs, "docs", "", `folder to write to (default "../docs" if all is done)`)
	flag.Parse()
	pattern, err := regexp.Compile(*chosen)
	if err == nil && !slices.ContainsFunc(parts, func(p part) bool { return pattern.MatchString(p.name) }) {
		err = fmt.Errorf("-parts %q is none of:%s", *chosen, names)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	// synctest needs a *testing.T, and testing.Main makes one.
	os.Args = os.Args[:1]
	testing.Main(func(_, _ string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "compare", F: func(t *testing.T) { r.all(t, pattern) }}}, nil, nil)
}

// A run is one run of the command.
type run struct {
	page
	quick bool
	docs  string
	start time.Time
}

func (r *run) all(t *testing.T, chosen *regexp.Regexp) {
	whole := !r.quick && chosen.String() == ""
	if err := r.folder(whole); err != nil {
		t.Fatal(err)
	}
	loadBefore := load()
	for _, p := range parts {
		if chosen.MatchString(p.name) {
			p.do(t, r)
		}
	}
	head := header(r, chosen.String(), loadBefore)
	if err := r.save(r.docs, head); err != nil {
		t.Fatal(err)
	}
	r.progress("done, see " + r.docs)
}

// folder settles where to write.
func (r *run) folder(whole bool) (err error) {
	switch {
	case r.docs != "":
	case whole:
		r.docs = filepath.Join("..", "docs")
	default:
		r.docs, err = os.MkdirTemp("", "compare")
	}
	if err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(r.docs, "benchmarks"), 0o755)
}

// rounds returns n, or less for a quick run.
func (r *run) rounds(n int) int {
	if r.quick {
		return 1 + n/8
	}
	return n
}

// seeds are of the kind that nothing was tuned on: from 101 on.
func (r *run) seeds() []uint64 {
	if r.quick {
		return []uint64{301}
	}
	return []uint64{301, 302, 303}
}

func (r *run) progress(what string) {
	fmt.Fprintf(os.Stderr, "%6s  %s\n", time.Since(r.start).Round(time.Second), what)
}
