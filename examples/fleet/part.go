package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// has reports whether a page is there: as a whole, or it would have another
// name.
func (j *job) has(page int) bool {
	_, err := os.Stat(j.part(page))
	return err == nil
}

// missing returns how many pages are not there.
func (j *job) missing(p *plan) (n int) {
	for page := range p.pages() {
		if !j.has(page) {
			n++
		}
	}
	return n
}

// writeFile writes a file that is there as a whole or not at all, whenever the
// machine stops. One that it replaces leaves it its permission bits.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	mode := os.FileMode(0o644)
	if old, err := os.Stat(path); err == nil {
		mode = old.Mode().Perm()
	}
	w := bufio.NewWriter(f)
	if err = errors.Join(write(w), w.Flush(), f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// scan reads a page. It returns how many rows it has below its header, and the
// length of that.
func scan(r io.Reader) (rows int, header int64, err error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	if _, err := c.Read(); err != nil {
		return 0, 0, fmt.Errorf("no CSV: %w", err)
	}
	header = c.InputOffset()
	for {
		switch _, err := c.Read(); {
		case err == io.EOF:
			return rows, header, nil
		case err != nil:
			return rows, header, err
		}
		rows++
	}
}
