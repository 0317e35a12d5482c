package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/sodahttp/sodahttp/sodatest"
)

var full = flag.Bool("full", false, "run in full size, and hold the clock to it")

const mainEnv = "FLEET_TEST_MAIN" // has the test binary be fleet

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Setenv(mainEnv, "1")
	os.Exit(m.Run())
}

// A stage is a Redis, a portal and a job, each of its own.
type stage struct {
	t      *testing.T
	client *redis.Client
	job    job
	plan   *plan
	portal *exec.Cmd
	said   *bufio.Reader // of the portal
}

// setUp starts a Redis and a portal with so many rows, and plans the job.
func setUp(t *testing.T, rows, pageRows int, serve ...string) *stage {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NOT TESTED: there is no redis-server (apt-get install redis-server)")
	}
	s := &stage{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	f := &family{ctx: ctx, out: io.Discard}
	t.Cleanup(f.wg.Wait)
	t.Cleanup(cancel)
	url, err := startRedis(ctx, f, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.job = job{dir: filepath.Join(t.TempDir(), "job"), redis: url}
	if s.client, err = s.job.connect(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	s.portal = f.command(append([]string{"serve", "-rows", strconv.Itoa(rows)}, serve...)...)
	pipe, err := s.portal.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.portal.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.portal.Process.Kill(); s.portal.Wait() })
	s.said = bufio.NewReader(pipe)
	origin, err := s.said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s.expect(exitDone, "plan", "-portal", strings.TrimSpace(origin), "-dataset", sodatest.SampleID, "-page", strconv.Itoa(pageRows))
	if s.plan, err = s.job.load(); err != nil {
		t.Fatal(err)
	}
	return s
}

// command returns a process of the job.
func (s *stage) command(args ...string) *exec.Cmd {
	args = append(args, "-dir", s.job.dir)
	if args[0] != "join" {
		args = append(args, "-redis", s.job.redis)
	}
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], args...)
	if *full {
		cmd.Stderr = os.Stderr
	}
	return cmd
}

// expect runs a command and checks its status.
func (s *stage) expect(status int, args ...string) (out string) {
	s.t.Helper()
	b, err := s.command(args...).Output()
	s.ended(args[0], err, status)
	return string(b)
}

func (s *stage) ended(what string, err error, status int) {
	s.t.Helper()
	got := 0
	if e, ok := err.(*exec.ExitError); ok {
		if got = e.ExitCode(); len(e.Stderr) > 0 {
			what += ": " + string(e.Stderr)
		}
	} else if err != nil {
		s.t.Fatal(err)
	}
	if got != status {
		s.t.Errorf("status %d, want %d, of %s", got, status, what)
	}
}

// A process is a worker that was started.
type process struct {
	*exec.Cmd
	done chan error
}

func (s *stage) work(args ...string) *process {
	p := &process{s.command(append([]string{"work"}, args...)...), make(chan error, 1)}
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.done <- p.Wait() }()
	return p
}

// until returns when cond holds.
func (s *stage) until(what string, cond func() bool) {
	s.t.Helper()
	timeout := time.After(3 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			s.t.Fatalf("it did not come that %s", what)
		}
	}
}

// there returns how many pages are.
func (s *stage) there() int { return s.plan.pages() - s.job.missing(s.plan) }

// whole joins the pages, and checks that the file has every row once: it must be
// what the data set is in one piece.
func (s *stage) whole(rows int) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "rows.csv")
	said := s.expect(exitDone, "join", "-out", file)
	srv := sodatest.NewServer(sodatest.Dataset(sodatest.SampleID, sodatest.GenerateRows(rows)))
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/resource/" + sodatest.SampleID + ".csv?$order=:id&$limit=" + strconv.Itoa(rows))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	want := sha256.New()
	if _, err := io.Copy(want, resp.Body); err != nil {
		s.t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := sha256.Sum256(b); string(got[:]) != string(want.Sum(nil)) {
		s.t.Errorf("the file has %x, the data set %x", got, want.Sum(nil))
	}
	if text := fmt.Sprintf("%d rows, sha256 %x\n", rows, want.Sum(nil)); said != text {
		s.t.Errorf("join says %q, want %q", said, text)
	}
	if left, _ := filepath.Glob(filepath.Join(s.job.dir, ".tmp-*")); len(left) > 0 {
		s.t.Errorf("left behind: %q", left)
	}
}

