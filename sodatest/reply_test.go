package sodatest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

func TestReplyBodies(t *testing.T) {
	const mapHeader = "X-Sample"
	for _, tt := range []struct {
		name   string
		reply  sodatest.Reply
		status int
		body   string // a part of it
		header string // "Name: value"
	}{
		{"nothing", sodatest.Reply{}, 200, `"id":"25"`, "X-Soda2-Data-Out-Of-Date: false"},
		{"status 200", sodatest.Reply{Status: 200}, 200, `"id":"25"`, ""},
		{"code with a hyphen", sodatest.Reply{Status: 429, Code: "too-many-requests"}, 429, `{"message":"Too many requests","errorCode":"too-many-requests","data":{}}`, ""},
		{"code with dots", sodatest.Reply{Status: 400, Code: "query.soql.bad-parse"}, 400, `"errorCode":"query.soql.bad-parse"`, ""},
		{"code of the core", sodatest.Reply{Status: 429, Code: "too_many_requests"}, 429, "{\n  \"code\" : \"too_many_requests\",\n  \"error\" : true,", ""},
		{"core with dots", sodatest.Reply{Status: 404, Code: "dataset.missing"}, 404, "\"data\" : {\n    \"id\" : \"abcd-1234\"\n  }", ""},
		{"new analyzer", sodatest.Reply{Status: 400, Code: "soql.parser.oops", Message: "m"}, 400, `{"code":"soql.parser.oops","message":"m","data":{}}`, ""},
		{"code alone", sodatest.Reply{Code: "execution_timeout"}, 504, `"execution_timeout"`, ""},
		{"unknown code alone", sodatest.Reply{Code: "odd"}, 500, `"odd"`, ""},
		{"no code", sodatest.Reply{Status: 500}, 500, "{\n  \"error\" : true,\n  \"message\" : \"Internal Server Error\"\n}", "Cache-Control: private, no-cache, must-revalidate"},
		{"message", sodatest.Reply{Status: 400, Message: `a "<b>"`}, 400, `"a \"<b>\""`, ""},
		{"verbatim", sodatest.Reply{Status: 500, Body: `"Internal server error"`}, 500, `"Internal server error"`, "Content-Type: application/json; charset=utf-8"},
		{"verbatim, own status", sodatest.Reply{Body: "x"}, 200, "x", "Content-Type: application/json;charset=utf-8"},
		{"html", sodatest.HTML(503), 503, "<h1>503 Service Temporarily Unavailable</h1>", "Content-Type: text/html"},
		{"html 502", sodatest.HTML(502), 502, "<h1>502 Bad Gateway</h1>", ""},
		{"html 504", sodatest.HTML(504), 504, "504 Gateway Time-out", ""},
		{"html 408", sodatest.HTML(408), 408, "408 Request Time-out", ""},
		{"filler", sodatest.Reply{Status: 502, Bytes: 1000}, 502, "<html>\n<p>", "Content-Length: 1000"},
		{"filler, own status", sodatest.Reply{Bytes: 1000}, 200, "<html>\n<p>", "Content-Length: 1000"},
		{"location, own status", sodatest.Reply{Location: "/there"}, 200, "", "Location: /there"},
		{"retry after", sodatest.Reply{Status: 503, RetryAfter: "soon"}, 503, "", "Retry-After: soon"},
		{"location", sodatest.Reply{Status: 202, Location: "/there"}, 202, "", "Location: /there"},
		{"ticket", sodatest.Reply{Ticket: "t-1"}, 202, "\"error\" : false,\n  \"ticket\" : \"t-1\"\n}", ""},
		{"header", sodatest.Reply{Header: map[string]string{mapHeader: "1", "Server": "other"}}, 200, `"id":"25"`, "Server: other"},
		{"no header", sodatest.Reply{Header: map[string]string{"server": ""}}, 200, "", "Server: "},
		{"in band", sodatest.Reply{InBand: true}, 200, "}\n{\n  \"error\" : true,\n  \"message\" : \"Internal error\",\n  \"status\" : 500\n}\n", ""},
		{"absurd status", sodatest.Reply{Status: 12345}, 500, "true", ""},
		{"empty", sodatest.Reply{Status: 201}, 201, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, start starter) {
				srv := start(sodatest.Replies(tt.reply))
				resp, body := get(t, srv, sample+".json")
				if resp.StatusCode != tt.status || !strings.Contains(body, tt.body) {
					t.Errorf("got %d %s", resp.StatusCode, body)
				}
				if name, value, ok := strings.Cut(tt.header, ": "); ok && resp.Header.Get(name) != value {
					t.Errorf("got %s: %s", name, resp.Header.Get(name))
				}
				if got := statuses(srv); got[0] != tt.status {
					t.Errorf("recorded %v", got)
				}
			})
		})
	}
}

