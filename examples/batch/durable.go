package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// replace makes or replaces the file at path, so that after a crash, at any
// moment, there is the old file or the whole new one. Only one replace of a path
// may run at a time.
func replace(path string, write func(io.Writer) error) error {
	return place(path+".tmp", func() string { return path }, write)
}

// place is replace with a name that is known once the file is written.
func place(tmp string, name func() string, write func(io.Writer) error) error {
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	err = fill(f, write)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	path := name()
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// fill has f written, down to the disk.
func fill(f *os.File, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(f, 64<<10)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir brings the names in dir to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
