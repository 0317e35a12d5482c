package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/sodatest"
)

// crashes has what a power cut can leave behind, at each step of a run. w.Out has
// all pages when it is called, the file not yet.
var crashes = []struct {
	name     string
	leave    func(t *testing.T, w *world, j *joiner)
	requests int // that the next run makes
}{
	{"before the plan", func(t *testing.T, w *world, j *joiner) {
		remove(t, filepath.Join(j.parts.dir, planFile)) // and pages of an older plan are there
	}, 6},
	{"while the plan is written", func(t *testing.T, w *world, j *joiner) {
		write(t, filepath.Join(j.parts.dir, planFile+".tmp"), `{"ho`)
	}, 0},
	{"while a page is written", func(t *testing.T, w *world, j *joiner) {
		remove(t, j.parts.part(3))
		write(t, j.parts.part(3)+".tmp", `{"amount"`)
	}, 1},
	{"before the file", func(t *testing.T, w *world, j *joiner) {}, 0},
	{"while the file is written", func(t *testing.T, w *world, j *joiner) {
		write(t, w.Out+".tmp", "{}\n{}\n")
	}, 0},
	{"after the file", func(t *testing.T, w *world, j *joiner) {
		if err := j.join(t.Context(), w.Out); err != nil {
			t.Fatal(err)
		}
	}, 0},
	{"while the pages are removed", func(t *testing.T, w *world, j *joiner) {
		if err := j.join(t.Context(), w.Out); err != nil {
			t.Fatal(err)
		}
		remove(t, j.parts.part(2))
		if err := os.Rename(j.parts.dir, j.parts.dir+doneSuffix); err != nil {
			t.Fatal(err)
		}
	}, 0},
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestCrashes(t *testing.T) {
	for _, tt := range crashes {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rows = 1000
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, rows))
				j := w.pagesOnly(t)
				tt.leave(t, w, j)
				if err := j.parts.lock.Close(); err != nil { // and no more, as in a crash
					t.Fatal(err)
				}
				before := len(w.srv.Requests())
				w.Resume = true
				if got := w.run(t.Context()); got != exitDone {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
				w.checkFile(t, rows)
				if n := len(w.srv.Requests()) - before; n != tt.requests {
					t.Errorf("%d requests, want %d", n, tt.requests)
				}
			})
		})
	}
}

// A folder that was given up tells that the file is there only if it is, and is
// of this export.
func TestNotFinished(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, w *world, done string){
		"an empty folder":            func(t *testing.T, w *world, done string) {},
		"an empty folder and a file": func(t *testing.T, w *world, done string) { write(t, w.Out, "{}\n") },
		"no file": func(t *testing.T, w *world, done string) {
			write(t, filepath.Join(done, planFile), planText(w, w.Dataset))
		},
		"a file of another export": func(t *testing.T, w *world, done string) {
			write(t, w.Out, "{}\n")
			write(t, filepath.Join(done, planFile), planText(w, "abcd-9999"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
				w.Resume = true
				done := w.Out + ".parts" + doneSuffix
				if err := os.Mkdir(done, 0o777); err != nil {
					t.Fatal(err)
				}
				leave(t, w, done)
				if got := w.run(t.Context()); got != exitDone {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
				w.checkFile(t, 1000)
			})
		})
	}
}

// A folder cannot be replaced by the file: that is said before the night.
func TestOutIsAFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		if err := os.Mkdir(w.Out, 0o777); err != nil {
			t.Fatal(err)
		}
		if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "is a folder") || len(w.srv.Requests()) > 0 {
			t.Errorf("exit status %d, %d requests:\n%s", got, len(w.srv.Requests()), &w.out)
		}
	})
}

// A page of which a byte is another is named and had again, or is no page of the
// file.
func TestChangedByte(t *testing.T) {
	for _, format := range []string{"jsonl", "csv"} {
		for _, at := range []float64{0, 0.5, 0.999} { // of the page
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
				w.Format, w.Resume = format, true
				j := w.pagesOnly(t)
				name := j.parts.part(3)
				page, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				page[int(at*float64(len(page)))] ^= 1
				write(t, name, string(page))

				var later *tryLater
				if err := j.join(t.Context(), w.Out); !errors.As(err, &later) || !errors.Is(err, errTorn) || !strings.Contains(err.Error(), name) {
					t.Errorf("joined: %v", err)
				}
				if _, err := os.Stat(w.Out); !errors.Is(err, os.ErrNotExist) {
					t.Error("there is a file")
				}
				if err := j.parts.close(); err != nil {
					t.Fatal(err)
				}
				before := len(w.srv.Requests())
				if got := w.run(t.Context()); got != exitDone || !strings.Contains(w.out.String(), filepath.Base(name)+" is not what was written") {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
				if format == "jsonl" {
					w.checkFile(t, 1000)
				} else if sum(t, w.Out) != plainCSV(t, 1000) {
					t.Error("the file is not the portal's CSV")
				}
				if n := len(w.srv.Requests()) - before; n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
			})
		}
	}
}

