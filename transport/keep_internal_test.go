package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
)

// full is a store with room for so many bytes.
type full struct {
	memory
	room   int
	closed int
}

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return f.memory.Write(p)
}

func (f *full) Close() error { f.closed++; return nil }

func TestKeptWhenTheDiskIsFull(t *testing.T) {
	want := make([]byte, 50_000)
	rand.NewChaCha8([32]byte{3}).Read(want)
	disk := &full{room: 20_000}
	k := newKept(io.NopCloser(bytes.NewReader(want)), 1<<30, errTooLarge, func() (store, error) { return disk, nil })
	first, err := k.again()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.LimitReader(first, 10_000))
	if _, again := k.again(); again != nil { // there is room so far
		t.Error(again)
	}
	second := k.current
	rest, err2 := io.ReadAll(second)
	if err != nil || err2 != nil || !bytes.Equal(rest, want) || !bytes.HasPrefix(want, got) {
		t.Errorf("read %d and %d bytes, %v, %v", len(got), len(rest), err, err2)
	}
	if _, err := k.again(); err != errFull || disk.closed != 1 {
		t.Errorf("another attempt: %v, closed %d times", err, disk.closed)
	}
	if _, err := first.Read(make([]byte, 1)); err != errSuperseded {
		t.Errorf("the first attempt reads on: %v", err)
	}
}

// held is a body whose Read waits.
type held struct {
	asked chan struct{}
	give  chan string
	n     int
}

func (h *held) Read(p []byte) (int, error) {
	h.asked <- struct{}{}
	return copy(p, <-h.give), nil
}

func (h *held) Close() error { h.n++; return nil }

// TestKeptWhileAnOldAttemptReads: what an attempt that is over still gets of
// the body belongs to the next.
func TestKeptWhileAnOldAttemptReads(t *testing.T) {
	for _, row := range []struct {
		name  string
		room  int
		ended bool // the last attempt is through before the piece comes
		want  string
		err   error
	}{
		{"there is room", 100, false, "piece", nil},
		{"there is none", 3, false, "", errFull},
		{"nobody wants it", 100, true, "", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			src := &held{asked: make(chan struct{}), give: make(chan string)}
			disk := &full{room: row.room}
			opened := 0
			k := newKept(src, 1<<30, errTooLarge, func() (store, error) { opened++; return disk, nil })
			old, _ := k.again()
			var reading sync.WaitGroup
			reading.Go(func() {
				if n, err := old.Read(make([]byte, 10)); n != 0 || err != errSuperseded {
					t.Errorf("the old attempt got %d bytes, %v", n, err)
				}
			})
			<-src.asked
			last, _ := k.again()
			k.release() // the last attempt's answer is there already
			if row.ended {
				last.Close()
			}
			src.give <- "piece"
			reading.Wait()
			if !row.ended {
				p := make([]byte, 10)
				n, err := last.Read(p)
				if string(p[:n]) != row.want || !errors.Is(err, row.err) {
					t.Errorf("the last attempt got %q, %v, want %q, %v", p[:n], err, row.want, row.err)
				}
				last.Close()
			}
			if src.n != 1 || disk.closed != opened || row.ended && opened > 0 {
				t.Errorf("the body was closed %d times, the store opened %d and closed %d times", src.n, opened, disk.closed)
			}
		})
	}
}

// TestTempFileThatIsCut: somebody else has made the file shorter.
func TestTempFileThatIsCut(t *testing.T) {
	var file *tempFile
	k := newKept(io.NopCloser(strings.NewReader("all of it")), 1<<30, errTooLarge, func() (store, error) {
		s, err := newTempFile(t.TempDir())
		file = s.(*tempFile)
		return s, err
	})
	first, _ := k.again()
	io.Copy(io.Discard, first)
	first.Close()
	if err := file.Truncate(3); err != nil {
		t.Fatal(err)
	}
	second, _ := k.again()
	if b, err := io.ReadAll(second); string(b) != "all" || err != io.ErrUnexpectedEOF {
		t.Errorf("got %q, %v", b, err)
	}
	k.release()
	second.Close()
	if _, err := file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is open: %v", err)
	}
}

// TestTempFileThatKeepsItsName is Windows, where an open file cannot be removed.
func TestTempFileThatKeepsItsName(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := (&tempFile{File: f, name: f.Name()}).Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}
