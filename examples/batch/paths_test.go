package main

import (
	"errors"
	"fmt"
	"io"
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

// What names an open file is not the file that is meant, and its log least of
// all: a run that is told to write there refuses, and leaves all as it is.
func TestOutIsAnOpenFile(t *testing.T) {
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer pipe.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/dev/stdout", link); err != nil {
		t.Fatal(err)
	}
	names := []string{"/dev/stdout", "/dev/../dev/stderr", link, "/dev/none"}
	for _, f := range []*os.File{log, pipe} {
		names = append(names, fmt.Sprintf("/dev/fd/%d", f.Fd()), fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	}
	for _, name := range names {
		if got, err := resolve(name); err == nil || !strings.Contains(err.Error(), "is no regular file, and cannot be replaced by one") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat("/dev/shm"); err != nil {
		return // not every system has it
	}
	if got, err := resolve("/dev/shm/out"); err != nil || got != "/dev/shm/out" {
		t.Errorf("a file in memory: %q, %v", got, err)
	}
}

// A ".." behind a link is the parent of what the link leads to.
func TestOutBehindALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		dir := filepath.Dir(w.Out)
		there := filepath.Join(dir, "there")
		if err := errors.Join(os.MkdirAll(filepath.Join(there, "deep"), 0o777), os.Symlink("there/deep", filepath.Join(dir, "link"))); err != nil {
			t.Fatal(err)
		}
		w.Out = dir + "/link/../out"
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		if w.Out != filepath.Join(there, "out") {
			t.Errorf("the file is %s", w.Out)
		}
		w.checkFile(t, 1000)
		if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
			t.Errorf("%v are left (%v)", left, err)
		}
	})
}

// A relative name stays one.
func TestOutIsRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"out", "./out", "x/../out"} {
		if name == "x/../out" {
			if err := os.Mkdir("x", 0o777); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := resolve(name); got != "out" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Who could not read the old file cannot read the new one, even if a crash has
// left half of one that all can read, or none.
func TestPermissionsAreKept(t *testing.T) {
	for _, bits := range []os.FileMode{0o600, 0o444, 0o664} {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, "old")
		write(t, path+".tmp", "half")
		if err := errors.Join(os.Chmod(path, bits), os.Chmod(path+".tmp", 0o400)); err != nil {
			t.Fatal(err)
		}
		err := replace(path, func(w io.Writer) error {
			if info, err := os.Stat(path + ".tmp"); err != nil || info.Mode().Perm() != bits {
				t.Errorf("while it is written it has %v (%v), want %v", info.Mode(), err, bits)
			}
			_, err := io.WriteString(w, "new")
			return err
		})
		if info, err2 := os.Stat(path); err != nil || err2 != nil || info.Mode().Perm() != bits || info.Size() != 3 {
			t.Errorf("it has %v, want %v (%v)", info.Mode(), bits, errors.Join(err, err2))
		}
	}
}
