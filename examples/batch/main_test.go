package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// faults are the troubles of a night: a limit of 100 requests per second that
// nobody tells, 2 % of 504, 2 % of cut bodies, and an outage.
func faults(outage time.Duration) []sodatest.Option {
	return []sodatest.Option{
		sodatest.TokenBucket(100, 20),
		sodatest.Every(50, sodatest.Fault("execution_timeout")),
		sodatest.Every(51, sodatest.Reply{Cut: 900}),
		sodatest.Outage(2*outage, outage, sodatest.HTML(503)),
	}
}

func latency() time.Duration { return 20*time.Millisecond + rand.N(40*time.Millisecond) }

// A screen is what a run writes to, from several goroutines.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// A world is a portal and an export of its sample in a folder of its own.
type world struct {
	*config
	srv *sodatest.Server
	out screen
}

func newWorld(t *testing.T, opts ...sodatest.Option) *world {
	srv := sodatest.NewServer(append([]sodatest.Option{sodatest.InMemory()}, opts...)...)
	t.Cleanup(srv.Close)
	portal, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	base := srv.Transport()
	base.DisableKeepAlives = true // net/http repeats a GET by itself on a connection that it has used before
	return &world{srv: srv, config: &config{
		Portal: portal, Dataset: sodatest.SampleID, Format: "jsonl", Page: 200, Workers: 12,
		Out: filepath.Join(memory(t), "out"), Grace: 10 * time.Second, Base: base,
	}}
}

// memory returns a folder that is in memory, where there is such: thousands of
// pages are written in virtual time, and a busy disk takes real time for each.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "batch")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// run runs the export as main does, and returns the exit status.
func (w *world) run(asked context.Context) int {
	return status(w.config.export(asked, &w.out, &w.out), &w.out)
}

// want returns the hash of the file with n rows.
func want(n int) string {
	sum := sha256.New()
	for i := range n {
		io.WriteString(sum, wantRow(i))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// wantRow is row i of sodatest, as a line of the file.
func wantRow(i int) string {
	categories := []string{"Noise", "Street Condition", "Water System", "Heat/Hot Water", "Trees"}
	day := time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Hour)
	return fmt.Sprintf(`{"amount":"%.2f","category":"%s","created":"%s","id":"%d","location":{"coordinates":[%v,40.7],"type":"Point"},"name":"Row %d","open":%v}`+"\n",
		float64(i*37%1000)/4, categories[i%5], day.Format("2006-01-02T15:04:05.000"), i+1, float64(-7390-i%10)/100, i+1, i%3 == 0)
}

func sum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// checkFile wants n rows in the file, each once and in order, and nothing else
// left of the work but what is kept of the pace.
func (w *world) checkFile(t *testing.T, n int) {
	t.Helper()
	if got := sum(t, w.Out); got != want(n) {
		t.Errorf("the file is not that of the portal's %d rows", n)
	}
	left, err := filepath.Glob(w.Out + "*")
	if err != nil || !slices.Equal(left, []string{w.Out, w.Out + ".pace.json"}) {
		t.Errorf("there are %q (%v)", left, err)
	}
}

func TestWantIsSodatests(t *testing.T) {
	for i, r := range sodatest.GenerateRows(3000) {
		line, err := json.Marshal(r)
		if got := wantRow(i); err != nil || got != string(line)+"\n" {
			t.Fatalf("row %d is %s, not %s", i, line, got)
		}
	}
}

// A twentieth of the night: the whole is TestFull.
func TestExport(t *testing.T) {
	for _, format := range []string{"jsonl", "csv"} {
		t.Run(format, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rows = 50_000
				w := newWorld(t, append(faults(500*time.Millisecond), sodatest.Latency(latency), sodatest.Generated(sodatest.SampleID, rows))...)
				w.Format = format
				if got := w.run(t.Context()); got != exitDone {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
				if format == "jsonl" {
					w.checkFile(t, rows)
				} else if sum(t, w.Out) != plainCSV(t, rows) {
					t.Error("the file is not the portal's CSV")
				}
				for _, words := range []string{"rows      50000 of 50000, 0 of them by earlier runs", "504 Gateway Timeout", "body cut", "429 Too Many Requests", "503 Service Unavailable", "for its turn", "sha256 " + sum(t, w.Out)} {
					if !strings.Contains(w.out.String(), words) {
						t.Errorf("%q is not in the report:\n%s", words, &w.out)
					}
				}
			})
		})
	}
}

