package transport

import (
	"fmt"
	"net/http"
	"os"
)

// A Spool is an http.RoundTripper that lets a body be sent again that can be
// read only once, whatever its size: the output of a pipe, say. While Base
// sends the body for the first time, it is written to a temporary file, and the
// request that Base gets has a GetBody that reads this file. It belongs around
// a [Transport]. A request that has a GetBody passes as it is, and that is the
// better way where the body can be made again.
//
// Each Read of the body becomes a write to the file: give a pipe a bufio.Writer
// at its other end. A body that is longer than MaxBytes, or that the disk has no
// room for, is sent once, and the history says why it was not sent again.
//
// The GetBody is for what is below the Spool. An http.Client, which is above,
// does not see it, and so hands back a 307 or 308 that it would follow with a
// GetBody of the caller's own.
//
// The file can be read by this user only. Its name is removed right after it is
// made, so that nothing is left behind however the program ends. Windows does
// not allow that: there the file is removed when the request is over, and stays
// if the program is killed before. A Spool is safe for concurrent use.
type Spool struct {
	// Base sends the requests. If nil, http.DefaultTransport is used, as it
	// was when the program began.
	Base http.RoundTripper

	// Dir is where the files are made. Mind that /tmp is in memory on some
	// systems. If empty, os.TempDir is used.
	Dir string

	// MaxBytes is the most that is kept of one body. 0 means 1 GiB, less than
	// 0 no limit.
	MaxBytes int64
}

// RoundTrip sends req, or a copy of it whose body can be had again.
func (s *Spool) RoundTrip(req *http.Request) (*http.Response, error) {
	base := orDefault(s.Base)
	if req == nil || req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return base.RoundTrip(req)
	}
	limit := s.MaxBytes
	switch {
	case limit == 0:
		limit = 1 << 30
	case limit < 0:
		limit = 1<<63 - 1
	}
	k := newKept(req.Body, limit, fmt.Errorf("it has no GetBody and is larger than the Spool's %d bytes", limit),
		func() (store, error) { return newTempFile(s.Dir) })
	r := *req
	r.Body, _ = k.again()
	r.GetBody = k.again
	if req.ContentLength > limit {
		k.lost = k.tooMuch // not worth beginning
	}
	back := false
	defer func() {
		if back {
			k.release()
		} else { // Base has panicked
			k.abandon()
		}
	}()
	resp, err := base.RoundTrip(&r)
	back = true
	return resp, err
}

// CloseIdleConnections closes those of Base.
func (s *Spool) CloseIdleConnections() { closeIdle(orDefault(s.Base)) }

// A tempFile is a store on disk.
type tempFile struct {
	*os.File
	name string // what is to be removed in the end; empty if it is already
}

func newTempFile(dir string) (store, error) {
	f, err := os.CreateTemp(dir, "sodahttp-*")
	if err != nil {
		return nil, fmt.Errorf("it could not be kept: %w", err)
	}
	t := &tempFile{File: f}
	if os.Remove(f.Name()) != nil {
		t.name = f.Name()
	}
	return t, nil
}

func (t *tempFile) Write(p []byte) (int, error) {
	n, err := t.File.Write(p)
	if err != nil {
		err = fmt.Errorf("it could not be kept: %w", err)
	}
	return n, err
}

func (t *tempFile) Close() error {
	err := t.File.Close()
	if t.name != "" {
		os.Remove(t.name)
	}
	return err
}
