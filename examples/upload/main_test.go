package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
)

// file makes a CSV file.
func file(t *testing.T, content string) string {
	path := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rows returns n rows under a header, the first of which are in the portal
// already.
func rows(n int) string {
	var b strings.Builder
	b.WriteString("id,name\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,Row %d\n", i+1, i+1)
	}
	return b.String()
}

// A result is what a user sees.
type result struct {
	status   int
	out, log string
	took     time.Duration
	requests []sodatest.Request
}

// play uploads content in a bubble.
func play(t *testing.T, content string, change func(*upload), opts ...sodatest.Option) (r result) {
	path := file(t, content)
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(append(opts, sodatest.InMemory())...)
		defer srv.Close()
		var out, log bytes.Buffer
		u := &upload{origin: srv.URL, dataset: sodatest.SampleID, path: path, gzip: true, policy: policy.Batch(),
			base: srv.Transport(), show: &progress{out: &log}, token: "tok", user: "ann", password: "pass"}
		if change != nil {
			change(u)
		}
		start := time.Now()
		err := u.run(t.Context(), &out)
		r.took, r.status = time.Since(start), exitStatus(err)
		if synctest.Wait(); err != nil {
			u.show.say(err.Error())
		}
		r.out, r.log, r.requests = out.String(), log.String(), srv.Requests()
	})
	for _, secret := range []string{"tok", "pass", "YW5u"} {
		if strings.Contains(r.out+r.log, secret) {
			t.Errorf("a secret was printed:\n%s%s", r.out, r.log)
		}
	}
	return r
}

func identified(u *upload) { u.identifier = true }

// sent returns the rows that a request brought.
func sent(t *testing.T, r sodatest.Request) string {
	t.Helper()
	if r.Header.Get("Content-Encoding") != "gzip" {
		return string(r.Body)
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestUploadThroughTrouble(t *testing.T) {
	content := rows(20_000)
	for _, zip := range []bool{true, false} {
		r := play(t, content, func(u *upload) { u.identifier, u.gzip = true, zip }, trouble())
		if want := "Rows Created: 0\nRows Updated: 20000\nRows Deleted: 0\nErrors: 0\n"; r.status != exitDone || r.out != want {
			t.Fatalf("status %d, %q\n%s", r.status, r.out, r.log)
		}
		if len(r.requests) != 7 {
			t.Fatalf("%d requests, want 4 and 3 polls:\n%s", len(r.requests), r.log)
		}
		for i, req := range r.requests[1:4] { // the first was answered before it was read
			if got := sent(t, req); got != content || req.Method != "POST" {
				t.Errorf("attempt %d brought %d bytes, want %d", i+2, len(got), len(content))
			}
		}
		h := r.requests[3].Header
		if h.Get("X-App-Token") != "tok" || !strings.HasPrefix(h.Get("Authorization"), "Basic ") || h.Get("Content-Type") != "text/csv" {
			t.Errorf("sent with %v", h)
		}
		for _, line := range []string{"503", "429", "EOF", "202", "attempt 4: 100 % of 297796 bytes"} {
			if !strings.Contains(r.log, line) {
				t.Errorf("%q is missing in\n%s", line, r.log)
			}
		}
		if r.took < 2*time.Second || r.took > time.Minute {
			t.Errorf("took %v", r.took)
		}
	}
}

func TestDemonstration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, log bytes.Buffer
		u := &upload{gzip: true, policy: policy.Batch(), show: &progress{out: &log}}
		err := demonstrate(t.Context(), u, &out, sodatest.InMemory())
		synctest.Wait()
		if err != nil || !strings.Contains(out.String(), "Rows Updated: 50000\n") {
			t.Errorf("%v, %s\n%s", err, &out, &log)
		}
		if _, err := os.Stat(u.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its file is left: %v", err)
		}
	})
}

// TestUploadTwiceIsNotTwice: what was carried out and sent again is there once.
func TestUploadTwiceIsNotTwice(t *testing.T) {
	r := play(t, rows(30), identified, sodatest.Replies(sodatest.Reply{Drop: true}))
	if r.status != exitDone || len(r.requests) != 2 || !strings.Contains(r.out, "Rows Created: 0\nRows Updated: 30\n") {
		t.Errorf("status %d after %d requests, %s\n%s", r.status, len(r.requests), r.out, r.log)
	}
}

