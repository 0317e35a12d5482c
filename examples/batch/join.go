package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A joiner writes the pages one after the other into the file that was asked for.
type joiner struct {
	parts *parts

	sum    hash.Hash // of what was written
	size   int64
	header []byte // of the CSV
}

// join makes the file out of all pages. What was there under that name is
// replaced when all is well, and not before.
func (j *joiner) join(ctx context.Context, out string) error {
	j.sum = sha256.New()
	return replace(out, func(w io.Writer) error {
		w = io.MultiWriter(w, j.sum)
		for n := range j.parts.of.pages() {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			rows, err := j.add(w, n)
			if want := j.parts.of.rowsOf(n); err == nil && rows != want { // it had them when it was written
				err = fmt.Errorf("it has %d rows, and should have %d", rows, want)
			}
			switch {
			case errors.Is(err, errTorn): // another run fetches it again
				return &tryLater{time.Now(), fmt.Errorf("%s: %w", j.parts.part(n), err)}
			case err != nil:
				return fmt.Errorf("%s: %w", j.parts.part(n), err)
			}
		}
		return nil
	})
}

// add writes page n, and returns how many rows it has. If it is not what it was,
// that is the error, whatever else is wrong with it.
func (j *joiner) add(w io.Writer, n int) (int, error) {
	name := j.parts.part(n)
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	is := j.parts.newSum(n)
	in := bufio.NewReader(io.TeeReader(f, is))
	rows, err := j.addRows(w, in, n)
	if _, failed := io.Copy(io.Discard, in); failed != nil {
		return 0, failed
	}
	if _, sum, _ := j.parts.named(filepath.Base(name)); is.Sum32() != sum {
		return 0, errTorn
	}
	return rows, err
}

func (j *joiner) addRows(w io.Writer, page *bufio.Reader, n int) (int, error) {
	if j.parts.of.Format != "csv" {
		var rows lineCounter
		err := j.copy(io.MultiWriter(w, &rows), page)
		return int(rows), err
	}
	header, err := cutHeader(page)
	switch {
	case err != nil:
		return 0, fmt.Errorf("the header of the CSV: %w", err)
	case n == 0:
		j.header = header
		if err := j.copy(w, bytes.NewReader(header)); err != nil {
			return 0, err
		}
	case !bytes.Equal(j.header, header):
		return 0, errors.New("its header is another than that of page 0")
	}
	var rows csvCounter
	err = j.copy(io.MultiWriter(w, &rows), page)
	return rows.records, err
}

func (j *joiner) copy(w io.Writer, r io.Reader) error {
	n, err := io.Copy(w, r)
	j.size += n
	return err
}
