package sodatest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

func TestServerWithoutOptions(t *testing.T) {
	srv := sodatest.NewServer()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + sample + ".json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %s, %v", resp.Status, err)
	}
	if rows := rowsOf(t, string(body)); len(rows) != 25 {
		t.Errorf("the sample has %d rows, want 25", len(rows))
	}
	if !strings.HasPrefix(srv.URL, "http://127.0.0.1:") || strings.HasSuffix(srv.URL, "/") {
		t.Errorf("URL is %q", srv.URL)
	}
	// TCP is for everyone, not only for the server's own Transport.
	resp, err = http.Get(srv.URL + sample + ".json")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

func TestRequests(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start()
		before := time.Now()
		send(t, srv, "POST", sample+".json?a=b%20c", `[{"id":"1"}]`, "Content-Type", "application/json", "X-App-Token", "abc")
		get(t, srv, "/nowhere")
		all := srv.Requests()
		if len(all) != 2 {
			t.Fatalf("%d requests, want 2", len(all))
		}
		r := all[0]
		if r.Method != "POST" || r.Path != sample+".json" || r.RawQuery != "a=b%20c" || r.Header.Get("X-App-Token") != "abc" ||
			string(r.Body) != `[{"id":"1"}]` || r.BodyErr != nil || r.Status != 200 || r.Host != strings.TrimPrefix(srv.URL, "http://") {
			t.Errorf("got %+v", r)
		}
		if r.Time.Before(before) || r.Time.After(time.Now()) {
			t.Errorf("received at %v", r.Time)
		}
		if all[1].Status != 404 || all[1].Method != "GET" {
			t.Errorf("got %+v", all[1])
		}
		all[0].Status = 999
		if srv.Requests()[0].Status != 200 {
			t.Error("Requests returned the server's own record")
		}
	})
}

func TestRemoteCountsConnections(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start()
		for range 3 {
			get(t, srv, sample+".json")
		}
		srv.Transport().CloseIdleConnections()
		get(t, srv, sample+".json")
		remotes := map[string]int{}
		for _, r := range srv.Requests() {
			remotes[r.Remote]++
		}
		if len(remotes) != 2 || remotes[srv.Requests()[0].Remote] != 3 {
			t.Errorf("got %v, want 3 on one connection and 1 on another", remotes)
		}
	})
}

func TestEveryHostIsHere(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Reply{Status: 302, Location: "https://hub.example.org/legacy?x=1"}))
		resp, err := srv.Client().Get("http://data.example.gov" + sample + ".json")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		all := srv.Requests()
		if len(all) != 2 || all[0].Host != "data.example.gov" || all[1].Host != "hub.example.org" || all[1].RawQuery != "x=1" {
			t.Errorf("got %+v", all)
		}
	})
}

func TestBodyErr(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start()
		conn, err := srv.Transport().DialContext(t.Context(), "tcp", "x:80")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "PUT "+sample+".json HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[")
		conn.Close()
		for len(srv.Requests()) == 0 || srv.Requests()[0].BodyErr == nil {
			pause(t)
		}
		r := srv.Requests()[0]
		if !errors.Is(r.BodyErr, io.ErrUnexpectedEOF) || string(r.Body) != "[" || r.Status != 0 {
			t.Errorf("got %+v", r)
		}
		if _, body := get(t, srv, sample+".json"); len(rowsOf(t, body)) != 25 {
			t.Error("half a request was carried out")
		}
	})
}

// pause lets others run, in and out of bubbles.
func pause(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(time.Millisecond):
	case <-t.Context().Done():
		t.Fatal("waited too long")
	}
}

func TestCloseRefuses(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start()
		get(t, srv, sample+".json")
		var all sync.WaitGroup
		for range 3 {
			all.Go(srv.Close)
		}
		all.Wait()
		_, err := srv.Client().Get(srv.URL)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v, want a dial to be refused", err)
		}
	})
}

func TestCloseBreaksOff(t *testing.T) {
	for name, opt := range map[string]sodatest.Option{
		"delay":   sodatest.Replies(sodatest.Reply{Delay: time.Hour}),
		"latency": sodatest.Latency(func() time.Duration { return time.Hour }),
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, start starter) {
				srv, began := start(opt), time.Now()
				time.AfterFunc(time.Minute, srv.Close)
				if _, _, err := try(t, srv, "POST", sample+".json", "[]"); !errors.Is(err, io.EOF) {
					t.Errorf("got %v, want EOF", err)
				}
				srv.Close()
				if d := time.Since(began); d != time.Minute {
					t.Errorf("closing took until %v, want 1m", d)
				}
				if r := srv.Requests()[0]; r.Status != 0 {
					t.Errorf("status %d for a request without an answer", r.Status)
				}
			})
		})
	}
}

func TestClientLeaves(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Concurrency(1), sodatest.Replies(sodatest.Reply{Delay: time.Hour}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := srv.Transport().RoundTrip(request(t, srv, "GET", sample+".json", "").WithContext(ctx))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		if resp, _ := get(t, srv, sample+".json"); resp.StatusCode != 200 {
			t.Errorf("status %d: the client that left still counts", resp.StatusCode)
		}
	})
}

func TestCommonHeaders(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start()
		const id = "fd9a4477d4eb14b6f7b1f3326a060eb7"
		ok, _ := get(t, srv, sample+".json", "X-Socrata-RequestId", id)
		if got := ok.Header.Get("X-Socrata-RequestId"); got != id {
			t.Errorf("request id %q was not taken over", got)
		}
		bad, _ := get(t, srv, "/resource/zzzz-zzzz.json")
		again, _ := get(t, srv, "/resource/zzzz-zzzz.json")
		if got := bad.Header.Get("X-Socrata-RequestId"); len(got) != 32 || got == again.Header.Get("X-Socrata-RequestId") {
			t.Errorf("request id is %q, want 32 digits, and others each time", got)
		}
		for _, resp := range []*http.Response{ok, bad} {
			h := resp.Header
			if h.Get("Server") != "nginx" || h.Get("X-Socrata-Region") == "" || h.Get("Access-Control-Allow-Origin") != "*" ||
				h.Get("Age") != "0" || h.Get("Strict-Transport-Security") == "" || h.Get("Date") == "" {
				t.Errorf("%s: headers %v", resp.Status, h)
			}
			if h.Get("Accept-Ranges") != "" || h.Get("Retry-After") != "" || resp.ContentLength != -1 || !resp.Uncompressed {
				t.Errorf("%s: ranges, length, or no gzip: %v", resp.Status, h)
			}
		}
		if got := bad.Header.Get("Cache-Control"); got != "private, no-cache, must-revalidate" {
			t.Errorf("an error has Cache-Control %q", got)
		}
		other, _ := get(t, srv, "/")
		if other.Header.Get("X-Socrata-RequestId") != "" || other.StatusCode != 200 {
			t.Errorf("the home page: %s, %v", other.Status, other.Header)
		}
	})
}