// TestWithoutIdentifier: only what the portal certainly did not act on is sent
// again.
func TestWithoutIdentifier(t *testing.T) {
	for _, row := range []struct {
		name     string
		reply    sodatest.Reply
		requests int
		status   int
	}{
		{"a 429", sodatest.Fault("too-many-requests"), 2, exitDone},
		{"a lock", sodatest.Fault("soda.dataset.cannot-acquire-write-lock"), 2, exitDone},
		{"read-only mode", sodatest.Fault("update.read-only-mode"), 2, exitDone},
		{"a cut connection", sodatest.Reply{Drop: true}, 1, exitFailed},
		{"a plain 503", sodatest.HTML(503), 1, exitFailed},
		{"a 504", sodatest.HTML(504), 1, exitFailed},
		{"a 500", sodatest.Reply{Status: 500}, 1, exitFailed},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := play(t, rows(30), nil, sodatest.Replies(row.reply))
			if r.status != row.status || len(r.requests) != row.requests {
				t.Fatalf("status %d after %d requests:\n%s", r.status, len(r.requests), r.log)
			}
			if r.status != exitDone && !strings.Contains(r.log, "look before you send them again") {
				t.Errorf("it does not say that the rows may be in:\n%s", r.log)
			}
		})
	}
}

func TestTryLater(t *testing.T) {
	short := func(u *upload) { u.policy.MaxElapsed, u.policy.Poll.MaxElapsed = time.Minute, time.Minute }
	both := func(u *upload) { short(u); identified(u) }
	endless := sodatest.Replies(sodatest.Reply{Ticket: "t"})
	slow := sodatest.Fault("request-timeout")
	for _, row := range []struct {
		name   string
		change func(*upload)
		opts   []sodatest.Option
		status int
		says   string
	}{
		{"a Retry-After beyond its patience", nil,
			[]sodatest.Option{sodatest.Replies(sodatest.Reply{Code: "too-many-requests", RetryAfter: "7200"})}, exitLater, "\ntry again at 2000-01-01T02:00:00Z"},
		{"an outage beyond its patience", both, []sodatest.Option{sodatest.Outage(0, time.Hour, sodatest.HTML(503))}, exitLater, "\ntry again at 2000-01-01T00:01:"},
		{"too slow, twice", identified, []sodatest.Option{sodatest.Replies(slow, slow)}, exitLater, "\ntry again later"},
		{"a job that does not end", both, []sodatest.Option{endless, sodatest.Polls(1000)}, exitLater, "\ntry again at 2000-01-01T00:01:"},
		{"the same, of rows that must not come twice", short, []sodatest.Option{endless, sodatest.Polls(1000)}, exitFailed, "look before you send them again"},
		{"a 503, and then a 403", identified,
			[]sodatest.Option{sodatest.Replies(sodatest.HTML(503), sodatest.Fault("permission_denied"))}, exitFailed, "You do not have permission"},
		{"a 403", identified, []sodatest.Option{sodatest.Replies(sodatest.Fault("permission_denied"))}, exitFailed, "You do not have permission"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := play(t, rows(30), row.change, row.opts...)
			if r.status != row.status || !strings.Contains(r.log, row.says) || r.out != "" {
				t.Errorf("status %d, want %d and %q:\n%s%s", r.status, row.status, row.says, r.out, r.log)
			}
		})
	}
}

// TestErrorsInA200 has rows that the portal does not take.
func TestErrorsInA200(t *testing.T) {
	r := play(t, "id,name,:deleted\n1,One,\n777,None,true\n", nil)
	if r.status != exitFailed || !strings.Contains(r.out, "Rows Updated: 1\n") || !strings.Contains(r.out, "Errors: 1\n") ||
		!strings.Contains(r.log, "did not take 1 of the rows") {
		t.Errorf("status %d, %s%s", r.status, r.out, r.log)
	}
}