// On a path that means nothing, status 200 still is a success.
func TestStatus200Anywhere(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Reply{Status: 200}))
		if resp, body := get(t, srv, "/nowhere"); resp.StatusCode != 200 || body != "[]\n" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
	})
}

func TestScriptGoesOn(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Fault("internal-error")))
		srv.Script(sodatest.Reply{}, sodatest.HTML(502))
		srv.Script(sodatest.Reply{Status: 204})
		for range 5 {
			get(t, srv, sample+".json")
		}
		if got := fmt.Sprint(statuses(srv)); got != "[500 200 502 204 200]" {
			t.Errorf("got %s", got)
		}
	})
}

func TestDelay(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Reply{Delay: 7 * time.Minute}), sodatest.Latency(func() time.Duration { return time.Second }))
		began := time.Now()
		get(t, srv, sample+".json")
		if d := time.Since(began); d != 7*time.Minute+time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// A Drop with Status 0 hides that the request was carried out; another one does not.
func TestDropActs(t *testing.T) {
	for status, want := range map[int]int{0: 26, 500: 25} {
		inMemory(t, func(t *testing.T, start starter) {
			srv := start(sodatest.Replies(sodatest.Reply{Status: status, Drop: true}))
			if _, _, err := try(t, srv, "POST", sample+".json", `[{"name":"new"}]`); err == nil {
				t.Fatal("the request was answered")
			}
			if r := srv.Requests()[0]; r.Status != 0 || len(r.Body) == 0 {
				t.Errorf("recorded %+v", r)
			}
			if _, body := get(t, srv, sample+".json"); len(rowsOf(t, body)) != want {
				t.Errorf("status %d: %d rows, want %d", status, len(rowsOf(t, body)), want)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(
			sodatest.Reply{},
			sodatest.Reply{Body: "[]"},
			sodatest.Reply{Body: "[]", Gzip: true},
			sodatest.Reply{Status: 429, Code: "too-many-requests"},
			sodatest.Reply{Gzip: true},
			sodatest.Reply{Cut: 10},
		))
		for i, tt := range []struct{ accept, want string }{
			{"gzip", "gzip"}, {"gzip", ""}, {"gzip", "gzip"}, {"gzip", "gzip"}, {"identity", "gzip"}, {"gzip", ""},
		} {
			resp, body, _ := try(t, srv, "GET", sample+".json", "", "Accept-Encoding", tt.accept)
			if got := resp.Header.Get("Content-Encoding"); got != tt.want {
				t.Errorf("%d: Content-Encoding is %q, want %q", i, got, tt.want)
			}
			if tt.want == "" {
				continue
			}
			z, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			plain, err := io.ReadAll(z)
			if err != nil || !json.Valid(plain) {
				t.Errorf("%d: got %q, %v", i, plain, err)
			}
		}
		if resp, _ := get(t, srv, sample+".json", "Accept-Encoding", "identity"); resp.Header.Get("Content-Encoding") != "" {
			t.Error("compressed unasked")
		}
	})
}

func TestEndless(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Reply{Body: "[", Endless: true}, sodatest.Reply{Endless: true}))
		resp, err := srv.Client().Get(srv.URL + sample + ".json")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if n, err := io.ReadFull(resp.Body, make([]byte, 102)); err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("100 bytes took %v, want 5s", d)
		}
		resp.Body.Close() // the client leaves, or Close would find a goroutine

		resp, err = srv.Client().Get(srv.URL + sample + ".json")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, srv.Close)
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after Close: %v", err)
		}
		resp.Body.Close()
	})
}

// A slow reader must not keep the server from closing.
func TestEndlessUnread(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Reply{Endless: true, Early: true}))
		resp, err := srv.Client().Post(srv.URL+sample+".json", "application/json", strings.NewReader("[]"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		resp.Body.Close()
		time.Sleep(time.Second)
	})
}

// An answer that does not wait for the body must arrive while the client is still
// sending, and must not hang anyone, even where nothing is buffered.
func TestEarly(t *testing.T) {
	for name, body := range map[string]func(*testing.T) io.Reader{
		"4 MB":         func(*testing.T) io.Reader { return bytes.NewReader(make([]byte, 4<<20)) },
		"4 MB chunked": func(*testing.T) io.Reader { return io.LimitReader(zeros{}, 4<<20) },
		"small":        func(*testing.T) io.Reader { return strings.NewReader("[]") },
		"stuck": func(t *testing.T) io.Reader {
			r, w := io.Pipe()
			t.Cleanup(func() { w.Close() }) // net/http never closes a body that it reads
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, start starter) {
				srv := start(sodatest.Replies(sodatest.Reply{Status: 429, Code: "too-many-requests", Early: true}))
				resp, err := srv.Client().Post(srv.URL+sample+".json", "application/json", body(t))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 429 || !strings.Contains(string(b), "too-many-requests") || err != nil {
					t.Errorf("got %s %s %v", resp.Status, b, err)
				}
				if r := srv.Requests()[0]; r.Body != nil || r.Status != 429 || !resp.Close {
					t.Errorf("recorded %d bytes, status %d; close %v", len(r.Body), r.Status, resp.Close)
				}
				if resp, _ := get(t, srv, sample+".json"); resp.StatusCode != 200 {
					t.Errorf("and then %s", resp.Status)
				}
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestBigPage(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Reply{Status: 502, Bytes: 2 << 20}))
		if resp, body := get(t, srv, sample+".json"); resp.StatusCode != 502 || len(body) != 2<<20 {
			t.Errorf("got %s with %d bytes", resp.Status, len(body))
		}
	})
}

