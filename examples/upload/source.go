package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// A source is a file that is read once for each attempt.
type source struct {
	path string
	info os.FileInfo // from before the first attempt
	gzip bool
	show *progress
}

func newSource(path string, zip bool, show *progress) (*source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file that can be read twice", path)
	case info.Size() == 0:
		return nil, fmt.Errorf("%s is empty", path)
	}
	show.total = info.Size()
	return &source{path, info, zip, show}, nil
}

// open returns the rows from their start. It is the request's GetBody.
func (s *source) open() (io.ReadCloser, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (info.Size() != s.info.Size() || !info.ModTime().Equal(s.info.ModTime())) {
		err = s.changed()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	b := &body{s: s, file: f, sent: s.show.attempt()}
	if s.gzip {
		return newZipped(b), nil
	}
	return b, nil
}

func (s *source) changed() error { return fmt.Errorf("%s has changed since the upload began", s.path) }

// A body is the file for one attempt.
type body struct {
	s    *source
	file *os.File
	read int64
	sent func(int64)
}

// Read fails if the file has become shorter: half of it must not pass for all.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.file.Read(p)
	b.read += int64(n)
	b.sent(b.read)
	if err == io.EOF && b.read != b.s.info.Size() {
		err = b.s.changed()
	}
	return n, err
}

func (b *body) Close() error { return b.file.Close() }

// zipped is a body that is compressed as it is read.
type zipped struct {
	*body
	chunk [32 << 10]byte
	buf   bytes.Buffer // compressed, not read yet
	zip   *gzip.Writer
	err   error // of the file, io.EOF at its end
}

func newZipped(b *body) *zipped {
	z := &zipped{body: b}
	z.zip, _ = gzip.NewWriterLevel(&z.buf, gzip.BestSpeed) // the level is valid
	return z
}

func (z *zipped) Read(p []byte) (int, error) {
	for z.buf.Len() == 0 && z.err == nil {
		var n int
		n, z.err = z.body.Read(z.chunk[:])
		z.zip.Write(z.chunk[:n]) // a bytes.Buffer takes it all
		if z.err == io.EOF {
			z.zip.Close()
		}
	}
	if z.buf.Len() > 0 {
		return z.buf.Read(p)
	}
	return 0, z.err
}
