package transport_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// quick is a back-off for tests on a real clock.
var quick = policy.Policy{Resend: func(*http.Request) bool { return true }}

// bodyOf returns n bytes that no shift of theirs equals.
func bodyOf(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func TestBodyIsSentWholeEachTime(t *testing.T) {
	want := bodyOf(700 << 10)
	for _, row := range []struct {
		name    string
		getBody bool
		first   sodatest.Reply
	}{
		{"with GetBody, answered early", true, sodatest.Reply{Status: 503, Early: true}},
		{"without GetBody, answered early", false, sodatest.Reply{Status: 503, Early: true}},
		{"with GetBody, answered late", true, sodatest.Reply{Status: 503}},
		{"without GetBody, answered late", false, sodatest.Reply{Status: 503}},
		{"without GetBody, connection dropped", false, sodatest.Reply{Status: 200, Drop: true}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(row.first, sodatest.Reply{Status: 200, Body: "ok"}))
				defer srv.Close()
				src := &closes{Reader: bytes.NewReader(want)}
				req := newRequest(t, "PUT", srv.URL+"/resource/abcd-1234.json", nil)
				req.Body, req.ContentLength = src, int64(len(want))
				if row.getBody {
					req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(want)), nil }
				}
				resp, err := (&transport.Transport{Base: srv.Transport()}).RoundTrip(req)
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("got %v, %v", resp, err)
				}
				resp.Body.Close()
				synctest.Wait()
				sent := srv.Requests()
				if last := sent[len(sent)-1]; len(sent) != 2 || sha256.Sum256(last.Body) != sha256.Sum256(want) {
					t.Errorf("%d requests, the last with %d bytes, want 2 and the %d bytes themselves", len(sent), len(last.Body), len(want))
				}
				if n := src.n.Load(); n != 1 {
					t.Errorf("the caller's body was closed %d times, want once", n)
				}
			})
		})
	}
}

func TestStreamedBodyIsSentAsItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 503, Early: true}, sodatest.Reply{Status: 200, Body: "ok"}))
		defer srv.Close()
		pr, pw := io.Pipe()
		go func() {
			for range 10 { // the first attempt is over before this is
				time.Sleep(time.Second)
				io.WriteString(pw, "a line\n")
			}
			pw.Close()
		}()
		resp, err := (&transport.Transport{Base: srv.Transport()}).RoundTrip(newRequest(t, "PUT", srv.URL+"/resource/abcd-1234.json", pr))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v", resp, err)
		}
		resp.Body.Close()
		sent := srv.Requests()
		if got := string(sent[len(sent)-1].Body); got != strings.Repeat("a line\n", 10) {
			t.Errorf("the second attempt sent %q", got)
		}
	})
}

func TestStreamedBodyThatGrowsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 503}))
		defer srv.Close()
		want := bodyOf(3 << 20)
		src := &closes{Reader: bytes.NewReader(want)}
		resp, err := (&transport.Transport{Base: srv.Transport()}).RoundTrip(newRequest(t, "PUT", srv.URL+"/resource/abcd-1234.json", src))
		if err != nil || resp.StatusCode != 503 {
			t.Fatalf("got %v, %v", resp, err)
		}
		resp.Body.Close()
		if h := transport.History(resp); len(h) != 1 || !strings.Contains(h[0].Why, "larger than 1 MiB") {
			t.Errorf("history %v does not say why", h)
		}
		if sent := srv.Requests(); len(sent) != 1 || !bytes.Equal(sent[0].Body, want) || src.n.Load() != 1 {
			t.Errorf("%d requests, %d bytes, closed %d times", len(sent), len(sent[0].Body), src.n.Load())
		}
	})
}

func TestBodyThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory())
		defer srv.Close()
		own := errors.New("the disk is gone")
		src := &closes{Reader: io.MultiReader(strings.NewReader("start"), &broken{own})}
		_, err := (&transport.Transport{Base: srv.Transport()}).RoundTrip(newRequest(t, "PUT", srv.URL+"/resource/abcd-1234.json", src))
		if !errors.Is(err, own) || src.n.Load() != 1 {
			t.Errorf("got %v, closed %d times; want the body's own error", err, src.n.Load())
		}
	})
}

// TestBodyOfTheLastAttemptMayBeReadLate: net/http sends on after an early
// answer.
func TestBodyOfTheLastAttemptMayBeReadLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &closes{Reader: strings.NewReader("all of it")}
		var late io.ReadCloser
		n := 0
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
				return answer(503, ""), nil
			}
			late = r.Body
			return answer(200, ""), nil
		})}
		if _, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", src)); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(late); string(b) != "all of it" || err != nil || src.n.Load() != 0 {
			t.Errorf("read %q, %v, closed %d times before the attempt closed it", b, err, src.n.Load())
		}
		late.Close()
		late.Close()
		if n := src.n.Load(); n != 1 {
			t.Errorf("closed %d times, want once", n)
		}
		if _, err := late.Read(make([]byte, 1)); err == nil {
			t.Error("a closed body can be read")
		}
	})
}

type broken struct{ err error }

func (b *broken) Read([]byte) (int, error) { return 0, b.err }

// TestEarlyAnswerOverTCP has a server that answers a large upload early, over
// and over, on a real network and with the race detector in mind.
func TestEarlyAnswerOverTCP(t *testing.T) {
	want := bodyOf(1 << 20)
	var n atomic.Int32
	got := make(chan [32]byte, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 1 {
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
	rt := &transport.Transport{Policy: p}
	for i := range 20 {
		req := newRequest(t, "PUT", srv.URL, io.MultiReader(bytes.NewReader(want)))
		if i%2 == 0 {
			req = newRequest(t, "PUT", srv.URL, bytes.NewReader(want))
		}
		resp, err := rt.RoundTrip(req)
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

func nothing() backoff.BackOff { return &backoff.ZeroBackOff{} }

// panicking is a Limiter that does.
type panicking struct{}

func (panicking) Wait(context.Context) error { panic(errors.New("limiter")) }

// TestKeptBodyIsClosedInAPanic: the source is the caller's, and nobody else has
// it.
func TestKeptBodyIsClosedInAPanic(t *testing.T) {
	fails := baseFunc(func(r *http.Request) (*http.Response, error) { panic(errors.New("base")) })
	closing := baseFunc(func(r *http.Request) (*http.Response, error) { defer r.Body.Close(); panic(errors.New("base")) })
	later := func() http.RoundTripper {
		n := 0
		return baseFunc(func(r *http.Request) (*http.Response, error) {
			defer r.Body.Close()
			if n++; n == 2 {
				panic(errors.New("base"))
			}
			return answer(429, ""), nil
		})
	}
	for name, rt := range map[string]*transport.Transport{
		"Base":                {Base: fails},
		"Base, having closed": {Base: closing},
		"Base, within a time": {Base: fails, Policy: policy.Policy{AttemptTimeout: time.Minute}},
		"Base, the next time": {Base: later()},
		"the Limiter":         {Base: fails, Limiter: panicking{}},
		"OnEvent":             {Base: answers(answer(200, "")), OnEvent: func(transport.Event) { panic(errors.New("hook")) }},
		"OnEvent, of a retry": {Base: answers(answer(429, "")), OnEvent: func(transport.Event) { panic(errors.New("hook")) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := &closes{Reader: strings.NewReader("x")}
			if _, err := tripOrPanic(rt, newRequest(t, "PUT", "http://data.test/", src)); err == nil || src.n.Load() != 1 {
				t.Errorf("%s: %v, the body was closed %d times, want once", name, err, src.n.Load())
			}
		})
	}
}
