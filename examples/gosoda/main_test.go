package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	soda "github.com/SebastiaanKlippert/go-soda"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

const (
	rowCount = 160
	workers  = 8
	pageSize = 4
)

// A world is a portal with rowCount rows, and a way to it that keeps no
// connection: net/http repeats a GET by itself on one that it has used before,
// and the repeating is to be the Transport's.
func world(t *testing.T, opts ...sodatest.Option) (*sodatest.Server, http.RoundTripper) {
	srv := sodatest.NewServer(append([]sodatest.Option{
		sodatest.InMemory(),
		sodatest.Dataset(sodatest.SampleID, sodatest.GenerateRows(rowCount)),
	}, opts...)...)
	t.Cleanup(srv.Close)
	base := srv.Transport().Clone()
	base.DisableKeepAlives = true
	base.DisableCompression = true // most of the time would go there
	return srv, base
}

func request(srv *sodatest.Server, rt http.RoundTripper) *soda.GetRequest {
	return newRequest(srv.URL+"/resource/"+sodatest.SampleID, "", rt)
}

// complete returns an error unless rows are those of the portal, each once.
func complete(rows []row) error {
	b, err := json.Marshal(sodatest.GenerateRows(rowCount))
	if err != nil {
		return err
	}
	var all []row
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	want := map[string]row{}
	for _, r := range all {
		want[fmt.Sprint(r["id"])] = r
	}
	for _, r := range rows {
		id := fmt.Sprint(r["id"])
		switch w, ok := want[id]; {
		case !ok:
			return fmt.Errorf("row %s came twice, or is none of the portal's", id)
		case !reflect.DeepEqual(r, w):
			return fmt.Errorf("row %s is %v, not %v", id, r, w)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		return fmt.Errorf("%d rows are missing", len(want))
	}
	return nil
}

// A listener keeps the attempts that OnEvent tells.
type listener struct {
	mu       sync.Mutex
	attempts []transport.Attempt
}

func (l *listener) event(e transport.Event) {
	if e.Kind != transport.AttemptDone {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, e.Attempt())
}

var (
	bucket     = sodatest.TokenBucket(80, 20)
	retryAfter = sodatest.Throttle(sodatest.Reply{Code: "too-many-requests", RetryAfter: "1"})
	latency    = sodatest.Latency(func() time.Duration { return 20 * time.Millisecond })
	dropped    = sodatest.Reply{Drop: true, Reset: true}
	accepted   = sodatest.Reply{Status: http.StatusAccepted}
)

// trouble is what the portal does while the SDK pages. Each of these refuses
// some requests for certain, however they fall.
var trouble = []struct {
	name string
	opts []sodatest.Option
	sees int // what at least one attempt must have come to; 0 is no answer
}{
	{"a token bucket without Retry-After", []sodatest.Option{bucket}, 429},
	{"a token bucket with Retry-After", []sodatest.Option{bucket, retryAfter}, 429},
	{"few at a time for one data set", []sodatest.Option{sodatest.Concurrency(3)}, 429},
	{"every 20th times out", []sodatest.Option{sodatest.Every(20, sodatest.Fault("execution_timeout"))}, 504},
	{"every 20th is a 503 page", []sodatest.Option{sodatest.Every(20, sodatest.HTML(503))}, 503},
	{"every 20th connection breaks", []sodatest.Option{sodatest.Every(20, dropped)}, 0},
	{"every 10th is a 202 without a word", []sodatest.Option{sodatest.Every(10, accepted)}, 202},
	{"all of it", []sodatest.Option{
		bucket, retryAfter, sodatest.Concurrency(6),
		sodatest.Every(19, sodatest.Fault("execution_timeout")), sodatest.Every(23, sodatest.HTML(503)),
		sodatest.Every(29, dropped), sodatest.Every(31, accepted),
	}, 429},
}

func TestEveryRowArrivesOnce(t *testing.T) {
	for _, tt := range trouble {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, base := world(t, append(tt.opts, latency)...)
				var heard listener
				rows, err := page(request(srv, &transport.Transport{Base: base, OnEvent: heard.event}), workers, pageSize)
				if err == nil {
					err = complete(rows)
				}
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(heard.attempts, func(a transport.Attempt) bool { return a.Status == tt.sees }) {
					t.Errorf("no attempt came to %d: the portal made no trouble", tt.sees)
				}
				if sent, got := len(heard.attempts), len(srv.Requests()); sent != got {
					t.Errorf("OnEvent told of %d attempts, the portal got %d", sent, got)
				}
				for _, a := range heard.attempts {
					if a.Wait < a.RetryAfter {
						t.Errorf("the wait was shorter than the portal asked for: %v", a)
					}
				}
			})
		})
	}
}

