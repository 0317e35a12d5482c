package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/sodatest"
)

// The pace that is shown is the one of now, whatever was told of it last.
func TestStatusHasThePaceOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.TokenBucket(20, 2), sodatest.Latency(latency), sodatest.Generated(sodatest.SampleID, 4000))
		pacer := new(pace.Pacer)
		heard := newTally(pacer, w.Portal) // which is told of no change of pace
		d := new(drain)
		portal := &asker{w.client(d, pacer, heard.event), d, heard}
		heard.begin(4000, 0, 0)
		f := &fetcher{config: w.config, portal: portal, parts: &parts{dir: t.TempDir(), sums: map[int]uint32{}, of: plan{Page: 10, Rows: 4000, Format: "jsonl"}}}
		f.parts.of.Modified = modifiedNow(t, w)
		todo := make([]int, 400)
		for i := range todo {
			todo[i] = i
		}
		if err := workers(t.Context(), t.Context(), 12, todo, func(ctx context.Context, n int) error { _, err := f.fetch(ctx, n); return err }); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(20 * time.Second) // a pace that nothing is refused at grows
			want := fmt.Sprintf("pace %.1f requests/s", pacer.Snapshot()[0].Rate)
			var report bytes.Buffer
			heard.report(&report)
			if line := heard.status(0); !strings.Contains(line, ", "+want) || !strings.Contains(report.String(), "; the pace tried last was "+strings.TrimPrefix(want, "pace ")) {
				t.Errorf("there is no %q in %q, or in\n%s", want, line, &report)
			}
		}
	})
}

// A pace that an earlier run was refused at is not told as this one's.
func TestPaceOfAnEarlierRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sodatest.TokenBucket(20, 2), sodatest.Latency(latency), sodatest.Generated(sodatest.SampleID, 2000))
		w.Page = 10
		for _, met := range []bool{true, false} {
			w.out = screen{}
			if got := w.run(t.Context()); got != exitDone || strings.Contains(w.out.String(), "; the pace tried last was ") != met {
				t.Errorf("exit status %d:\n%s", got, &w.out)
			}
			w.RPS = 5               // which is not refused
			time.Sleep(time.Second) // once there are tokens again
		}
	})
}