func TestAnswersThatAreNoSummary(t *testing.T) {
	for _, row := range []struct {
		name  string
		reply sodatest.Reply
		says  string
	}{
		{"a login page", sodatest.Reply{Status: 200, Body: "<html>Sign in</html>"}, "did not say what came of the rows"},
		{"other JSON", sodatest.Reply{Status: 200, Body: `{"id":"abcd-1234"}`}, "did not say what came of the rows"},
		{"a cut body", sodatest.Reply{Cut: 10}, "unexpected EOF"},
		{"a redirect", sodatest.Reply{Status: 307, Location: "https://other.test/"}, `has moved to "https://other.test/"`},
		{"a redirect that makes a GET of it", sodatest.Reply{Status: 302, Location: "/login"}, `has moved to "/login"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := play(t, rows(30), identified, sodatest.Replies(row.reply))
			if r.status != exitFailed || len(r.requests) != 1 || !strings.Contains(r.log, row.says) || r.out != "" {
				t.Errorf("status %d after %d requests, want %q: %s%s", r.status, len(r.requests), row.says, r.out, r.log)
			}
		})
	}
}

// TestFileThatChanges: two attempts must not send two files, nor half of one.
func TestFileThatChanges(t *testing.T) {
	r := play(t, rows(30), func(u *upload) {
		base := u.base
		u.base = baseFunc(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err := os.WriteFile(u.path, []byte(rows(31)), 0o600); err != nil {
				t.Error(err)
			}
			return resp, err
		})
	}, sodatest.Replies(sodatest.Fault("too-many-requests")))
	if r.status == exitDone || len(r.requests) != 1 || !strings.Contains(r.log, "has changed since the upload began") {
		t.Errorf("status %d after %d requests:\n%s", r.status, len(r.requests), r.log)
	}
	for _, zip := range []bool{true, false} {
		path := file(t, rows(30_000))
		src, err := newSource(path, zip, &progress{out: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		b, err := src.open()
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := b.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 100_000); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(b); err == nil || !strings.Contains(err.Error(), "has changed") {
			t.Errorf("gzip %v: a file that was cut gives %v", zip, err)
		}
	}
}

type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBar(t *testing.T) {
	r := play(t, rows(20_000), func(u *upload) { u.identifier, u.show.bar = true, true }, sodatest.Replies(sodatest.HTML(503)))
	for _, part := range []string{"attempt 1", "503", "attempt 2", "100%"} {
		_, rest, found := strings.Cut(r.log, part)
		if !found {
			t.Fatalf("%q is missing in %q", part, r.log)
		}
		r.log = rest
	}
	if !strings.HasSuffix(r.log, "\n") {
		t.Error("the last line has no end")
	}
}

// TestOldAttemptIsNotHeard: net/http may still read the body of an attempt that
// is over.
func TestOldAttemptIsNotHeard(t *testing.T) {
	var log bytes.Buffer
	p := &progress{out: &log, total: 100}
	first, second := p.attempt(), p.attempt()
	first(50)
	second(10)
	first(100)
	if want := "attempt 1: 50 % of 100 bytes\nattempt 2: 10 % of 100 bytes\n"; log.String() != want {
		t.Errorf("shown: %q", log.String())
	}
}

func TestArguments(t *testing.T) {
	empty := file(t, "")
	for _, row := range []struct{ args, says string }{
		{"-dataset abcd-1234 x.csv", "-domain"},
		{"-domain data.test -dataset abcd x.csv", "abcd-1234"},
		{"-domain data.test -dataset abcd-1234", "file"},
		{"-domain data.test -dataset abcd-1234 a.csv b.csv", "b.csv"},
		{"-domain data.test -dataset abcd-1234 /no/such/file", "/no/such/file"},
		{"-domain data.test -dataset abcd-1234 " + empty, "is empty"},
		{"-domain data.test -dataset abcd-1234 " + filepath.Dir(empty), "can be read twice"},
		{"-domain a/b%zz -dataset abcd-1234 " + file(t, rows(1)), "invalid URL"},
		{"-what", "not defined: -what"},
	} {
		err := run(t.Context(), strings.Fields(row.args), func(string) string { return "" }, io.Discard, &progress{out: io.Discard})
		if err == nil || !strings.Contains(err.Error(), row.says) || exitStatus(err) != exitFailed {
			t.Errorf("%s: %v", row.args, err)
		}
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, os.Getenv, io.Discard, &progress{out: &help}); err != flag.ErrHelp || exitStatus(err) != 0 {
		t.Errorf("-h: %v", err)
	}
	for _, want := range []string{"usage: upload [flags] [file.csv]\n", "-identifier", "SODA_APP_TOKEN", "SODA_USERNAME", "SODA_PASSWORD", "Exit status:", "  75 "} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("-h lacks %q:\n%s", want, &help)
		}
	}
}

// TestInterrupted: whoever stops it does not want it to be tried again.
func TestInterrupted(t *testing.T) {
	path := file(t, rows(30))
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Outage(0, time.Hour, sodatest.HTML(503)))
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		u := &upload{origin: srv.URL, dataset: sodatest.SampleID, path: path, identifier: true, policy: policy.Batch(),
			base: srv.Transport(), show: &progress{out: io.Discard}}
		if err := u.run(ctx, io.Discard); !errors.Is(err, context.Canceled) || exitStatus(err) != exitFailed {
			t.Errorf("got %v", err)
		}
	})
}

func TestMakeFile(t *testing.T) {
	path, err := makeFile(3)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	b, err := os.ReadFile(path)
	if want := "id,name,category,amount\n1,Row 1,Trees,0.25\n2,Row 2,Trees,37.25\n3,Row 3,Trees,74.25\n"; string(b) != want || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}
