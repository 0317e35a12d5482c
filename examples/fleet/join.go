package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// join is the command: it puts the pages together.
func join(ctx context.Context, args []string, out io.Writer) error {
	var j job
	f := j.flags("join")
	to := f.String("out", "rows.csv", "the `file` to write")
	if err := parse(f, args); err != nil {
		return err
	}
	if info, err := os.Lstat(*to); err == nil && !info.Mode().IsRegular() { // a link may lead to the log, as /dev/stdout does
		return fmt.Errorf("-out %s is no regular file, and cannot be replaced by one", *to)
	}
	p, err := j.load()
	if err != nil {
		return err
	}
	if n := j.missing(p); n > 0 {
		return later("%d of %d pages are missing", n, p.pages())
	}
	sum := sha256.New()
	err = writeFile(*to, func(w io.Writer) error { return j.counted(ctx, p, io.MultiWriter(w, sum)) })
	if err != nil {
		return err
	}
	left, _ := os.ReadDir(j.dir)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), ".tmp-") { // of workers that were killed
			os.Remove(filepath.Join(j.dir, e.Name()))
		}
	}
	fmt.Fprintf(out, "%d rows, sha256 %x\n", p.Rows, sum.Sum(nil))
	return nil
}

// counted writes all pages, and counts the rows of what they are together.
func (j *job) counted(ctx context.Context, p *plan, w io.Writer) error {
	if p.pages() == 0 {
		return nil
	}
	r, all := io.Pipe()
	appended := make(chan error, 1)
	go func() {
		err := j.append(ctx, p, io.MultiWriter(w, all))
		all.CloseWithError(err)
		appended <- err
	}()
	rows, _, err := scan(r)
	r.CloseWithError(err)
	if failed := <-appended; failed != nil {
		return failed
	}
	if err == nil && rows != p.Rows {
		err = fmt.Errorf("the pages have %d rows together, and should have %d", rows, p.Rows)
	}
	return err
}

// append writes all pages, with the header of the first. Each ends with a line
// break, so that the next does not go on in its last row.
func (j *job) append(ctx context.Context, p *plan, w io.Writer) error {
	var header []byte
	for page := range p.pages() {
		if ctx.Err() != nil {
			return later("stopped")
		}
		b, err := os.ReadFile(j.part(page))
		if err != nil {
			return err
		}
		rows, n, err := scan(bytes.NewReader(b))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", j.part(page), err)
		case rows != p.rowsOf(page):
			return fmt.Errorf("%s has %d rows, and should have %d", j.part(page), rows, p.rowsOf(page))
		case page == 0:
			header = b[:n]
			if _, err := w.Write(header); err != nil {
				return err
			}
		case !bytes.Equal(header, b[:n]):
			return fmt.Errorf("%s has other columns than the first page", j.part(page))
		}
		if b[len(b)-1] != '\n' {
			b = append(b, '\n')
		}
		if _, err := w.Write(b[n:]); err != nil {
			return err
		}
	}
	return nil
}