// modifiedNow returns when the portal's data changed last.
func modifiedNow(t *testing.T, w *world) string {
	t.Helper()
	resp, err := w.srv.Client().Get(w.srv.URL + "/resource/" + w.Dataset + ".json?$limit=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	s, _ := modified(resp.Header)
	return s
}

// A log tells every 5 s that nothing comes, since when, why, and what is next.
func TestSilentPortal(t *testing.T) {
	for _, tt := range []struct {
		name string
		down func(req *http.Request) (*http.Response, error)
		says string
	}{
		{"it refuses", func(req *http.Request) (*http.Response, error) { return refused(req, "40"), nil }, `: 503 Service Unavailable$`},
		{"it is gone", func(req *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		}, `: dial tcp: connection refused$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const silent = 2 * time.Minute
				w := newWorld(t, sodatest.Generated(sodatest.SampleID, 1000))
				began, base := time.Now(), w.Base
				w.Base = baseFunc(func(_ string, req *http.Request) (*http.Response, error) {
					if time.Since(began) < silent {
						return tt.down(req)
					}
					return base.RoundTrip(req)
				})
				var seen int
				line := regexp.MustCompile(`(?m)^counting the rows, no answer since 00:00:00, (next in \d+s|trying now)` + tt.says)
				time.AfterFunc(silent, func() { seen = len(line.FindAllString(w.out.String(), -1)) })
				if got := w.run(t.Context()); got != exitDone {
					t.Fatalf("exit status %d:\n%s", got, &w.out)
				}
				if seen < 23 {
					t.Errorf("it was said %d times:\n%s", seen, &w.out)
				}
				w.stoodFor(t, silent)
				if text := w.out.String(); !strings.Contains(text, "next in ") || strings.Contains(text[strings.LastIndex(text, "1000 of 1000 rows"):], "no answer since") {
					t.Errorf("it says\n%s", text)
				}
			})
		})
	}
}

// stoodFor wants a standstill of at least d in the report.
func (w *world) stoodFor(t *testing.T, d time.Duration) {
	t.Helper()
	var took, stood float64
	_, report, _ := strings.Cut(w.out.String(), "\ntook ")
	if _, err := fmt.Sscanf(report, "%f s, %f s of it paused", &took, &stood); err != nil || stood < d.Seconds() || stood > took {
		t.Errorf("a standstill of %v is not in the report: %s", d, report)
	}
}

// While the data's copy lags behind, that is what is said.
func TestStaleIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stale := sodatest.Reply{Header: map[string]string{headerStale: "true"}}
		w := newWorld(t, sodatest.Replies(sodatest.Reply{}, stale), sodatest.Generated(sodatest.SampleID, 1000))
		w.Workers = 1
		if got := w.run(t.Context()); got != exitDone || !strings.Contains(w.out.String(), "next in 25s: "+errStale.Error()+"\n") {
			t.Errorf("exit status %d:\n%s", got, &w.out)
		}
		w.stoodFor(t, between)
	})
}

// busyTally is one with all that a status line may have.
func busyTally() *tally {
	portal := &url.URL{Scheme: "http", Host: "data.test"}
	heard := newTally(new(pace.Pacer), portal)
	k := pace.KeyOf(&http.Request{URL: portal})
	ticket, _ := heard.pacer.Wait(context.Background(), k, false)
	heard.pacer.Abandon(ticket)
	heard.begin(12_345_678, 0, 0)
	heard.page(6_000_000, 987_654_321)
	heard.asking = time.Now().Add(-time.Hour)
	heard.halted = 12 * time.Second
	return heard
}

// What is drawn fits into the terminal, however narrow that is.
func TestDrawnLineFits(t *testing.T) {
	for _, bad := range []string{"", "503 Service Unavailable", "dial tcp: lookup größe.test: " + strings.Repeat("no such host ", 20)} {
		heard := busyTally()
		if bad != "" {
			heard.trouble(1, bad, time.Now().Add(time.Minute))
		}
		for width := 1; width < 220; width++ {
			var out bytes.Buffer
			d := &display{w: &out, width: func() int { return width }}
			d.draw(heard)
			line, ok := strings.CutPrefix(out.String(), eraseLine)
			if n := utf8.RuneCountInString(line); !ok || n > max(width-1, 1) || strings.ContainsAny(line, "\r\n\x1b") {
				t.Fatalf("of %d columns %d are used: %q", width, n, line)
			}
			if width >= 80 && !strings.Contains(line, "6000000 of 12345678 rows") {
				t.Errorf("in %d columns: %q", width, line)
			}
			if width == 80 && (bad == "" && !strings.Contains(line, "ETA ") || bad != "" && !strings.Contains(line, "next in 1m0s: ")) {
				t.Errorf("what matters is not in %q", line)
			}
			if width == 200 && bad == "" && (!strings.Contains(line, "987.7 MB") || !strings.Contains(line, "paused 12.0 s") || !strings.HasSuffix(line, " 48% |█████       |")) {
				t.Errorf("there is room for more than %q", line)
			}
		}
	}
}

// What matters least goes first, and the rest keeps its place.
func TestFit(t *testing.T) {
	fields := []field{{"rows", 0}, {"least", 9}, {"wrong", 1}, {"mean", 5}}
	for width, want := range map[int]string{
		0: "rows, least, wrong, mean", 24: "rows, least, wrong, mean", 23: "rows, wrong, mean", 16: "rows, wrong", 10: "rows, wro…", 1: "…",
	} {
		if got := fit(append([]field(nil), fields...), width); got != want {
			t.Errorf("%d: %q", width, got)
		}
	}
}

// A line that is said while the bar is there takes its place.
func TestLinesAboveTheBar(t *testing.T) {
	var out bytes.Buffer
	d := &display{w: &out, width: func() int { return 80 }}
	d.draw(busyTally())
	out.Reset()
	fmt.Fprintln(d, "said")
	fmt.Fprintln(d, "and more")
	if out.String() != eraseLine+"said\nand more\n" {
		t.Errorf("%q", &out)
	}
}