func TestFault(t *testing.T) {
	for code, status := range map[string]int{
		"accepted": 202, "authentication_required": 401, "deserialization": 400, "execution_timeout": 504, "internal": 500,
		"invalid_request": 400, "method_not_allowed": 405, "not_found": 404, "permission_denied": 403, "row_cache_timeout": 500,
		"row_id_cache": 500, "too_many_requests": 429, "type_mismatch": 400, "unacceptable_response_type": 406,
		"unchecked_client_http": 500, "dataset.missing": 404, "internal-error": 500, "service-unavailable": 503,
		"too-many-requests": 429, "request-timeout": 408, "schema-out-of-sync": 500, "soda.dataset.cannot-acquire-write-lock": 409,
		"update.read-only-mode": 503, "query.datasource.unavailable": 503, "no-such-code": 500,
	} {
		inMemory(t, func(t *testing.T, start starter) {
			srv := start(sodatest.Replies(sodatest.Fault(code)))
			resp, body := get(t, srv, sample+".json")
			var e struct{ Code, ErrorCode, Message, Ticket string }
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%s: %v in %s", code, err, body)
			}
			if resp.StatusCode != status || e.Code+e.ErrorCode != code || status != 202 && e.Message == "" || (status == 202) != (e.Ticket != "") {
				t.Errorf("%s: got %d %s", code, resp.StatusCode, body)
			}
			if strings.Contains(body, "{id}") {
				t.Errorf("%s: no data set in %s", code, body)
			}
		})
	}
}

// The list in Fault's comment is what people read: it must be the list.
func TestFaultIsDocumented(t *testing.T) {
	src, err := os.ReadFile("fault.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, table, _ := strings.Cut(string(src), "\nfunc Fault(")
	_, table, _ = strings.Cut(table, "var codes =")
	n := 0
	for line := range strings.Lines(table) {
		if code, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), `"`), `":`); ok {
			n++
			if !strings.Contains(doc, code) {
				t.Errorf("%s is not in the comment", code)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d codes were found", n)
	}
}

// On /api/views the core says it in headers as well, and nowhere else.
func TestErrorHeaders(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Replies(sodatest.Fault("not_found"), sodatest.Fault("not_found"), sodatest.Fault("not-found")))
		for _, tt := range []struct{ path, want string }{
			{"/api/views/x.json", "not_found Not found"}, {sample + ".json", " "}, {"/api/views/x.json", " "},
		} {
			resp, _ := get(t, srv, tt.path)
			if got := resp.Header.Get("X-Error-Code") + " " + resp.Header.Get("X-Error-Message"); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
			}
		}
	})
}

func TestHead(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		srv := start()
		resp, body := send(t, srv, http.MethodHead, sample+".json", "")
		if resp.StatusCode != 200 || body != "" || resp.Header.Get("ETag") == "" {
			t.Errorf("got %s %q %v", resp.Status, body, resp.Header)
		}
	})
}

// On a connection that it has used before, an http.Transport repeats a GET that is
// dropped, and hides it. Without keep-alives it has no such connections.
func TestDropsMadeVisible(t *testing.T) {
	everywhere(t, func(t *testing.T, start starter) {
		for _, visible := range []bool{false, true} {
			srv := start()
			tr := srv.Transport()
			if visible {
				tr = tr.Clone()
				tr.DisableKeepAlives = true
			}
			ask := func() error {
				resp, err := tr.RoundTrip(request(t, srv, "GET", sample+".json", ""))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				return err
			}
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			srv.Script(sodatest.Reply{Drop: true})
			if err := ask(); (err != nil) != visible {
				t.Errorf("with DisableKeepAlives %v: error %v", visible, err)
			}
		}
	})
}

// A 202 that says nothing is what a Reply of that Status is.
func TestBareAccepted(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		resp, body := send(t, start(sodatest.Replies(sodatest.Reply{Status: 202})), "POST", sample+".json", "[]")
		if resp.StatusCode != 202 || body != "" || resp.Header.Get("Location") != "" {
			t.Errorf("got %s %q %v", resp.Status, body, resp.Header)
		}
	})
}