// quota stops the portal, and checks that it refused at most 2 %. It returns the
// number of requests and the seconds that they took.
func (s *stage) quota() (requests int, seconds float64) {
	s.t.Helper()
	s.portal.Process.Signal(syscall.SIGTERM)
	line, err := s.said.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	var refused int
	if _, err := fmt.Sscanf(line, "%d requests in %f s, %d refused\n", &requests, &seconds, &refused); err != nil {
		s.t.Fatalf("%q: %v", line, err)
	}
	s.t.Logf("%s", line)
	if requests < s.plan.pages() || refused*50 > requests {
		s.t.Errorf("the portal had %s", line)
	}
	return requests, seconds
}

// TestFleet has four workers, of which one is killed in the middle of its pages,
// and a Redis that stands still for 3 s.
func TestFleet(t *testing.T) {
	rows, pageRows, rps := 4_000, 20, "40"
	if *full {
		rows, pageRows, rps = 20_000, 10, "100"
	}
	s := setUp(t, rows, pageRows, "-rps", rps, "-latency", "150ms")
	var all []*process
	for range 4 {
		all = append(all, s.work("-rps", rps))
	}
	s.until("a quarter of the pages is there", func() bool { return s.there() > s.plan.pages()/4 })
	inspector := asynq.NewInspectorFromRedisClient(s.client)
	all[0].Process.Kill()
	<-all[0].done
	all[0] = s.work("-rps", rps) // as whatever watches over it would
	s.until("half of the pages is there", func() bool { return s.there() > s.plan.pages()/2 })
	s.redisStandsStill(3 * time.Second)
	if !*full {
		s.lostAreFound(inspector)
		all = append(all, s.work("-rps", rps)) // looks for lost pages as it starts
	}
	for _, p := range all {
		s.ended("work", <-p.done, exitDone)
	}
	s.whole(rows)
	s.quota()
}

// redisStandsStill stops Redis for a while. Nothing is lost by that, but time.
func (s *stage) redisStandsStill(d time.Duration) {
	info := s.client.Info(s.t.Context(), "server").Val()
	_, pid, _ := strings.Cut(info, "process_id:")
	pid, _, _ = strings.Cut(pid, "\r")
	id, err := strconv.Atoi(pid)
	if err != nil {
		s.t.Fatalf("no process id in %q", info)
	}
	p, err := os.FindProcess(id)
	if err != nil {
		s.t.Fatal(err)
	}
	p.Signal(syscall.SIGSTOP)
	<-time.After(d)
	p.Signal(syscall.SIGCONT)
}

// lostAreFound waits until all pages but those that the dead worker had are
// there, and then has the queue believe that a minute has passed, after which it
// gives them to others.
func (s *stage) lostAreFound(inspector *asynq.Inspector) {
	s.until("only lost pages are missing", func() bool {
		q, err := inspector.GetQueueInfo(s.plan.queue())
		return err == nil && q.Pending+q.Scheduled+q.Retry == 0 && q.Active == s.plan.pages()-s.there()
	})
	if s.there() == s.plan.pages() {
		s.t.Error("the worker had no pages when it was killed")
	}
	key := "asynq:{" + s.plan.queue() + "}:lease"
	for _, id := range s.client.ZRange(s.t.Context(), key, 0, -1).Val() {
		s.client.ZAdd(s.t.Context(), key, redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: id})
	}
}

// TestAsFastAsCanBe measures four workers without any trouble.
func TestAsFastAsCanBe(t *testing.T) {
	rows, rps := 200, 100
	if *full {
		rows = 8_000 // few: to the portal each page is the work of sorting them all
	}
	s := setUp(t, rows, 2, "-rps", strconv.Itoa(rps), "-trouble=false")
	start := time.Now()
	var all []*process
	for range 4 {
		all = append(all, s.work("-rps", strconv.Itoa(rps)))
	}
	for _, p := range all {
		s.ended("work", <-p.done, exitDone)
	}
	took, ideal := time.Since(start), float64(s.plan.pages())/float64(rps)
	s.whole(rows)
	n, seconds := s.quota()
	t.Logf("%d requests in %.1f s, %.1f s from the start of the workers to their end; ideal are %.1f s", n, seconds, took.Seconds(), ideal)
	if *full && took.Seconds() > 1.1*ideal {
		t.Errorf("it took %.2f times the ideal", took.Seconds()/ideal)
	}
}