// plainCSV is the hash of the CSV that a portal without faults sends in one go.
func plainCSV(t *testing.T, rows int) string {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Generated(sodatest.SampleID, rows))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/resource/" + sodatest.SampleID + ".csv?$limit=1000000")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	h := sha256.New()
	if _, err := io.Copy(h, resp.Body); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// As many requests as a million rows in pages of 200 take, in virtual time: the
// limit that nobody told is used, the outage apart.
func TestUsesTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows, page, outage = 20_000, 4, 10 * time.Second
		w := newWorld(t, append(faults(outage), sodatest.Latency(latency), sodatest.Generated(sodatest.SampleID, rows))...)
		w.Page = page
		began := time.Now()
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		w.checkFile(t, rows)
		took := (time.Since(began) - outage).Seconds()
		answered := 0
		for _, r := range w.srv.Requests() {
			if r.Status == http.StatusOK || r.Status == 0 { // whole or cut
				answered++
			}
		}
		used, useful := float64(answered)/took/100, float64(rows/page)/took/100
		t.Logf("outside the outage %.1f %% of the limit were used, %.1f %% for pages that were kept\n%s", 100*used, 100*useful, &w.out)
		if used < 0.85 { // of 60 runs the least was 90.2, the median 96.5
			t.Error("less than 85 % of the limit were used")
		}
	})
}

func TestResumeAfterASignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 10_000
		w := newWorld(t, sodatest.Latency(func() time.Duration { return time.Second }), sodatest.Generated(sodatest.SampleID, rows))
		w.Workers = 2
		asked, stop := context.WithCancel(t.Context())
		time.AfterFunc(2500*time.Millisecond, stop) // in the middle of the second pair
		began := time.Now()
		if got := w.run(asked); got != exitLater {
			t.Errorf("exit status %d:\n%s", got, &w.out)
		}
		if took := time.Since(began); took > 3500*time.Millisecond {
			t.Errorf("it took %v to stop: pages that are under way take until 3 s", took)
		}
		if !strings.Contains(w.out.String(), "batch: try again with -resume, now: stopped by a signal\n") {
			t.Errorf("it says\n%s", &w.out)
		}

		if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "there is an unfinished export in ") {
			t.Errorf("without -resume: exit status %d:\n%s", got, &w.out)
		}
		w.Resume, w.Page = true, 100
		if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "wants the same flags again") {
			t.Errorf("with another -page: exit status %d:\n%s", got, &w.out)
		}
		w.Page = 200
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		w.checkFile(t, rows)
		if n := len(w.srv.Requests()); n != 1+rows/200 {
			t.Errorf("%d requests for %d pages and one count: something was repeated", n, rows/200)
		}
	})
}

// In an outage nothing is with the portal for long, so there is nothing to wait
// for.
func TestSignalInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Outage(time.Second, 40*time.Minute, sodatest.HTML(503)), sodatest.Latency(latency),
			sodatest.TokenBucket(20, 1), sodatest.Generated(sodatest.SampleID, 10_000))
		asked, stop := context.WithCancel(t.Context())
		const at = 10 * time.Minute
		time.AfterFunc(at, stop)
		began := time.Now()
		if got := w.run(asked); got != exitLater {
			t.Errorf("exit status %d:\n%s", got, &w.out)
		}
		if took := time.Since(began); took < at || took > at+time.Second {
			t.Errorf("it took %v, want %v", took, at)
		}
		if !strings.Contains(w.out.String(), ", PAUSED, paused ") {
			t.Errorf("the progress does not tell of the pause:\n%s", &w.out)
		}
		w.Resume = true
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		w.checkFile(t, 10_000)
	})
}

// upsert changes the portal's data after d.
func (w *world) upsert(t *testing.T, d time.Duration) {
	time.AfterFunc(d, func() {
		resp, err := w.srv.Client().Post(w.srv.URL+"/resource/"+sodatest.SampleID+".json", "application/json", strings.NewReader(`[{"id":"1","name":"Row 1"}]`))
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	})
}