// otherHeader is a Base that gives pages of CSV another header, if it is to.
type otherHeader struct {
	http.RoundTripper
	is func(req *http.Request) bool
}

func (o otherHeader) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.RoundTripper.RoundTrip(req)
	if err == nil && o.is(req) {
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		resp.Body = io.NopCloser(strings.NewReader(strings.Replace(string(body), "\"name\"", "\"title\"", 1)))
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
	}
	return resp, err
}

func page3(req *http.Request) bool { return req.URL.Query().Get("$offset") == "600" }

// Columns that are others are found when they come, and not when all is there.
func TestOtherHeader(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			second := func() time.Duration { return time.Second }
			w := newWorld(t, sodatest.Latency(second), sodatest.Generated(sodatest.SampleID, 10_000))
			w.Format, w.Workers, w.Resume = "csv", 1, true
			if resumed { // what they differ from comes from an earlier run
				asked, stop := context.WithCancel(t.Context())
				time.AfterFunc(3500*time.Millisecond, stop)
				if got := w.run(asked); got != exitLater {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
			}
			w.Base = otherHeader{w.Base, page3}
			if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "page 3 has the columns ") || !strings.Contains(w.out.String(), `\"title\"`) {
				t.Errorf("exit status %d:\n%s", got, &w.out)
			}
			if n := len(w.srv.Requests()); n > 6 {
				t.Errorf("%d requests were made until it was found", n)
			}
		})
	}
}

// With -restart, the new columns are as good as the old ones.
func TestRestartWithOtherHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		w.Format, w.Workers, w.Restart = "csv", 1, true
		changed := false
		w.Base = otherHeader{w.Base, func(req *http.Request) bool {
			changed = changed || page3(req)
			return changed
		}}
		if got := w.run(t.Context()); got != exitDone || strings.Count(w.out.String(), "beginning anew") != 1 {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		if file, err := os.ReadFile(w.Out); err != nil || strings.Count(string(file), `"title"`) != 1 {
			t.Errorf("the file is %.200s (%v)", file, err)
		}
	})
}

// What a symbolic link leads to is replaced, not the link.
func TestOutIsALink(t *testing.T) {
	for name, link := range map[string]func(dir string) error{
		"to a file": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "there", "file"), []byte("old"), 0o666), os.Symlink("there/file", filepath.Join(dir, "link")))
		},
		"to nothing yet": func(dir string) error { return os.Symlink("there/file", filepath.Join(dir, "link")) },
		"to a link": func(dir string) error {
			return errors.Join(os.Symlink("file", filepath.Join(dir, "there", "other")), os.Symlink(filepath.Join(dir, "there", "other"), filepath.Join(dir, "link")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
				dir := filepath.Dir(w.Out)
				if err := os.Mkdir(filepath.Join(dir, "there"), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := link(dir); err != nil {
					t.Fatal(err)
				}
				w.Out = filepath.Join(dir, "link")
				if got := w.run(t.Context()); got != exitDone {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
				if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || info.Mode()&os.ModeSymlink == 0 {
					t.Errorf("the link is %v (%v)", info, err)
				}
				w.Out = filepath.Join(dir, "there", "file")
				w.checkFile(t, 1000)
			})
		})
	}
}

