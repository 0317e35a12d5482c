package transport_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/sodatest/contract"
	"github.com/sodahttp/sodahttp/transport"
)

func TestContractWithSpool(t *testing.T) {
	dir := t.TempDir()
	contract.Test(t, func(base http.RoundTripper) http.RoundTripper {
		return &transport.Spool{Dir: dir, Base: &transport.Transport{Base: base}}
	})
	nothingLeft(t, dir)
}

// nothingLeft checks that there are no files, and none open that have lost
// their name, which only Linux can tell.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("there are files left: %v, %v", files, err)
	}
	if n := openFiles(dir); n > 0 {
		t.Errorf("%d files are still open", n)
	}
}

func openFiles(dir string) (n int) {
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) && strings.Contains(to, "sodahttp-") {
			n++
		}
	}
	return n
}

func TestSpoolSendsTheBodyWholeEachTime(t *testing.T) {
	want := bodyOf(3 << 20)
	for _, row := range []struct {
		name  string
		first sodatest.Reply
	}{
		{"answered early", sodatest.Reply{Status: 503, Early: true}},
		{"answered late", sodatest.Reply{Status: 503}},
		{"connection dropped", sodatest.Reply{Status: 200, Drop: true}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(row.first, sodatest.Reply{Status: 429}, sodatest.Reply{Status: 200, Body: "ok"}))
				defer srv.Close()
				src := &closes{Reader: bytes.NewReader(want)}
				req := newRequest(t, "PUT", srv.URL+"/resource/abcd-1234.json", nil)
				req.Body = src
				before := *req
				rt := &transport.Spool{Dir: dir, Base: &transport.Transport{Base: srv.Transport(), OnEvent: func(transport.Event) {
					synctest.Wait() // Base may be reading on, and just be making the file
					// At this moment a SIGKILL would leave nothing behind.
					if files, err := os.ReadDir(dir); runtime.GOOS != "windows" && (err != nil || len(files) > 0) {
						t.Errorf("the file has a name: %v, %v", files, err)
					}
				}}}
				resp, err := rt.RoundTrip(req)
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("got %v, %v", resp, err)
				}
				synctest.Wait()
				nothingLeft(t, dir) // although the response's body is not closed
				resp.Body.Close()
				sent := srv.Requests()
				if last := sent[len(sent)-1]; len(sent) != 3 || sha256.Sum256(last.Body) != sha256.Sum256(want) {
					t.Errorf("%d requests, the last with %d bytes, want 3 and the %d bytes themselves", len(sent), len(last.Body), len(want))
				}
				if n := src.n.Load(); n != 1 || req.Body != before.Body || req.GetBody != nil {
					t.Errorf("the caller's body was closed %d times, want once, and the request left alone", n)
				}
			})
		})
	}
}

// TestSpoolSendsAsItComes: nothing is written before it is sent.
func TestSpoolSendsAsItComes(t *testing.T) {
	pr, pw := io.Pipe()
	rt := &transport.Spool{Dir: t.TempDir(), Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		line := make([]byte, 7)
		for range 3 {
			go io.WriteString(pw, "a line\n") // which the pipe does not take before it is read
			if _, err := io.ReadFull(r.Body, line); err != nil || string(line) != "a line\n" {
				t.Errorf("read %q, %v", line, err)
			}
		}
		go pw.Close()
		if n, err := r.Body.Read(line); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
		r.Body.Close()
		return answer(200, ""), nil
	})}
	if _, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", pr)); err != nil {
		t.Fatal(err)
	}
}

