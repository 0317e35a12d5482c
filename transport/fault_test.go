package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// faulty is a body that breaks in the middle.
func faulty(err error) *closes {
	return &closes{Reader: io.MultiReader(strings.NewReader("row 1\n"), &broken{err})}
}

// TestFaultOfTheBody: an error of the caller's own body is no fault of the
// network, whatever it looks like. It comes back at once, as it is.
func TestFaultOfTheBody(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, own := range []error{io.ErrUnexpectedEOF, io.ErrClosedPipe, dial, &net.DNSError{IsTemporary: true}, os.ErrDeadlineExceeded, context.DeadlineExceeded} {
		for _, how := range []string{"kept", "too large to be kept", "spooled", "with GetBody", "in a wrapper", "with AttemptTimeout"} {
			for _, http2 := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, HTTP/2 %v, %v", how, http2, own), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := 0
						base, stop := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n++; io.Copy(io.Discard, r.Body) }), http2)
						defer time.Sleep(time.Second) // the server lingers
						defer stop()
						inner := &transport.Transport{Base: base, Policy: policy.Policy{Resend: func(*http.Request) bool { return true }}}
						var rt http.RoundTripper = inner
						src := faulty(own)
						req := newRequest(t, "POST", "http://data.test/resource/abcd-1234.json", src)
						want := own
						switch how {
						case "too large to be kept":
							req.ContentLength = 2 << 20
						case "spooled":
							rt = &transport.Spool{Base: inner}
						case "with GetBody":
							req.GetBody = func() (io.ReadCloser, error) { return faulty(own), nil }
						case "in a wrapper":
							want = fmt.Errorf("reading rows.csv: %w", own)
							src.Reader = &broken{want}
						case "with AttemptTimeout":
							inner.Policy.AttemptTimeout = time.Minute
						}
						start := time.Now()
						resp, err := rt.RoundTrip(req)
						synctest.Wait()
						if err != want || resp != nil || time.Since(start) != 0 || n > 1 || src.n.Load() != 1 {
							t.Errorf("got %v, %v after %v and %d requests, closed %d times; want the body's own error at once", resp, err, time.Since(start), n, src.n.Load())
						}
					})
				})
			}
		}
	}
}

// TestFaultOfALaterBody: the first attempt did not read so far, or net/http
// asked for another body within it.
func TestFaultOfALaterBody(t *testing.T) {
	for _, row := range []struct {
		name     string
		getBody  bool
		rewound  bool // Base reads GetBody's body, not the one that it got
		early    bool // the first attempt ends before the fault
		attempts int
	}{
		{"kept", false, false, true, 2},
		{"of GetBody", true, false, true, 2},
		{"of GetBody, rewound", true, true, false, 1},
		{"of GetBody, the second one rewound", true, true, true, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
					body := r.Body
					if row.rewound {
						body.Close()
						body, _ = r.GetBody()
					}
					defer body.Close()
					if n++; n == 1 && row.early {
						io.CopyN(io.Discard, body, 3)
						return nil, io.ErrUnexpectedEOF
					}
					_, err := io.Copy(io.Discard, body)
					return nil, err
				})}
				req := newRequest(t, "PUT", "http://data.test/", faulty(io.ErrUnexpectedEOF))
				if row.getBody {
					req.GetBody = func() (io.ReadCloser, error) { return faulty(io.ErrUnexpectedEOF), nil }
				}
				if _, err := rt.RoundTrip(req); !errors.Is(err, io.ErrUnexpectedEOF) || n != row.attempts {
					t.Errorf("got %v after %d attempts, want %d", err, n, row.attempts)
				}
			})
		})
	}
}

// TestFaultAfterAnEarlyAnswer: the answer is the last word, as there can be no
// other attempt.
func TestFaultAfterAnEarlyAnswer(t *testing.T) {
	n := 0
	rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
		n++
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		return answer(503, "early"), nil
	})}
	resp, err := rt.RoundTrip(newRequest(t, "PUT", "http://data.test/", faulty(errors.New("the disk is gone"))))
	if err != nil || resp.StatusCode != 503 || n != 1 {
		t.Fatalf("got %v, %v after %d attempts", resp, err, n)
	}
	if why := transport.History(resp)[0].Why; !strings.Contains(why, "the disk is gone") {
		t.Errorf("the history says %q", why)
	}
}

// TestFaultOfAClosedBody: a body that Base has closed under a Read says nothing
// of its source.
func TestFaultOfAClosedBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &transport.Transport{Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			if n++; n > 1 {
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
				return answer(200, ""), nil
			}
			r.Body.Close()
			r.Body.Read(make([]byte, 1))
			return nil, io.ErrUnexpectedEOF
		})}
		pr, _ := io.Pipe()
		req := newRequest(t, "PUT", "http://data.test/", pr)
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("rows")), nil }
		if resp, err := rt.RoundTrip(req); err != nil || resp.StatusCode != 200 || n != 2 {
			t.Errorf("got %v, %v after %d attempts, want an answer after 2", resp, err, n)
		}
	})
}

// TestFaultsCostTheOthersNothing: a file that is cut, sent over and over, says
// nothing of the host.
func TestFaultsCostTheOthersNothing(t *testing.T) {
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	io.WriteString(zw, strings.Repeat("row,row\n", 1000))
	zw.Close()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		base, stop := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				if n++; n == 1 {
					w.WriteHeader(504)
				}
			}
		}), false)
		defer time.Sleep(time.Second)
		defer stop()
		rt := &transport.Transport{Base: base}
		start := time.Now()
		for range 20 {
			zr, err := gzip.NewReader(bytes.NewReader(zipped.Bytes()[:zipped.Len()-10]))
			if err != nil {
				t.Fatal(err)
			}
			req := newRequest(t, "PUT", "http://data.test/resource/abcd-1234.json", zr)
			if _, err := rt.RoundTrip(req.WithContext(policy.NewContext(t.Context(), policy.Batch()))); err != io.ErrUnexpectedEOF {
				t.Fatalf("got %v", err)
			}
		}
		if d := time.Since(start); d > 0 {
			t.Errorf("the faults took %v", d)
		}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/resource/abcd-1234.json", nil))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v; want a retry, as nothing has spent its budget", resp, err)
		}
		resp.Body.Close()
	})
}
