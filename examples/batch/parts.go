package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// A parts is the folder of an unfinished export: its plan, and a file for each
// page that is there. What has its name there is whole and on the disk, so
// that the list of names is all the checkpoint it takes.
type parts struct {
	dir  string
	lock *flock.Flock
}

const (
	planFile   = "plan.json"
	doneSuffix = ".done" // of the folder's name, once the file is there
)

// finished reports whether a run with the flags of c has made the file, and was
// killed before it could remove the folder.
func (c *config) finished() bool {
	dir := c.Out + ".parts"
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if _, err := os.Stat(c.Out); err != nil {
		return false
	}
	pl, ok, err := (&parts{dir: dir + doneSuffix}).plan()
	return err == nil && ok && pl.fits(c) == nil
}

// openParts takes the folder for the file out, so that no second run can, and
// removes what earlier runs left behind that is of no worth.
func openParts(out string) (*parts, error) {
	p := &parts{dir: out + ".parts"}
	if err := os.RemoveAll(p.dir + doneSuffix); err != nil {
		return nil, err
	}
	if err := os.Mkdir(p.dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := syncDir(filepath.Dir(p.dir)); err != nil {
		return nil, err
	}
	p.lock = flock.New(filepath.Join(p.dir, "lock"))
	switch ok, err := p.lock.TryLock(); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("another run is at work in %s", p.dir)
	}
	return p, nil
}

// close lets another run have the folder.
func (p *parts) close() error { return p.lock.Close() }

// plan returns the plan, and whether there is one.
func (p *parts) plan() (pl plan, ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(p.dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return pl, false, nil
	}
	if err != nil {
		return pl, false, err
	}
	if err = json.Unmarshal(data, &pl); err == nil {
		err = pl.check()
	}
	if err != nil {
		return pl, false, fmt.Errorf("the %s in %s is no plan: %w; remove that folder to begin anew", planFile, p.dir, err)
	}
	return pl, true, nil
}

// begin takes all pages away and writes down the plan.
func (p *parts) begin(pl plan) error {
	if err := p.clear(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(pl, "", "  ")
	if err != nil {
		return err
	}
	return replace(filepath.Join(p.dir, planFile), func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	})
}

// clear takes the plan away, and then the pages: those without a plan count for
// nothing.
func (p *parts) clear() error {
	if err := os.Remove(filepath.Join(p.dir, planFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syncDir(p.dir); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(p.dir, "*.part*"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// part returns the name of page n.
func (p *parts) part(n int) string { return filepath.Join(p.dir, fmt.Sprintf("%08d.part", n)) }

// have returns the sizes of the pages of pl that are there. One that does not
// have its rows, as a disk may leave it, is removed to be fetched again.
func (p *parts) have(pl plan, log io.Writer) (map[int]int64, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	have := map[int]int64{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".part")
		n, bad := strconv.Atoi(name)
		if !ok || bad != nil || n < 0 || n >= pl.pages() || e.Name() != filepath.Base(p.part(n)) {
			continue
		}
		rows, size, err := p.count(pl.Format, n)
		if err == nil && rows != pl.rowsOf(n) {
			fmt.Fprintf(log, "batch: %s has %d rows, and should have %d: it is removed, and fetched again\n", p.part(n), max(rows, 0), pl.rowsOf(n))
			if err := os.Remove(p.part(n)); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		have[n] = size
	}
	return have, nil
}

// count reads page n.
func (p *parts) count(format string, n int) (rows int, size int64, err error) {
	f, err := os.Open(p.part(n))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	return countRows(format, f)
}

// finish gives the folder up for good: first its name, so that a run that comes
// after a crash in the middle of this does not take it for unfinished.
func (p *parts) finish() error {
	done := p.dir + doneSuffix
	if err := os.Rename(p.dir, done); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(p.dir)); err != nil {
		return err
	}
	return removeDone(done)
}

// removeDone removes a folder that was given up. The plan goes last: it tells a
// run that comes after a crash what the file is.
func removeDone(done string) error {
	names, err := filepath.Glob(filepath.Join(done, "*.part*"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	if err := errors.Join(err, syncDir(done)); err != nil {
		return err
	}
	return os.RemoveAll(done)
}