// TestDrain: a worker that is told to stop finishes what it has, and says that
// there is more.
func TestDrain(t *testing.T) {
	s := setUp(t, 2_000, 10, "-rps", "50", "-trouble=false")
	p := s.work("-rps", "50")
	s.until("some pages are there", func() bool { return s.there() > 20 })
	p.Process.Signal(syscall.SIGTERM)
	s.ended("work", <-p.done, exitLater)
	q, err := asynq.NewInspectorFromRedisClient(s.client).GetQueueInfo(s.plan.queue())
	if err != nil {
		t.Fatal(err)
	}
	if q.Active != 0 || q.Pending != s.job.missing(s.plan) || q.Pending == 0 {
		t.Errorf("%d pages are missing; the queue has %+v", s.job.missing(s.plan), q)
	}
	if left, _ := filepath.Glob(filepath.Join(s.job.dir, ".tmp-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	s.expect(exitLater, "join", "-out", filepath.Join(t.TempDir(), "rows.csv"))
}

// TestPlanAgain: the queue loses its memory, and planning adds what is missing.
func TestPlanAgain(t *testing.T) {
	s := setUp(t, 300, 10, "-rps", "200", "-trouble=false")
	args := []string{"plan", "-portal", s.plan.Portal, "-dataset", s.plan.Dataset, "-page", "10"}
	if out := s.expect(exitDone, args...); out != "300 rows in 30 pages: 0 are there, 0 added, 0 to be tried again\n" {
		t.Errorf("planned twice: %q", out)
	}
	s.client.FlushAll(t.Context())
	s.expect(exitLater, "work")
	if err := os.WriteFile(s.job.part(7), []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.expect(exitDone, args...); out != "300 rows in 30 pages: 1 are there, 29 added, 0 to be tried again\n" {
		t.Errorf("planned again: %q", out)
	}
	s.expect(exitDone, "work", "-rps", "200")
	s.expect(exitFailed, "join", "-out", filepath.Join(t.TempDir(), "rows.csv")) // page 7 is no page
	if err := os.Remove(s.job.part(7)); err != nil {
		t.Fatal(err)
	}
	s.expect(exitDone, args...)
	s.expect(exitDone, "work", "-rps", "200")
	s.whole(300)
	args[len(args)-1] = "20"
	s.expect(exitFailed, args...)
}

// TestChanged: a data set that is another than when the plan was made.
func TestChanged(t *testing.T) {
	s := setUp(t, 30, 10, "-trouble=false")
	resp, err := http.Post(s.plan.url(nil, "json"), "application/json", strings.NewReader(`[{"id":"1","name":"other"}]`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	// The time that the portal gives is in seconds: the plan must be older.
	s.plan.Modified = "Mon, 02 Jan 2006 15:04:05 GMT"
	if err := os.Remove(s.job.planFile()); err != nil {
		t.Fatal(err)
	}
	if err := s.job.save(s.plan); err != nil {
		t.Fatal(err)
	}
	if err := s.job.enqueue(t.Context(), s.client, s.plan, io.Discard); err != nil {
		t.Fatal(err)
	}
	s.expect(exitFailed, "work")
	q, err := asynq.NewInspectorFromRedisClient(s.client).GetQueueInfo(s.plan.queue())
	if err != nil || q.Archived != 3 {
		t.Errorf("%+v, %v", q, err)
	}
	var said strings.Builder
	if err := s.job.enqueue(t.Context(), s.client, s.plan, &said); err != nil || !strings.HasSuffix(said.String(), "0 are there, 0 added, 3 to be tried again\n") {
		t.Errorf("%v, %q", err, said.String())
	}
}

func TestNoRedis(t *testing.T) {
	dir := planned(t)
	for _, row := range []struct {
		args   string
		status int
	}{
		{"work -redis redis://127.0.0.1:1 -dir " + dir, exitLater},
		{"work -redis 127.0.0.1 -dir " + dir, exitMisuse},
		{"work -dir " + filepath.Join(dir, "none"), exitFailed},
		{"join -dir " + dir, exitLater},
	} {
		if got := run(strings.Fields(row.args)); got != row.status {
			t.Errorf("%s: status %d, want %d", row.args, got, row.status)
		}
	}
}

// TestHelpAndMisuse: help that is asked for is no failure, and what cannot be
// understood is 2, as package flag does it. Each is said once.
func TestHelpAndMisuse(t *testing.T) {
	for _, row := range []struct {
		args   string
		status int
		says   string
	}{
		{"-h", exitDone, "work   take pages until there are none left"},
		{"--help", exitDone, "The exit status is 0"},
		{"help", exitDone, "REDIS_PASSWORD that of Redis"},
		{"work -h", exitDone, "usage: fleet work [flags]"},
		{"plan --help", exitDone, "-dataset id"},
		{"demo -h", exitDone, "usage: fleet demo"},
		{"", exitMisuse, "usage: fleet command [flags]"},
		{"nothing", exitMisuse, "fleet -h lists them"},
		{"demo -h", exitDone, "starts a Redis, a fake portal and four workers"},
		{"work -nope", exitMisuse, "-nope; see fleet work -h"},
		{"work -rps many", exitMisuse, "; see fleet work -h"},
		{"join secret", exitMisuse, "no arguments, only flags; see fleet join -h"},
		{"work -dir none", exitFailed, "there is no plan in none: run fleet plan first"},
		{"join -dir none", exitFailed, "there is no plan in none: run fleet plan first"},
		{"join -out /dev/stdout", exitFailed, "-out /dev/stdout is no regular file"},
		{"plan -portal http://127.0.0.1:1 -dataset abcd-1234 -redis redis://127.0.0.1:1", exitLater, "Redis cannot be reached"},
		{"demo -rps 5", exitMisuse, "demo takes no flags; for a real portal there are plan, work and join; see fleet demo -h"},
		{"plan -dataset abcd-1234 -portal data.example.gov", exitMisuse, "-portal wants"},
		{"plan -portal https://data.example.gov", exitMisuse, "-dataset abcd-1234"},
		{"work -redis 127.0.0.1 -dir " + planned(t), exitMisuse, "-redis is no URL"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], strings.Fields(row.args)...)
		said, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != row.status || strings.Count(string(said), row.says) != 1 || strings.Contains(string(said), "secret") {
			t.Errorf("fleet %s: status %d, want %d, %v:\n%s", row.args, got, row.status, err, said)
		}
	}
}

// planned returns the directory of a job.
func planned(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := (&job{dir: dir}).save(&plan{Portal: "http://portal.test", Dataset: "abcd-1234", PageRows: 10, Rows: 10}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestJoinBreaksLines: a page may end without a line break, and its last row is
// still a row.
func TestJoinBreaksLines(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[2026]")
	j := job{dir: dir}
	if err := j.save(&plan{Portal: "http://portal.test", Dataset: "abcd-1234", PageRows: 2, Rows: 3}); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, ".tmp-123") // by a worker that was killed
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for page, text := range []string{"a,b\n1,1\n2,2", "a,b\n3,3"} {
		if err := os.WriteFile(j.part(page), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "rows.csv")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := join(t.Context(), []string{"-dir", dir, "-out", file}, io.Discard)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file that is replaced has had %v, and has %v (%v)", os.FileMode(0o600), info.Mode(), err)
	}
	if b, _ := os.ReadFile(file); err != nil || string(b) != "a,b\n1,1\n2,2\n3,3\n" {
		t.Errorf("joined %q, %v", b, err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed worker left is still there")
	}
}

// TestJoinLooks has pages in the directory that are not what was planned.
func TestJoinLooks(t *testing.T) {
	for _, row := range []struct{ name, second, says string }{
		{"right", "a,b\n3,\"x\ny\"\n", "3 rows, sha256"},
		{"a row too few", "a,b\n", "has 0 rows, and should have 1"},
		{"a row too many", "a,b\n3,3\n4,4\n", "has 2 rows"},
		{"another header", "a,c\n3,3\n", "other columns"},
		{"no CSV", "a,b\n\"3", "page-000001.csv: parse error on line 2"},
		{"empty", "", "no CSV"},
	} {
		dir := t.TempDir()
		j, p := job{dir: dir}, &plan{Portal: "http://portal.test", Dataset: "abcd-1234", PageRows: 2, Rows: 3}
		if err := j.save(p); err != nil {
			t.Fatal(err)
		}
		for page, text := range []string{"a,b\n1,1\n2,2\n", row.second} {
			if err := os.WriteFile(j.part(page), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out strings.Builder
		file := filepath.Join(dir, "rows.csv")
		if err := join(t.Context(), []string{"-dir", dir, "-out", file}, &out); err != nil {
			out.WriteString(err.Error())
			if _, err := os.Stat(file); err == nil {
				t.Errorf("%s: there is a file", row.name)
			}
		} else if b, _ := os.ReadFile(file); string(b) != "a,b\n1,1\n2,2\n3,\"x\ny\"\n" {
			t.Errorf("%s: joined %q", row.name, b)
		}
		if !strings.Contains(out.String(), row.says) {
			t.Errorf("%s: %q", row.name, out.String())
		}
	}
}