// What cannot be made is said before the night.
func TestOutCannotBe(t *testing.T) {
	dir := t.TempDir()
	for from, to := range map[string]string{"a": "b", "b": "a", "null": os.DevNull, "folder": "."} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	for name, says := range map[string]string{
		"a": "without an end", "null": "no regular file", "folder": "is a folder", "none/file": "the folder of -out is not there", ".": "is a folder",
	} {
		if got, err := resolve(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A page that was cut off on the disk is named and had again.
func TestTornPages(t *testing.T) {
	for _, format := range []string{"jsonl", "csv"} {
		for _, left := range []float64{0, 0.5, 1} { // of the page; 1 is without its last byte
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
				w.Format, w.Resume = format, true
				j := w.pagesOnly(t)
				if err := j.parts.close(); err != nil {
					t.Fatal(err)
				}
				page, err := os.ReadFile(j.parts.part(3))
				if err != nil {
					t.Fatal(err)
				}
				write(t, j.parts.part(3), string(page[:int(left*float64(len(page)-1))]))
				write(t, j.parts.name(77, 0), "no page of this export\n")
				before := len(w.srv.Requests())
				if got := w.run(t.Context()); got != exitDone || !strings.Contains(w.out.String(), filepath.Base(j.parts.part(3))+" is not what was written") {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
				if format == "jsonl" {
					w.checkFile(t, 1000)
				} else if sum(t, w.Out) != plainCSV(t, 1000) {
					t.Error("the file is not the portal's CSV")
				}
				if n := len(w.srv.Requests()) - before; n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
			})
		}
	}
}

// A page that has another's name is not believed.
func TestRenamedPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		p := w.pagesOnly(t).parts
		_, sum, _ := p.named(filepath.Base(p.part(1)))
		remove(t, p.part(2))
		if err := os.Rename(p.part(1), p.name(2, sum)); err != nil {
			t.Fatal(err)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		before := len(w.srv.Requests())
		w.Resume = true
		if got := w.run(t.Context()); got != exitDone || !strings.Contains(w.out.String(), filepath.Base(p.name(2, sum))+" is not what was written") {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		w.checkFile(t, 1000)
		if n := len(w.srv.Requests()) - before; n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
}

// Nor is one of another export.
func TestPageOfAnotherPlan(t *testing.T) {
	sums := map[uint32]plan{}
	for _, of := range []plan{{}, {Host: "data.test"}, {Dataset: "abcd-1234"}, {Format: "csv"}, {Page: 1}, {Rows: 1}, {Modified: "now"}} {
		s := (&parts{of: of}).newSum(1).Sum32()
		if other, ok := sums[s]; ok {
			t.Errorf("a page of %+v can be one of %+v", of, other)
		}
		sums[s] = of
	}
}

// A plan that can be none is named, with what to do.
func TestOddPlans(t *testing.T) {
	for _, text := range []string{
		"",
		"null",
		`{"page":200,"rows":-5}`,
		`{"page":200,"rows":1e18}`,
		`{"page":200,"rows":1000000000000000000}`,
		`{"page":0,"rows":1000}`,
		`{"page":-1,"rows":1000}`,
		`{"page":1,"rows":9223372036854775807}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
			w.Resume = true
			if err := os.Mkdir(w.Out+".parts", 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(w.Out+".parts", planFile), text)
			if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "plan.json in "+w.Out+".parts is damaged: ") || !strings.Contains(w.out.String(), "remove that folder to begin anew") || strings.Contains(w.out.String(), "counting") {
				t.Errorf("%s: exit status %d:\n%s", text, got, &w.out)
			}
		})
	}
}

// planText is a plan of 1000 rows.
func planText(w *world, dataset string) string {
	return fmt.Sprintf(`{"host":%q,"dataset":%q,"format":%q,"page":%d,"rows":1000}`, w.Portal.Host, dataset, w.Format, w.Page)
}

// pagesOnly gets all pages, and does not join them.
func (w *world) pagesOnly(t *testing.T) *joiner {
	t.Helper()
	p, err := openParts(w.Out)
	if err != nil {
		t.Fatal(err)
	}
	drain, heard := new(drain), newTally(new(pace.Pacer), w.Portal)
	portal := &asker{w.client(drain, heard.pacer, heard.event), drain, heard}
	j := &job{w.config, portal, p, heard, newDisplay(io.Discard)}
	pl, err := w.newPlan(t.Context(), portal)
	if err == nil {
		err = p.begin(pl)
	}
	if err == nil {
		err = j.pages(t.Context(), t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.Out+".pace.json", `{"version":1}`)
	return &joiner{parts: p}
}

func TestOneRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		w.Resume = true
		p := w.pagesOnly(t).parts
		if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "another run is at work in ") {
			t.Errorf("exit status %d:\n%s", got, &w.out)
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		if got := w.run(t.Context()); got != exitDone {
			t.Errorf("exit status %d:\n%s", got, &w.out)
		}
	})
}

// Of runs that begin while others end, one has the folder, and the others say so:
// nothing else goes wrong.
func TestRunsAtOnce(t *testing.T) {
	out := filepath.Join(memory(t), "out")
	pl := plan{Format: "jsonl", Page: 1, Rows: 1}
	var inside atomic.Int32
	turn := func() error {
		p, err := openParts(out)
		if err != nil {
			return err
		}
		if n := inside.Add(1); n != 1 {
			t.Errorf("%d runs have the folder", n)
		}
		err = errors.Join(p.begin(pl), p.keep(0, func(w io.Writer) error { _, err := io.WriteString(w, "{}\n"); return err }))
		inside.Add(-1)
		return errors.Join(err, p.finish(), p.close())
	}
	var runs sync.WaitGroup
	var whole atomic.Int32
	for range 8 {
		runs.Go(func() {
			for range 200 {
				switch err := turn(); {
				case err == nil:
					whole.Add(1)
				case !strings.HasPrefix(err.Error(), "another run is at work in "):
					t.Error(err)
					return
				}
			}
		})
	}
	runs.Wait()
	if left, err := os.ReadDir(filepath.Dir(out)); whole.Load() == 0 || err != nil || len(left) > 0 {
		t.Errorf("%d were whole; %v are left (%v)", whole.Load(), left, err)
	}
}

// A folder that was given up may be removed by who made it and by who finds it.
func TestRemovedTwice(t *testing.T) {
	done := filepath.Join(memory(t), "out.parts"+doneSuffix)
	for range 100 {
		if err := os.Mkdir(done, 0o777); err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			write(t, filepath.Join(done, fmt.Sprintf("%08d-00000000.part", n)), "{}\n")
		}
		write(t, filepath.Join(done, planFile), "{}")
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := removeDone(done); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if _, err := os.Stat(done); err == nil {
			t.Fatal("it is still there")
		}
	}
}

// What can be refused without the portal is refused before it is asked.
func TestRefusedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		if err := os.Mkdir(w.Out+".parts", 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(w.Out+".parts", planFile), planText(w, "abcd-9999"))
		for i, says := range []string{"batch: there is an unfinished export in ", "batch: the unfinished export is of "} {
			w.Resume, w.out = i == 1, screen{}
			if got := w.run(t.Context()); got != exitFailed || !strings.HasPrefix(w.out.String(), says) || strings.Count(w.out.String(), "\n") != 1 {
				t.Errorf("exit status %d:\n%s", got, &w.out)
			}
		}
		if n := len(w.srv.Requests()); n > 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// A page that is not as it should be is no page of the file, even if it is what
// was written.
func TestJoinChecks(t *testing.T) {
	for _, tt := range []struct{ name, format, page, says string }{
		{"rows are missing", "jsonl", "{}\n", ".part: it has 1 rows, and should have 200"},
		{"rows of CSV are missing", "csv", `"amount","category","created","id","location","name","open"` + "\n\"1\"\n", ".part: it has 1 rows, and should have 200"},
		{"another header", "csv", "\"a\"\n\"1\"\n", ".part: its header is another"},
		{"no header", "csv", "", ".part: the header of the CSV: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
				w.Format = tt.format
				j := w.pagesOnly(t)
				defer j.parts.close()
				sum := j.parts.newSum(1)
				io.WriteString(sum, tt.page)
				j.parts.add(1, sum.Sum32())
				write(t, j.parts.part(1), tt.page)
				if err := j.join(t.Context(), w.Out); err == nil || !strings.Contains(err.Error(), "00000001-") || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("the error is %v", err)
				}
				for _, name := range []string{w.Out, w.Out + ".tmp"} {
					if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
						t.Errorf("%s is there", name)
					}
				}
			})
		})
	}
}

func TestNoRows(t *testing.T) {
	for format, want := range map[string]string{"jsonl": "", "csv": "\"amount\"\n"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t,
				sodatest.Dataset(sodatest.SampleID, nil),
				sodatest.Every(2, sodatest.Reply{Body: map[string]string{"jsonl": "[]\n", "csv": "\"amount\""}[format]}))
			w.Format = format
			if got := w.run(t.Context()); got != exitDone {
				t.Fatalf("%s: exit status %d:\n%s", format, got, &w.out)
			}
			if got, err := os.ReadFile(w.Out); err != nil || string(got) != want {
				t.Errorf("%s: the file is %q (%v)", format, got, err)
			}
		})
	}
}
