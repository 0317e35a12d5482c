package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// bracket has a folder of the name [2026] for the file.
func (w *world) bracket(t *testing.T) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(w.Out), "[2026]")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	w.Out = filepath.Join(dir, "out")
}

// A bracket in the path is a bracket: pages of old data are removed there too.
func TestBracketInThePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		night := time.Date(2026, time.January, 5, 2, 0, 0, 0, time.UTC)
		old := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000), sodatest.Every(1, dated(night)))
		old.bracket(t)
		p := old.pagesOnly(t).parts
		remove(t, p.part(4)) // so that the next run asks, and hears of the change
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000), sodatest.Every(1, dated(night.Add(time.Hour))))
		w.Out, w.Resume, w.Restart = old.Out, true, true
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		if n := len(w.srv.Requests()); n != 1+1+5 {
			t.Errorf("%d requests, want one for page 4, the count and 5 pages: old pages were kept", n)
		}
		left, err := os.ReadDir(filepath.Dir(w.Out))
		if err != nil || len(left) != 2 {
			t.Errorf("%v are left (%v)", left, err)
		}
	})
}

// A bracket in the path is no pattern that other exports' pages fit.
func TestBracketLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		dir := filepath.Dir(w.Out)
		w.Out = filepath.Join(dir, "data1")
		p := w.pagesOnly(t).parts
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"data[1]", "data[1"} { // the second is no pattern at all
			w.Out = filepath.Join(dir, name)
			if got := w.run(t.Context()); got != exitDone {
				t.Fatalf("%s: exit status %d:\n%s", name, got, &w.out)
			}
			if sum(t, w.Out) != want(1000) {
				t.Errorf("%s is not the portal's rows", name)
			}
		}
		entries, err := os.ReadDir(p.dir)
		pages := 0
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".part") {
				pages++
			}
		}
		if err != nil || pages != 5 {
			t.Errorf("of the other export's 5 pages there are %d (%v)", pages, err)
		}
	})
}
