package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// resolve returns the file that path is a symbolic link to, or path itself, in a
// folder without links: others would be followed anew each time, and a ".."
// behind one would be taken away with it. What is there must be a file: it is
// going to be replaced.
func resolve(path string) (string, error) {
	for range 40 { // as many as Linux follows
		dir, file := filepath.Split(path)
		dir, err := filepath.EvalSymlinks(cmp.Or(dir, "."))
		if err != nil {
			return "", fmt.Errorf("the folder of -out is not there: %w", err)
		}
		if path = filepath.Join(dir, file); ofTheSystem(path) {
			return "", noFile(path)
		}
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, nil
		case err != nil:
			return "", err
		case info.IsDir():
			return "", fmt.Errorf("-out %s is a folder, and has to be a file", path)
		case info.Mode().IsRegular():
			return path, nil
		case info.Mode()&fs.ModeSymlink == 0:
			return "", noFile(path)
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			target = dir + string(filepath.Separator) + target // not cleaned: a folder in it may be a link
		}
		path = target
	}
	return "", fmt.Errorf("-out leads from symbolic link to symbolic link without an end, to %s", path)
}

func noFile(path string) error {
	return fmt.Errorf("-out %s is no regular file, and cannot be replaced by one", path)
}

// ofTheSystem reports whether path is one of the names that a system has for
// devices and open files. Some lead to files, such as /dev/stdout to the log, and
// those are not meant.
func ofTheSystem(path string) bool {
	abs, err := filepath.Abs(path)
	if err != nil {
		return false // of a relative path: it is in the working directory
	}
	in := func(dir string) bool { return strings.HasPrefix(abs, dir+string(filepath.Separator)) }
	return in("/proc") || in("/dev") && !in("/dev/shm") // which has files in memory
}