func TestTheDataChanges(t *testing.T) {
	second := sodatest.Latency(func() time.Duration { return time.Second })
	for _, tt := range []struct {
		name    string
		restart bool
		changes int // one every 2.5 s
		want    int
	}{
		{"it fails", false, 1, exitFailed},
		{"it begins anew", true, 1, exitDone},
		{"it gives up", true, 100, exitFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, second, sodatest.Generated(sodatest.SampleID, 10_000))
				w.Restart = tt.restart
				for i := range tt.changes {
					w.upsert(t, time.Duration(i+1)*2500*time.Millisecond)
				}
				if got := w.run(t.Context()); got != tt.want {
					t.Errorf("exit status %d:\n%s", got, &w.out)
				}
				if tt.want == exitDone {
					w.checkFile(t, 10_000)
				} else if _, err := os.Stat(w.Out); err == nil {
					t.Error("there is a file of mixed data")
				}
				if !strings.Contains(w.out.String(), "the data set has changed since the export began: it was of ") {
					t.Errorf("it says\n%s", &w.out)
				}
				if got := strings.Count(w.out.String(), "beginning anew"); tt.restart && got != min(tt.changes, restarts) {
					t.Errorf("it began anew %d times", got)
				}
				time.Sleep(5 * time.Minute) // for the last upsert
			})
		})
	}
	t.Run("between two runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, second, sodatest.Generated(sodatest.SampleID, 10_000))
			asked, stop := context.WithCancel(t.Context())
			time.AfterFunc(2500*time.Millisecond, stop)
			w.run(asked)
			w.upsert(t, 0)
			time.Sleep(time.Second)
			w.Resume = true
			if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "the data set has changed") {
				t.Errorf("exit status %d:\n%s", got, &w.out)
			}
		})
	})
	t.Run("a page is short", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sodatest.Replies(sodatest.Reply{}, sodatest.Reply{Body: "[{}]"}), sodatest.Generated(sodatest.SampleID, 10_000))
			if got := w.run(t.Context()); got != exitFailed || !strings.Contains(w.out.String(), "has 1 rows, and should have 200") {
				t.Errorf("exit status %d:\n%s", got, &w.out)
			}
		})
	})
}

func TestExitStatus(t *testing.T) {
	stale := sodatest.Reply{Header: map[string]string{headerStale: "true"}}
	for _, tt := range []struct {
		name   string
		fault  sodatest.Option
		status int
		says   string
		most   time.Duration
	}{
		{"a bad token", sodatest.Token("right"), exitFailed, "403", 0},
		{"no such data set", sodatest.Every(1, sodatest.Fault("dataset.missing")), exitFailed, "404", 0},
		{"a bad question", sodatest.Every(3, sodatest.Fault("query.compiler.malformed")), exitFailed, "400", 0},
		{"no count", sodatest.Replies(sodatest.Reply{Body: "[]"}), exitFailed, "the answer is no count", 0},
		{"down for hours", sodatest.Outage(0, 9*time.Hour, sodatest.HTML(503)), exitLater, "not before ", 61 * time.Minute},
		{"closed for hours", sodatest.Every(1, sodatest.Reply{Status: 429, RetryAfter: "7200"}), exitLater, "(in 2h0m0s)", time.Second},
		{"queries take too long", sodatest.Every(1, sodatest.Fault("request-timeout")), exitLater, "(in 15m0s)", time.Minute},
		{"always cut", sodatest.Every(1, sodatest.Reply{Cut: 5}), exitLater, "counting the rows", time.Hour},
		{"cut after the count", sodatest.Every(2, sodatest.Reply{Cut: 900}), exitDone, "", time.Minute},
		{"one stale copy", sodatest.Replies(sodatest.Reply{}, stale, stale, stale), exitDone, "", time.Minute},
		{"stale copies", sodatest.Every(2, stale), exitDone, "", time.Hour},
		{"no copy is up to date", sodatest.Every(1, stale), exitLater, "not up to date", time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.fault, sodatest.Generated(sodatest.SampleID, 1000))
				w.Token = "top-secret-token"
				if tt.name != "a bad token" {
					w.Token = ""
				}
				began := time.Now()
				if got := w.run(t.Context()); got != tt.status || !strings.Contains(w.out.String(), tt.says) {
					t.Errorf("exit status %d:\n%s", got, &w.out)
				}
				if took := time.Since(began); took > tt.most {
					t.Errorf("it took %v", took)
				}
				if strings.Contains(w.out.String(), "secret") {
					t.Errorf("the token is in\n%s", &w.out)
				}
				if lines := strings.Split(strings.TrimSpace(w.out.String()), "\n"); strings.Count(lines[len(lines)-1], "socrata.test") > 1 || strings.Contains(w.out.String(), "0 of 0") {
					t.Errorf("it repeats itself, or knows what it cannot know:\n%s", &w.out)
				}
				if tt.status == exitDone {
					w.checkFile(t, 1000)
				} else if left, err := os.ReadDir(filepath.Dir(w.Out)); err != nil || len(left) > 0 && !strings.Contains(w.out.String(), "\nrows  ") {
					t.Errorf("nothing was counted, and %v are left (%v)", left, err)
				}
			})
		})
	}
}

