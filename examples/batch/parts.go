package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gofrs/flock"
)

// A parts is the folder of an unfinished export: its plan, and a file for each
// page that is there. What has its name there is whole and on the disk, and the
// name has its checksum, so that the list of names is all the checkpoint it
// takes.
type parts struct {
	dir  string
	lock *flock.Flock
	of   plan // what the pages are of

	mu       sync.Mutex
	sums     map[int]uint32 // of the pages that are there
	header   []byte         // of the CSV; nil as long as there is none
	headerOf int            // which page it was first of
}

const (
	planFile   = "plan.json"
	lockFile   = "lock"
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
	done := &parts{dir: dir + doneSuffix}
	ok, err := done.begun()
	return err == nil && ok && done.of.fits(c) == nil
}

// openParts takes the folder for the file out, so that no second run can, and
// removes what earlier runs left behind that is of no worth.
func openParts(out string) (*parts, error) {
	p := &parts{dir: out + ".parts", sums: map[int]uint32{}}
	for tries := 0; !p.locked(); tries++ {
		if err := p.take(); err != nil && (tries == 100 || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	if err := errors.Join(syncDir(filepath.Dir(p.dir)), removeDone(p.dir+doneSuffix)); err != nil {
		return nil, errors.Join(err, p.lock.Close())
	}
	return p, nil
}

// take makes the folder, unless it is there, and locks it.
func (p *parts) take() error {
	if err := os.Mkdir(p.dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if p.lock != nil { // what it locks is in another folder by now
		if err := p.lock.Close(); err != nil {
			return err
		}
	}
	p.lock = flock.New(filepath.Join(p.dir, lockFile))
	ok, err := p.lock.TryLock()
	if err == nil && !ok {
		err = fmt.Errorf("another run is at work in %s", p.dir)
	}
	return err
}

// locked reports whether p has the lock, and that is the folder's: between the
// steps of take, another run may have finished and given the folder up.
func (p *parts) locked() bool {
	if p.lock == nil || !p.lock.Locked() {
		return false
	}
	mine, err := p.lock.Stat()
	there, err2 := os.Stat(p.lock.Path())
	return err == nil && err2 == nil && os.SameFile(mine, there)
}

// close lets another run have the folder. Without a plan there is nothing in it
// to go on with, and it is removed, unless there is more in it than is ours.
func (p *parts) close() error {
	if begun, err := p.begun(); !begun && err == nil && p.locked() {
		removePages(p.dir)
		os.Remove(filepath.Join(p.dir, planFile+".tmp"))
		os.Remove(p.lock.Path())
		os.Remove(p.dir)
	}
	return p.lock.Close()
}

// begun reports whether there is a plan, which it reads.
func (p *parts) begun() (bool, error) {
	data, err := os.ReadFile(filepath.Join(p.dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var pl plan
	if err = json.Unmarshal(data, &pl); err == nil {
		err = pl.check()
	}
	if err != nil {
		return false, fmt.Errorf("the %s in %s is damaged: %w; remove that folder to begin anew", planFile, p.dir, err)
	}
	p.of = pl
	return true, nil
}

// begin takes all pages away and writes down the plan.
func (p *parts) begin(pl plan) error {
	if err := p.clear(); err != nil {
		return err
	}
	p.of = pl
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
	err := removePages(p.dir)
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.sums)
	p.header = nil
	return err
}

// name returns the name of page n with that checksum.
func (p *parts) name(n int, sum uint32) string {
	return filepath.Join(p.dir, fmt.Sprintf("%08d-%08x.part", n, sum))
}

// part returns the name of page n, which has to be there.
func (p *parts) part(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.name(n, p.sums[n])
}

// add notes that page n is there.
func (p *parts) add(n int, sum uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sums[n] = sum
}

// keep has page n written down.
func (p *parts) keep(n int, write func(io.Writer) error) error {
	sum := p.newSum(n)
	name := func() string { return p.name(n, sum.Sum32()) }
	f, err := os.Create(filepath.Join(p.dir, fmt.Sprintf("%08d.part.tmp", n)))
	if err != nil {
		return err
	}
	err = place(f, name, func(w io.Writer) error { return write(io.MultiWriter(w, sum)) })
	if err == nil {
		p.add(n, sum.Sum32())
	}
	return err
}

// newSum returns the hash of page n: it is to find what a disk has changed, or a
// hand has renamed, and no more.
func (p *parts) newSum(n int) hash.Hash32 {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	fmt.Fprintf(sum, "%+v %d\n", p.of, n)
	return sum
}

// fits returns an error if page n has another header than the first page that
// was there.
func (p *parts) fits(n int, header []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.header == nil {
		p.header, p.headerOf = header, n
	}
	if !bytes.Equal(p.header, header) {
		return &errChanged{fmt.Sprintf("page %d has the columns %.300q, and page %d has %.300q", n, header, p.headerOf, p.header)}
	}
	return nil
}

// have looks at all pages that are there, and returns the size of each. One that
// is not what was written, as a disk may leave it, is removed to be fetched
// again.
func (p *parts) have(log io.Writer) (map[int]int64, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	have := map[int]int64{}
	for _, e := range entries {
		n, sum, ok := p.named(e.Name())
		if !ok || n >= p.of.pages() {
			continue
		}
		size, header, err := p.look(n, sum)
		switch {
		case errors.Is(err, errTorn):
			fmt.Fprintf(log, "batch: %s is not what was written: it is removed, and fetched again\n", p.name(n, sum))
			err = os.Remove(p.name(n, sum))
		case err == nil:
			have[n] = size
			p.add(n, sum)
			err = p.fits(n, header)
		}
		if err != nil {
			return nil, err
		}
	}
	return have, nil
}

// named takes apart the name of a page.
func (p *parts) named(file string) (n int, sum uint32, ok bool) {
	if _, err := fmt.Sscanf(file, "%d-%x.part", &n, &sum); err != nil || n < 0 {
		return 0, 0, false
	}
	return n, sum, file == filepath.Base(p.name(n, sum))
}

// errTorn says that a page is not what was written.
var errTorn = errors.New("its bytes are not those that were written")

// look reads page n, and returns its size and the header of a CSV.
func (p *parts) look(n int, sum uint32) (size int64, header []byte, err error) {
	f, err := os.Open(p.name(n, sum))
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	is := p.newSum(n)
	in := bufio.NewReader(io.TeeReader(f, is))
	if p.of.Format == "csv" {
		header, _ = cutHeader(in) // what is no header is torn
	}
	if size, err = io.Copy(io.Discard, in); err == nil && is.Sum32() != sum {
		err = errTorn
	}
	return size + int64(len(header)), header, err
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
// run that comes after a crash what the file is. Two runs may do this at once.
func removeDone(done string) error {
	for tries := 0; ; tries++ {
		err := errors.Join(removePages(done), syncDir(done))
		if err == nil {
			err = os.RemoveAll(done)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // another run has removed it
			return nil
		case errors.Is(err, fs.ErrExist) && tries < 100: // another run has filled it meanwhile, and that can go too
		default:
			return err
		}
	}
}

// removePages removes the pages in dir, and what a crash has left of others. It
// looks at names, and makes no pattern of dir, which may have a bracket in it.
func removePages(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.Contains(e.Name(), ".part") {
			if failed := os.Remove(filepath.Join(dir, e.Name())); !errors.Is(failed, fs.ErrNotExist) {
				err = errors.Join(err, failed)
			}
		}
	}
	return err
}
