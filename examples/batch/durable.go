package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// replace makes or replaces the file at path, so that after a crash, at any
// moment, there is the old file or the whole new one, which may be read by the
// same people. Only one replace of a path may run at a time.
func replace(path string, write func(io.Writer) error) error {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) { // a crash may have left one that cannot be written to
		return err
	}
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	if old, err := os.Stat(path); err == nil {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return errors.Join(err, f.Close(), os.Remove(tmp))
		}
	}
	return place(f, func() string { return path }, write)
}

// place writes f and gives it its name, which is known once it is written.
func place(f *os.File, name func() string, write func(io.Writer) error) error {
	err := fill(f, write)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	path := name()
	if err := os.Rename(f.Name(), path); err != nil {
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