func TestSpoolThatCannotKeepTheBody(t *testing.T) {
	want := bodyOf(100_000)
	for _, row := range []struct {
		name   string
		spool  transport.Spool
		length int64
		why    string
	}{
		{"larger than MaxBytes", transport.Spool{MaxBytes: 99_999}, -1, "larger than the Spool's 99999 bytes"},
		{"known to be larger", transport.Spool{MaxBytes: 99_999, Dir: "/no/such/folder"}, 100_000, "larger than the Spool's 99999 bytes"},
		{"no such folder", transport.Spool{Dir: "/no/such/folder"}, -1, "it could not be kept: open /no/such/folder"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 503}))
				defer srv.Close()
				rt := row.spool
				rt.Base = &transport.Transport{Base: srv.Transport()}
				if rt.Dir == "" {
					rt.Dir = dir
				}
				src := &closes{Reader: bytes.NewReader(want)}
				req := newRequest(t, "PUT", srv.URL+"/resource/abcd-1234.json", src)
				req.ContentLength = row.length
				resp, err := rt.RoundTrip(req)
				if err != nil || resp.StatusCode != 503 {
					t.Fatalf("got %v, %v", resp, err)
				}
				resp.Body.Close()
				synctest.Wait()
				if h := transport.History(resp); len(h) != 1 || !strings.Contains(h[0].Why, row.why) {
					t.Errorf("history %v does not say %q", h, row.why)
				}
				if sent := srv.Requests(); len(sent) != 1 || !bytes.Equal(sent[0].Body, want) || src.n.Load() != 1 {
					t.Errorf("%d requests, %d bytes, closed %d times", len(sent), len(sent[0].Body), src.n.Load())
				}
				nothingLeft(t, dir)
			})
		})
	}
	for _, limit := range []int64{100_000, -1} { // just enough, and no limit
		synctest.Test(t, func(t *testing.T) {
			srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 503}))
			defer srv.Close()
			rt := &transport.Spool{MaxBytes: limit, Base: &transport.Transport{Base: srv.Transport()}}
			resp, err := rt.RoundTrip(newRequest(t, "PUT", srv.URL+"/none", &closes{Reader: bytes.NewReader(want)}))
			if err != nil || resp.StatusCode != 404 || len(srv.Requests()) != 2 {
				t.Fatalf("MaxBytes %d: %v, %v", limit, resp, err)
			}
			resp.Body.Close()
		})
	}
}

var errOwn = errors.New("own")

// readSome reads half of what TestSpoolLeavesNothingBehind sends.
func readSome(r *http.Request) { io.CopyN(io.Discard, r.Body, 50_000) }

// endings are the ways in which a request ends early.
var endings = []struct {
	name string
	base baseFunc
	err  error
}{
	{"an error of Base", func(r *http.Request) (*http.Response, error) {
		readSome(r)
		r.Body.Close()
		return nil, errOwn
	}, errOwn},
	{"a body that is not read", func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		return nil, errOwn
	}, errOwn},
	{"a panic in Base", func(r *http.Request) (*http.Response, error) {
		readSome(r)
		panic(errOwn)
	}, errOwn},
	{"a panic in a second attempt", func(r *http.Request) (*http.Response, error) {
		readSome(r)
		r.Body.Close()
		again, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		io.CopyN(io.Discard, again, 10)
		panic(errOwn)
	}, errOwn},
	{"the end of the context", func(r *http.Request) (*http.Response, error) {
		defer r.Body.Close()
		readSome(r)
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}, context.Canceled},
	{"the end of the context in a wait", func(r *http.Request) (*http.Response, error) {
		return (&transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			readSome(r)
			r.Body.Close()
			return answer(503, ""), nil
		})}).RoundTrip(r)
	}, context.Canceled},
}

func TestSpoolLeavesNothingBehind(t *testing.T) {
	for _, row := range endings {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(200*time.Millisecond, cancel) // before the first wait can be over
				src := &closes{Reader: bytes.NewReader(bodyOf(100_000))}
				rt := &transport.Spool{Dir: dir, Base: row.base}
				resp, err := tripOrPanic(rt, newRequest(t, "PUT", "http://data.test/", src).WithContext(ctx))
				if !errors.Is(err, row.err) {
					t.Errorf("got %v, %v, want %v", resp, err, row.err)
				}
				if n := src.n.Load(); n != 1 {
					t.Errorf("the caller's body was closed %d times, want once", n)
				}
				nothingLeft(t, dir)
			})
		})
	}
}

// tripOrPanic returns what rt panics with as an error.
func tripOrPanic(rt http.RoundTripper, req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = p.(error)
		}
	}()
	return rt.RoundTrip(req)
}

func TestSpoolPassesOnWhatIsNotItsBusiness(t *testing.T) {
	var got *http.Request
	rt := &transport.Spool{Dir: "/no/such/folder", Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		got = r
		return answer(200, ""), nil
	})}
	for name, body := range map[string]io.Reader{"no body": nil, "NoBody": http.NoBody, "GetBody": strings.NewReader("x")} {
		req := newRequest(t, "PUT", "http://data.test/", body)
		if _, err := rt.RoundTrip(req); err != nil || got != req {
			t.Errorf("%s: the request was changed, %v", name, err)
		}
	}
	i := &idle{}
	(&transport.Spool{Base: i}).CloseIdleConnections()
	if i.n != 1 {
		t.Error("CloseIdleConnections does not arrive")
	}
}

// TestSpoolAfterTheRequest: a Base that asks for the body too late is told so.
func TestSpoolAfterTheRequest(t *testing.T) {
	var late func() (io.ReadCloser, error)
	rt := &transport.Spool{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		late = r.GetBody
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		return answer(200, ""), nil
	})}
	if _, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", &closes{Reader: strings.NewReader("x")})); err != nil {
		t.Fatal(err)
	}
	if b, err := late(); b != nil || err == nil {
		t.Errorf("got %v, %v", b, err)
	}
}

