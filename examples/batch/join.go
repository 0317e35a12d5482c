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
)

// A joiner writes the pages one after the other into the file that was asked for.
type joiner struct {
	plan  plan
	parts *parts

	sum    hash.Hash // of what was written
	size   int64
	rows   int
	header []byte // of the CSV
}

// join makes the file out of all pages. What was there under that name is
// replaced when all is well, and not before.
func (j *joiner) join(ctx context.Context, out string) error {
	j.sum = sha256.New()
	return replace(out, func(w io.Writer) error {
		w = io.MultiWriter(w, j.sum)
		for n := range j.plan.pages() {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := j.add(w, n); err != nil {
				return fmt.Errorf("page %d: %w", n, err)
			}
		}
		if j.rows != j.plan.Rows {
			return fmt.Errorf("the pages have %d rows in all, and should have %d", j.rows, j.plan.Rows)
		}
		return nil
	})
}

// add writes page n.
func (j *joiner) add(w io.Writer, n int) error {
	f, err := os.Open(j.parts.part(n))
	if err != nil {
		return err
	}
	defer f.Close()
	if j.plan.Format != "csv" {
		var rows lineCounter
		err := j.copy(io.MultiWriter(w, &rows), f)
		j.rows += int(rows)
		return err
	}
	page := bufio.NewReader(f)
	header, err := cutHeader(page)
	switch {
	case err != nil:
		return fmt.Errorf("the header of the CSV: %w", err)
	case n == 0:
		j.header = header
		if err := j.copy(w, bytes.NewReader(header)); err != nil {
			return err
		}
	case !bytes.Equal(j.header, header):
		return errors.New("its header is another than that of page 0")
	}
	var rows csvCounter
	err = j.copy(io.MultiWriter(w, &rows), page)
	j.rows += rows.records
	return err
}

func (j *joiner) copy(w io.Writer, r io.Reader) error {
	n, err := io.Copy(w, r)
	j.size += n
	return err
}