// Without the Transport the same runs fail, so that the test above means
// something.
func TestWithoutTheTransportRowsAreLost(t *testing.T) {
	for _, tt := range trouble {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv, base := world(t, append(tt.opts, latency)...)
				rows, err := page(request(srv, base), workers, pageSize)
				if err == nil {
					err = complete(rows)
				}
				if err == nil {
					t.Error("every row arrived")
				}
			})
		})
	}
}

func TestOnTCP(t *testing.T) {
	t.Parallel()
	ok := sodatest.Reply{}
	srv := sodatest.NewServer(
		sodatest.Dataset(sodatest.SampleID, sodatest.GenerateRows(rowCount)),
		sodatest.Replies(ok, sodatest.HTML(503), ok, dropped, ok, sodatest.Fault("too-many-requests")),
	)
	defer srv.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	rows, err := page(request(srv, &transport.Transport{}), workers, pageSize)
	if err == nil {
		err = complete(rows)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What another attempt cannot change comes back at once, with the portal's own
// words, and typed if wanted.
func TestFinalAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, id, token string
		says            []string
		kind            classify.Kind
	}{
		{"a wrong token", sodatest.SampleID, "wrong", []string{"SODA error 403:", "permission_denied", "Invalid app_token specified"}, classify.PermissionDenied},
		{"no such data set", "zzzz-9999", "right", []string{"SODA error 404:", "dataset.missing", "Not found"}, classify.NotFound},
	} {
		for _, method := range []string{"Count", "Get", "NewOffsetGetRequest"} {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					srv, base := world(t, sodatest.Token("right"))
					call := func(rt http.RoundTripper) (err error) {
						req := newRequest(srv.URL+"/resource/"+tt.id, tt.token, rt)
						switch method {
						case "Count":
							_, err = req.Count()
						case "Get":
							_, err = decode(req.Get())
						default:
							_, err = soda.NewOffsetGetRequest(req)
						}
						return err
					}
					rt := &transport.Transport{Base: base}

					began := time.Now()
					err := call(rt)
					if err == nil {
						t.Fatal("no error")
					}
					for _, words := range tt.says {
						if !strings.Contains(err.Error(), words) {
							t.Errorf("the error lacks %q: %v", words, err)
						}
					}
					if n, took := len(srv.Requests()), time.Since(began); n != 1 || took != 0 {
						t.Errorf("%d requests in %v, want 1 at once", n, took)
					}

					err = call(&transport.StatusErrors{Base: rt})
					if !errors.Is(err, tt.kind) {
						t.Errorf("through StatusErrors the error is not %v: %v", tt.kind, err)
					}
					if n := len(srv.Requests()); n != 2 {
						t.Errorf("%d requests through StatusErrors, want 1", n-1)
					}
				})
			})
		}
	}
}

func TestGet(t *testing.T) {
	t.Run("JSON", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, base := world(t, sodatest.Replies(sodatest.Fault("execution_timeout"), accepted))
			resp, err := request(srv, &transport.Transport{Base: base}).Get()
			rows, err := decode(resp, err)
			if err == nil {
				err = complete(rows)
			}
			if err != nil {
				t.Fatal(err)
			}
			var statuses []int
			for _, a := range transport.History(resp) {
				statuses = append(statuses, a.Status)
			}
			if !slices.Equal(statuses, []int{504, 202, 200}) {
				t.Errorf("the history of the SDK's response is %v", transport.History(resp))
			}
		})
	})
	t.Run("CSV", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, base := world(t, sodatest.Replies(sodatest.Fault("too-many-requests"), accepted))
			req := request(srv, &transport.Transport{Base: base})
			req.Format = "csv"
			req.Query.Select = []string{"id", "name", "open"}
			req.Query.AddOrder("id", soda.DirAsc)
			records, err := decodeCSV(req.Get())
			if err != nil {
				t.Fatal(err)
			}
			var want [][]string
			for _, r := range sodatest.GenerateRows(rowCount) {
				want = append(want, []string{r["id"].(string), r["name"].(string), strconv.FormatBool(r["open"].(bool))})
			}
			if !reflect.DeepEqual(records, want) {
				t.Errorf("%d records, not the %d of the portal, or others", len(records), len(want))
			}
		})
	})
}

