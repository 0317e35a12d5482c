package transport_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/transport"
)

// TestTailSeesEveryCut ends JSON bodies at each of their bytes, as a proxy does
// that takes a broken connection for the end.
func TestTailSeesEveryCut(t *testing.T) {
	rows := `{"id":"1","at":{"type":"Point","coordinates":[-87.6,41.8]},"tags":["a","[",[]],"text":"{[\"{,"}` + "\n"
	for _, row := range []struct{ kind, body string }{
		{"application/json;charset=utf-8", "[" + strings.Repeat(rows+",", 30) + rows + "]\n"},
		{"application/json", "\ufeff [" + rows + "]"},
		{"application/vnd.geo+json", `{"type":"FeatureCollection","features":[` + strings.Repeat(rows+",", 30) + rows + `],"crs":{"name":"x"}}`},
		{"application/json", ` {"a":{"error":true,"message":"m"}}`},
		{"application/json", `[[[[]],{}],[{"error":true,"message":"m"}]]`},
	} {
		synctest.Test(t, func(t *testing.T) {
			begun := strings.IndexAny(row.body, "[{")
			ends := len(strings.TrimRight(row.body, "\n"))
			for n := range len(row.body) + 1 {
				got, _, err := readTail(t, row.kind, row.body[:n], 100)
				if cut := n > begun && n < ends; cut && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, classify.Internal) {
					t.Fatalf("%s: cut behind %q, it is taken for whole: %v", row.kind, row.body[max(0, n-20):n], err)
				} else if !cut && (err != nil || got != row.body[:n]) {
					t.Fatalf("%s: whole, it fails after %d of %d bytes: %v", row.kind, len(got), n, err)
				}
			}
		})
	}
}

// TestTailTakesEveryError has the shapes of Socrata's errors, in strange types too.
func TestTailTakesEveryError(t *testing.T) {
	for _, object := range []string{
		`{"error":true,"message":"x","status":"500"}`,
		`{"error":true,"message":"x","status":500.5}`,
		`{"error":true,"message":"x","code":500}`,
		`{"error":true,"errorCode":"query.timeout"}`,
		`{"error":true,"reason":"why"}`,
		`{"error":true,"reason":[{"status":404,"reason":{}}]}`,
		`{"error":true}`,
		`{"error":true,"message":null,"code":"internal"}`,
		`{"code":"timeout","message":"x"}`,
		`{"error":"true","message":"x"}`,
		`{"error":"Internal error","status":500}`,
		`{"message":"x","errorCode":"query.execution.timeout","data":{}}`,
		"{\n  \"error\" : true\n}" + strings.Repeat("\r\n", 8000),
	} {
		for _, row := range []struct{ kind, body string }{
			{"text/csv", strings.Repeat("\"1\",\"one\"\n", 1000)},
			{"text/csv", ""},
			{"text/csv", "id,name\n\"1\",\"on"},
			{"application/json", "[" + strings.Repeat("{\"id\":\"1\"}\n,", 1000)},
			{"application/json", "[{\"id\":\"1\"}\n"},
			{"application/json", "\ufeff[{\"id\":\"on"},
			{"application/vnd.geo+json", `{"type":"FeatureCollection","features":[` + strings.Repeat("{\"id\":\"1\"}\n,", 1000)},
			{"application/vnd.geo+json", "{\"type\":\"FeatureCollection\",\"features\":[{\"id\":\"1\"}\n"},
		} {
			synctest.Test(t, func(t *testing.T) {
				got, n, err := readTail(t, row.kind, row.body+object, 100)
				var e *classify.Error
				if !errors.As(err, &e) || n != 3 || strings.Contains(got, "error") || !strings.HasPrefix(row.body, got) {
					t.Errorf("%s %q: got %d of %d bytes, %v after %d requests", row.kind, object, len(got), len(row.body), err, n)
				}
			})
		}
	}
}

