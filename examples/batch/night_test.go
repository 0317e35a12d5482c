//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

var full = flag.Bool("full", false, "run TestFull: a million rows, a minute and a half")

// In a process of its own the test binary is the portal.
const portalVariable = "BATCH_TEST_PORTAL"

func TestMain(m *testing.M) {
	var n night
	if s := os.Getenv(portalVariable); s != "" {
		if err := json.Unmarshal([]byte(s), &n); err != nil {
			panic(err)
		}
		n.serve(os.Stdin, os.Stdout)
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// A night is a portal's: its rows, how long it is down, and after how many
// requests each run of the export is killed.
type night struct {
	Rows   int
	Outage time.Duration
	Kills  []int
}

// A log is what the portal saw.
type log struct {
	Answered int // with data, whole or cut
	Refused  int // with a 429
	Failed   int // in the outage, or with a 504
	Took     time.Duration
}

// serve is the portal. It says its URL, then a word whenever it is time to kill,
// and, when in ends, what it saw.
func (n night) serve(in io.Reader, out io.Writer) {
	seen := 0
	srv := sodatest.NewServer(append(faults(n.Outage),
		sodatest.Generated(sodatest.SampleID, n.Rows),
		sodatest.Latency(func() time.Duration {
			if seen++; slices.Contains(n.Kills, seen) {
				fmt.Fprintln(out, "kill")
			}
			return latency()
		}))...)
	fmt.Fprintln(out, srv.URL)
	io.Copy(io.Discard, in)
	requests := srv.Requests()
	srv.Close()
	l := log{Took: requests[len(requests)-1].Time.Sub(requests[0].Time)}
	for _, r := range requests {
		switch r.Status {
		case http.StatusTooManyRequests:
			l.Refused++
		case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			l.Failed++
		default:
			l.Answered++
		}
	}
	json.NewEncoder(out).Encode(l)
}

// A twentieth of the night in real time, with the real program.
func TestKilled(t *testing.T) {
	newNight(50_000, 500*time.Millisecond).pass(t)
}

// The whole night. It is measured, so it wants a quiet machine:
//
//	go test -run TestFull -v . -args -full
func TestFull(t *testing.T) {
	if !*full {
		t.Skip("it takes a minute and a half: -args -full")
	}
	const rows, outage = 1_000_000, 10 * time.Second
	log, rss := newNight(rows, outage).pass(t)
	took := (log.Took - outage).Seconds()
	used, useful := float64(log.Answered)/took/100, rows/200/took/100
	t.Logf("%.1f %% of the limit was used outside the outage, %.1f %% for pages that were kept; at most %d MiB", 100*used, 100*useful, rss>>20)
	if used < 0.9 {
		t.Error("less than 90 % of the limit was used")
	}
	if rss >= 64<<20 {
		t.Error("it took 64 MiB or more")
	}
}

// newNight returns one with three kills at random.
func newNight(rows int, outage time.Duration) night {
	n := night{Rows: rows, Outage: outage}
	for range 3 {
		n.Kills = append(n.Kills, 2+rand.N(rows/200-10))
	}
	slices.Sort(n.Kills)
	return n
}

// pass exports from the portal while the export is killed now and then, and
// returns what the portal saw and the most memory that a run took.
func (n night) pass(t *testing.T) (log, int64) {
	dir := t.TempDir()
	program := filepath.Join(dir, "batch")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	portal := n.start(t)
	out := filepath.Join(dir, "out")
	var runs, killed int
	var rss int64
	for done := false; !done; runs++ {
		var said screen
		run := exec.Command(program, "-domain", portal.url, "-dataset", sodatest.SampleID, "-page", "200", "-workers", "12", "-out", out, "-resume")
		run.Stdout, run.Stderr = &said, &said
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- run.Wait() }()
		select {
		case <-portal.kill:
			run.Process.Kill()
			<-ended
			killed++
		case err := <-ended:
			if done = true; err != nil {
				t.Fatalf("%v\n%s", err, &said)
			}
		}
		rss = max(rss, run.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
		t.Logf("run %d: %v\n%s", runs, run.ProcessState, &said)
	}
	log := portal.stop(t)
	t.Logf("%d killed; the portal saw %+v", killed, log)
	if got := sum(t, out); got != want(n.Rows) {
		t.Error("the file is not that of the portal's rows, each once")
	}
	// A kill may cost what is under way; a cut body, a second answer; each run
	// may count.
	if pages := n.Rows / 200; log.Answered > pages+killed*12+log.Answered/51+runs+1 {
		t.Errorf("the portal answered %d times for %d pages", log.Answered, pages)
	}
	if len(slices.Compact(n.Kills)) == 3 && killed == 0 {
		t.Error("nothing was killed")
	}
	return log, rss
}

// A process is a portal at work.
type process struct {
	cmd  *exec.Cmd
	url  string
	in   io.Closer
	kill chan struct{}
	log  chan string
}

func (n night) start(t *testing.T) *process {
	t.Helper()
	spec, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), kill: make(chan struct{}, len(n.Kills)), log: make(chan string, 1)}
	p.cmd.Env = append(os.Environ(), portalVariable+"="+string(spec))
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in = in
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	lines := bufio.NewScanner(out)
	lines.Scan()
	p.url = lines.Text()
	go func() {
		defer close(p.log)
		for lines.Scan() {
			if lines.Text() == "kill" {
				p.kill <- struct{}{}
			} else {
				p.log <- lines.Text()
			}
		}
	}()
	return p
}

func (p *process) stop(t *testing.T) (l log) {
	t.Helper()
	p.in.Close()
	if err := json.NewDecoder(strings.NewReader(<-p.log)).Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l
}
