package classify_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
)

// recorded is what each line of testdata/socrata_responses.jsonl comes to. A
// line without a method was answered to a GET.
var recorded = []struct {
	method string
	status int
	class  classify.Class
	kind   classify.Kind
}{
	{"", 404, classify.Final, classify.NotFound}, // dataset.missing
	{"", 404, classify.Final, classify.NotFound}, // X-Error-Code
	{"", 200, classify.Final, classify.Unlisted},
	{"", 200, classify.Final, classify.Unlisted},
	{"", 200, classify.Final, classify.Unlisted},
	{"", 200, classify.Final, classify.Unlisted},
	{"", 200, classify.Final, classify.Unlisted},
	{"", 200, classify.Final, classify.Unlisted},
	{"", 200, classify.Final, classify.Unlisted},
	{"", 403, classify.Final, classify.PermissionDenied},
	{"", 400, classify.Final, classify.InvalidRequest}, // 10: no-such-column
	{"", 400, classify.Final, classify.TypeMismatch},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.TypeMismatch},
	{"", 400, classify.Final, classify.TypeMismatch},
	{"", 400, classify.Final, classify.InvalidRequest}, // query.compiler.malformed
	{"", 404, classify.Final, classify.NotFound},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.InvalidRequest}, // 20
	{"", 400, classify.Final, classify.TypeMismatch},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 403, classify.Final, classify.PermissionDenied}, // Invalid app_token specified
	{"", 403, classify.Final, classify.PermissionDenied},
	{"", 404, classify.Final, classify.NotFound}, // without a code
	{"", 404, classify.Final, classify.NotFound},
	{"", 404, classify.Final, classify.NotFound},
	{"", 403, classify.Final, classify.PermissionDenied}, // a firewall's page, not JSON
	{"", 404, classify.Final, classify.NotFound},
	{"", 404, classify.Final, classify.NotFound}, // 30: "error" is a string
	{"", 200, classify.Final, classify.Unlisted},
	{"", 302, classify.Final, classify.Unlisted},
	{"", 302, classify.Final, classify.Unlisted},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 404, classify.Final, classify.NotFound},
	{"", 403, classify.Final, classify.PermissionDenied},
	{"", 403, classify.Final, classify.PermissionDenied},
	{"", 400, classify.Final, classify.InvalidRequest}, // Unrecognized arguments
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.InvalidRequest}, // 40
	{"", 404, classify.Final, classify.NotFound},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 404, classify.Final, classify.NotFound},
	{"", 400, classify.Final, classify.InvalidRequest}, // data within data
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.InvalidRequest},
	{"POST", 202, classify.Pending, classify.Accepted}, // imports2, a ticket
	{"POST", 200, classify.Final, classify.Unlisted},
	{"POST", 200, classify.Final, classify.Unlisted}, // 50: upsert with Errors
	{"DELETE", 200, classify.Final, classify.Unlisted},
	{"POST", 200, classify.Final, classify.Unlisted},
	{"POST", 400, classify.Final, classify.InvalidRequest}, // not JSON at all
	{"", 403, classify.Final, classify.PermissionDenied},
	{"", 404, classify.Final, classify.NotFound}, // reasons in an array
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.NotFound}, // soda.dataset.not-found with a 400
	{"", 400, classify.Final, classify.InvalidRequest},
	{"", 400, classify.Final, classify.InvalidRequest},      // breaks off
	{"", 429, classify.Throttled, classify.TooManyRequests}, // 60
	{"", 500, classify.Transient, classify.Internal},        // internal-error
	{"", 500, classify.Transient, classify.Internal},        // empty
	{"", 503, classify.Throttled, classify.Unlisted},
	{"", 500, classify.Transient, classify.Internal}, // numeric status in the body
	{"", 200, classify.Final, classify.Unlisted},     // an error object inside a CSV
	{"", 429, classify.Throttled, classify.TooManyRequests},
	{"", 503, classify.Throttled, classify.Unlisted},
	{"", 408, classify.Transient, classify.ExecutionTimeout},
	{"", 500, classify.Transient, classify.Internal},
	{"POST", 500, classify.Transient, classify.Internal}, // 70: schema-out-of-sync
	{"POST", 409, classify.Transient, classify.Unlisted}, // write lock
	{"POST", 409, classify.Final, classify.Unlisted},     // version mismatch
	{"PATCH", 405, classify.Final, classify.MethodNotAllowed},
	{"POST", 413, classify.Final, classify.Unlisted},
	{"POST", 415, classify.Final, classify.Unlisted},
	{"DELETE", 404, classify.Final, classify.NotFound},
	{"", 406, classify.Final, classify.UnacceptableResponseType},
	{"", 304, classify.Final, classify.Unlisted},
	{"", 412, classify.Final, classify.Unlisted},
	{"", 429, classify.Throttled, classify.TooManyRequests}, // 80: empty
	{"", 504, classify.Transient, classify.ExecutionTimeout},
	{"", 500, classify.Transient, classify.Internal}, // a bare JSON string
	{"", 200, classify.Final, classify.Unlisted},
	{"HEAD", 200, classify.Final, classify.Unlisted},
	{"POST", 200, classify.Final, classify.Unlisted},
	{"POST", 200, classify.Final, classify.Unlisted},
}

func TestRecordedResponses(t *testing.T) {
	f, err := os.Open("testdata/socrata_responses.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		if n >= len(recorded) {
			t.Fatalf("line %d has no expectation", n)
		}
		var r struct {
			Status  int
			Headers map[string]string
			Body    string
			Source  string
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		want := recorded[n]
		req, _ := http.NewRequest(want.method, "https://data.example.gov/resource/abcd-1234.json", nil)
		resp := &http.Response{StatusCode: r.Status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(r.Body)), Request: req}
		for k, v := range r.Headers {
			resp.Header.Set(k, v)
		}
		resp.Header.Del("Content-Encoding") // the recordings hold the decoded bodies
		got := classify.Of(req, resp, nil)
		if got.Class != want.class || got.Kind != want.kind || got.Status != want.status {
			t.Errorf("line %d, %s: got %v %v %d, want %v %v %d", n, r.Source, got.Class, got.Kind, got.Status, want.class, want.kind, want.status)
		}
		err := classify.Check(resp)
		if failed := r.Status >= 400 || want.class == classify.Pending; failed != (err != nil) || failed && !errors.Is(err, want.kind) {
			t.Errorf("line %d, %s: Check says %v", n, r.Source, err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != r.Body || err != nil {
			t.Errorf("line %d, %s: the body did not survive: %d of %d bytes, %v", n, r.Source, len(b), len(r.Body), err)
		}
	}
	if n != len(recorded) {
		t.Errorf("read %d lines, have %d expectations (%v)", n, len(recorded), lines.Err())
	}
}