// TestTailKnowsACell from an error that follows half a row: by its lines.
func TestTailKnowsACell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got, _, err := readTail(t, "text/csv", "\"1\",\"one\"\n\"2\","+inBand, 100); !errors.Is(err, classify.Internal) || strings.Contains(got, "error") {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestTailReadsBytes has a Base that gives one byte at a time.
func TestTailReadsBytes(t *testing.T) {
	rt := &transport.Resume{Base: baseFunc(func(*http.Request) (*http.Response, error) {
		resp := answer(200, "")
		resp.Header.Set("Content-Type", "application/json")
		resp.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader("\ufeff[1")))
		return resp, nil
	}), MaxAttempts: 1}
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestTailSeesLongErrors: however much follows an array, it does not pass.
func TestTailSeesLongErrors(t *testing.T) {
	array := "[" + strings.Repeat("{\"id\":\"1\"}\n,", 100)
	for _, end := range []string{
		`{"error":true,"message":"` + strings.Repeat("x", 3000) + `"}`,
		`{"error":true,"message":"x"}` + strings.Repeat("\n", 100_000),
		strings.Repeat("\n", 100_000),
	} {
		synctest.Test(t, func(t *testing.T) {
			if got, _, err := readTail(t, "application/json", array+end, 100); err == nil {
				t.Errorf("%.40q: got %d bytes, %v", end, len(got), err)
			}
		})
	}
}

// TestTailLetsPass has bodies that are whole, whatever they look like.
func TestTailLetsPass(t *testing.T) {
	quoted := strings.ReplaceAll(inBand, `"`, `""`)
	for _, row := range []struct{ kind, body string }{
		{"text/csv", "id,doc\n1,\"" + quoted + "\"\n"},
		{"text/csv", "doc,id\n\"" + quoted + "\",1\n"},
		{"text/csv", "id,doc\n1,\"\n" + quoted + "\n\"\n"},
		{"text/csv", "id,doc\n1,{\"error\":true,\"message\":\"x\"}\n"}, // unquoted
		{"text/csv", "id;doc\n1; {\"error\":true,\"message\":\"x\"}\n"},
		{"text/csv", "doc\n{}\n"},
		{"text/csv", "doc\n{\"message\":\"x\"}\n"},
		{"text/csv", "doc\n{\"error\":null,\"code\":\"a\",\"message\":\"x\"}\n"},
		{"text/csv", "doc\n{\"error\":false,\"errorCode\":\"x\"}\n"},
		{"text/csv", "doc\n[1]\n"},
		{"text/csv; charset=UTF-16", "a,b\n" + inBand},
		{"text/csv", "a,b\n" + strings.Repeat("\n", 100_000) + "1,2\n"},
		{"application/json", "\ufeff\n[" + inBand + "]" + strings.Repeat("\n", 100_000)},
		{"application/json", "\ufeff" + inBand},
		{"application/json", inBand + strings.Repeat(" ", 100_000)},
		{"application/json", "{\"a\":1}\n{\"a\":[2]}\n"}, // lines
		{"application/json", "[1]\n[2]\n"},
		{"application/json", `{"{":":1,",":[":[{"error":true,"message":"}"}]}`},
		{"application/json", "\"a string\""},
		{"application/json", "<html>{\"error\":true,\"message\":\"x\"}"},
		{"application/json; charset=utf-16le", "[\x00]\x00"},
		{"application/json", "\ufeff"},
		{"application/json", "\xef"},
		{"application/json", " \n"},
	} {
		for _, size := range []int{0, 1, 64 << 10} {
			synctest.Test(t, func(t *testing.T) {
				if got, n, err := readTail(t, row.kind, row.body, size); got != row.body || err != nil || n != 1 {
					t.Errorf("%s %.60q: got %d of %d bytes, %v after %d requests", row.kind, row.body, len(got), len(row.body), err, n)
				}
			})
		}
	}
}

// TestTailForgets: what was read of an answer that was cut says nothing about
// how the next one begins or ends.
func TestTailForgets(t *testing.T) {
	long := "[" + strings.Repeat(" ", 100) + strings.Repeat("1,\n", 1000)
	for _, row := range []struct {
		name, first, then string
		good              bool
	}{
		{"the end", long + "1]", long[:1000], false},
		{"the beginning", "[1", `{"a":1}`, true},
		{"the beginning, of no kind", "<html>", "[1", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			base := baseFunc(func(*http.Request) (*http.Response, error) {
				n++
				resp := answer(200, row.then)
				resp.ContentLength = -1
				resp.Header.Set("Content-Type", "application/json")
				if n == 1 {
					resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(row.first), &broken{io.ErrUnexpectedEOF}))
				}
				return resp, nil
			})
			resp, err := (&transport.Resume{Base: base}).RoundTrip(newRequest(t, "GET", "http://data.test/", nil))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); (err == nil) != row.good || row.good && string(b) != row.then {
				t.Errorf("%s: got %d bytes, %v", row.name, len(b), err)
			}
		})
	}
}