// TestSpoolOverTCP has a server that answers large uploads early, on a real
// network and with the race detector in mind.
func TestSpoolOverTCP(t *testing.T) {
	want := bodyOf(4 << 20)
	var n atomic.Int32
	got := make(chan [32]byte, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%3 != 0 {
			io.CopyN(io.Discard, r.Body, int64(n.Load())<<16)
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b, _ := io.ReadAll(r.Body)
		got <- sha256.Sum256(b)
	}))
	defer srv.Close()
	p := quick
	p.BackOff = nothing
	dir := t.TempDir()
	rt := &transport.Spool{Dir: dir, Base: &transport.Transport{Policy: p, Pacer: &pace.Pacer{Off: true}}}
	for i := range 10 {
		resp, err := rt.RoundTrip(newRequest(t, "PUT", srv.URL, io.MultiReader(bytes.NewReader(want))))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("upload %d: %v, %v", i, resp, err)
		}
		resp.Body.Close()
		if <-got != sha256.Sum256(want) {
			t.Errorf("upload %d arrived changed", i)
		}
	}
	rt.CloseIdleConnections()
}

// A Spool lets the output of a pipe be sent again.
// TestSpoolGivesIndependentBodies: a Base that signs or logs reads the body by
// GetBody before it sends it.
func TestSpoolGivesIndependentBodies(t *testing.T) {
	want := bodyOf(300 << 10)
	for _, row := range []struct {
		name string
		peek int64
		open bool // what was peeked at is closed after the sending only
	}{
		{"nothing", 0, false}, {"a part", 1000, false}, {"all of it", 1 << 30, false},
		{"a part, left open", 1000, true}, {"all, left open", 1 << 30, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			n := 0
			rt := &transport.Spool{Dir: dir, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
				n++
				first, err := r.GetBody()
				if err != nil {
					t.Fatal(err)
				}
				read, err := io.ReadAll(io.LimitReader(first, row.peek))
				if err != nil || !bytes.HasPrefix(want, read) {
					t.Errorf("peeked at %d bytes, %v", len(read), err)
				}
				if !row.open {
					first.Close()
				}
				sent, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || !bytes.Equal(sent, want) {
					t.Errorf("sent %d bytes, %v, want all %d", len(sent), err, len(want))
				}
				rest, err := io.ReadAll(first)
				if row.open && (err != nil || !bytes.Equal(rest, want[len(read):])) {
					t.Errorf("read %d more of the other, %v", len(rest), err)
				}
				first.Close()
				return answer(200, ""), nil
			})}
			src := &closes{Reader: bytes.NewReader(want)}
			if _, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", src)); err != nil || n != 1 || src.n.Load() != 1 {
				t.Errorf("got %v, closed %d times", err, src.n.Load())
			}
			nothingLeft(t, dir)
		})
	}
}

// TestSpoolBoundsWhatABodyLeftOpenStores: a reader that nobody closes does not
// lift MaxBytes.
func TestSpoolBoundsWhatABodyLeftOpenStores(t *testing.T) {
	rt := &transport.Spool{Dir: t.TempDir(), MaxBytes: 100 << 10, Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		other, _ := r.GetBody()
		defer other.Close()
		defer r.Body.Close()
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil || n > 200<<10 {
			t.Errorf("sent %d bytes, %v", n, err)
		}
		if rest, err := io.ReadAll(other); err != nil || len(rest) != 1<<20 {
			t.Errorf("the newest body gave %d bytes, %v", len(rest), err)
		}
		return answer(200, ""), nil
	})}
	if _, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", io.NopCloser(bytes.NewReader(bodyOf(1<<20))))); err != nil {
		t.Error(err)
	}
}

func ExampleSpool() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.HTML(503)))
	defer srv.Close()
	rt := &transport.Spool{Base: &transport.Transport{Base: srv.Transport()}}

	pr, pw := io.Pipe()
	go func() {
		fmt.Fprint(pw, "id,name\n")
		for i := range 10_000 {
			fmt.Fprintf(pw, "%d,row %d\n", i, i)
		}
		pw.Close()
	}()
	req, err := http.NewRequest("PUT", srv.URL+"/resource/abcd-1234.csv", pr)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Content-Type", "text/csv")
	resp, err := (&http.Client{Transport: rt}).Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(len(srv.Requests()), "requests,", err)
	fmt.Print(string(body))
	// Output:
	// 2 requests, <nil>
	// {
	//   "Errors" : 0,
	//   "Rows Created" : 10000,
	//   "Rows Updated" : 0,
	//   "Rows Deleted" : 0
	// }
}