func TestAppToken(t *testing.T) {
	for _, tt := range []struct {
		name, sdk, ours string
		want            []string // the header that the portal gets
	}{
		{"the SDK sends an empty one", "", "", []string{""}},
		{"AppToken replaces the empty one", "", "right", []string{"right"}},
		{"AppToken leaves the SDK's", "right", "other", []string{"right"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, base := world(t, sodatest.Token("right"))
				rt := &transport.AppToken{Token: tt.ours, Base: &transport.Transport{Base: base}}
				if _, err := newRequest(srv.URL+"/resource/"+sodatest.SampleID, tt.sdk, rt).Count(); err != nil {
					t.Fatal(err)
				}
				if got := srv.Requests()[0].Header["X-App-Token"]; !slices.Equal(got, tt.want) {
					t.Errorf("X-App-Token is %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestMetadata(t *testing.T) {
	before := http.DefaultClient.Transport
	synctest.Test(t, func(t *testing.T) {
		srv, base := world(t, sodatest.Replies(sodatest.HTML(503), sodatest.Fault("too-many-requests")))
		rt := &transport.AppToken{Token: "demo", Base: &transport.Transport{Base: base}}
		md, err := metadata(request(srv, rt))
		if err != nil {
			t.Fatal(err)
		}
		if md.ID != sodatest.SampleID || len(md.Columns) != len(sodatest.GenerateRows(1)[0]) {
			t.Errorf("the metadata are of %s, with %d columns", md.ID, len(md.Columns))
		}
		if n := len(srv.Requests()); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
		if got := srv.Requests()[2].Header.Get("X-App-Token"); got != "demo" {
			t.Errorf("X-App-Token is %q", got)
		}
	})
	if http.DefaultClient.Transport != before {
		t.Error("http.DefaultClient has not got its Transport back")
	}
	synctest.Test(t, func(t *testing.T) {
		srv, base := world(t, sodatest.Replies(sodatest.HTML(503)))
		if _, err := metadata(request(srv, base)); err == nil {
			t.Error("without the Transport it came all the same")
		}
		if n := len(srv.Requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

// The SDK has no contexts. The client's Timeout does: a wait that would outlast
// it is not begun.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, base := world(t, sodatest.Replies(sodatest.Reply{Code: "too-many-requests", RetryAfter: "7"}))
		req := request(srv, &transport.Transport{Base: base})
		req.HTTPClient.Timeout = 5 * time.Second
		began := time.Now()
		_, err := req.Count()
		if err == nil || !strings.Contains(err.Error(), "SODA error 429:") || time.Since(began) != 0 {
			t.Errorf("after %v: %v; want the 429 at once", time.Since(began), err)
		}
		time.Sleep(req.HTTPClient.Timeout) // the SDK did not close the body, and so the client's timer runs out
	})
}

func TestRun(t *testing.T) {
	t.Run("reports", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			began := time.Now()
			if err := run(&out, nil, sodatest.InMemory()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if lines, rows := strings.Count(out.String(), "\n"), strings.Count(out.String(), "  600 rows "); lines != 7 || rows != 5 {
				t.Errorf("the report is\n%s", &out)
			}
		})
	})
	for _, tt := range []struct {
		name string
		args []string
		out  string
		err  string
	}{
		{"help", []string{"-h"}, "usage: gosoda", ""},
		{"a wrong token", []string{"-token", "wrong"}, "", "Invalid app_token specified"},
		{"no such flag", []string{"-nope"}, "", "-nope (see -h)"},
		{"an argument", []string{"x"}, "", `no argument "x"`},
		{"no workers", []string{"-workers", "0"}, "", "must be from 1 to 12"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				err := run(&out, tt.args, sodatest.InMemory())
				if !strings.Contains(out.String(), tt.out) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, output\n%s", err, &out)
				}
			})
		})
	}
}