// A silent is a Base whose first body of a page stays open and says nothing more.
type silent struct {
	http.RoundTripper
	once sync.Once
}

func (s *silent) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err == nil && strings.Contains(req.URL.RawQuery, "offset") {
		s.once.Do(func() {
			resp.Body.Close()
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("["), mute{req.Context()}))
		})
	}
	return resp, err
}

type mute struct{ ctx context.Context }

func (m mute) Read([]byte) (int, error) {
	<-m.ctx.Done()
	return 0, m.ctx.Err()
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		w.Base = &silent{RoundTripper: w.Base}
		began := time.Now()
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		w.checkFile(t, 1000)
		if took := time.Since(began); took < silence || took > silence+between+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A body that is slow is not silent.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
		w.Base = slow{w.Base}
		w.Page = 1000
		began := time.Now()
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		w.checkFile(t, 1000)
		if took := time.Since(began); took < 2*silence {
			t.Errorf("it took %v, which is not slow", took)
		}
	})
}

// slow is a Base whose bodies come a few KiB a minute.
type slow struct{ http.RoundTripper }

func (s slow) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = trickle{resp.Body}
	}
	return resp, err
}

type trickle struct{ io.ReadCloser }

func (t trickle) Read(p []byte) (int, error) {
	time.Sleep(silence / 2)
	return t.ReadCloser.Read(p)
}

// What is learned in one run, the next one begins with.
func TestThePaceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.TokenBucket(50, 5), sodatest.Latency(latency), sodatest.Generated(sodatest.SampleID, 4000))
		w.Page = 20
		refused := func() (n int) { // in the first second of a run
			began, before := time.Now(), len(w.srv.Requests())
			if got := w.run(t.Context()); got != exitDone {
				t.Fatalf("exit status %d:\n%s", got, &w.out)
			}
			for _, r := range w.srv.Requests()[before:] {
				if r.Status == http.StatusTooManyRequests && r.Time.Sub(began) < time.Second {
					n++
				}
			}
			return n
		}
		if first, second := refused(), refused(); first == 0 || second != 0 {
			t.Errorf("%d refusals in the first second, and %d in that of the second run", first, second)
		}
		if err := os.WriteFile(w.Out+".pace.json", []byte("{"), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := w.run(t.Context()); got != exitDone || !strings.Contains(w.out.String(), "the pace is learned anew: "+w.Out+".pace.json is damaged: ") {
			t.Errorf("with a broken file: exit status %d\n%s", got, &w.out)
		}
		w.checkFile(t, 4000)
	})
}

func TestRPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.Generated(sodatest.SampleID, 2000))
		w.RPS = 2
		began := time.Now()
		if got := w.run(t.Context()); got != exitDone {
			t.Fatalf("exit status %d:\n%s", got, &w.out)
		}
		if took := time.Since(began); took != 5*time.Second { // the count, and 10 pages
			t.Errorf("11 requests took %v", took)
		}
	})
}
