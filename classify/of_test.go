package classify_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
)

const dataset = "https://data.example.gov/resource/abcd-1234.json"

var methods = []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}

// bodies are what servers say, with and without sense.
var bodies = []string{
	"", "{}", "null", `"Internal server error"`, "<html>Bad Gateway</html>", `{"code":"internal"}`, `{"errorCode":"internal-error"}`,
	`{"code":"row_cache_timeout"}`, `{"code":"row-id-cache"}`, `{"code":"unchecked_client_http"}`, `{"code":"accepted"}`,
	`{"ticket":"7cf317cb"}`, `{"errorCode":"schema-out-of-sync"}`, `{"errorCode":"soda.dataset.cannot-acquire-write-lock"}`,
	`{"code":"too_many_requests"}`, `{"message":"Row data was saved."}`, `{"errorCode":"update.read-only-mode"}`,
}

func TestSettledAgreesWithOf(t *testing.T) {
	for status := 100; status < 600; status++ {
		unsettled := false
		for _, method := range methods {
			for _, body := range bodies {
				req := newRequest(method, dataset)
				got := classify.Of(req, respond(req, status, body), nil)
				if got.Class != classify.Final {
					unsettled = true
				}
				if classify.Settled(status) && got.Class != classify.Final {
					t.Errorf("%s %d %s is %v, but the status is settled", method, status, body, got.Class)
				}
				if got.Status != status {
					t.Errorf("%s %d has status %d", method, status, got.Status)
				}
			}
		}
		if !classify.Settled(status) && !unsettled {
			t.Errorf("%d is not settled, but nothing makes it other than Final", status)
		}
	}
}

func TestOfByStatus(t *testing.T) {
	final := map[int]classify.Kind{
		200: 0, 201: 0, 204: 0, 301: 0, 302: 0, 303: 0, 304: 0, 307: 0, 308: 0, 402: 0, 410: 0, 412: 0, 413: 0, 415: 0, 418: 0, 422: 0, 425: 0, 451: 0, 501: 0, 505: 0, 507: 0, 511: 0,
		400: classify.InvalidRequest, 401: classify.AuthenticationRequired, 403: classify.PermissionDenied, 404: classify.NotFound,
		405: classify.MethodNotAllowed, 406: classify.UnacceptableResponseType, 409: 0,
	}
	for status, kind := range final {
		check(t, "GET", status, "", classify.Outcome{Kind: kind, Acted: actedBy(status)})
	}
	for _, method := range methods {
		check(t, method, 408, "", classify.Outcome{Kind: classify.ExecutionTimeout, Class: classify.Transient})
		check(t, method, 429, "", classify.Outcome{Kind: classify.TooManyRequests, Class: classify.Throttled, Acted: classify.ActedNo})
		check(t, method, 500, "", classify.Outcome{Kind: classify.Internal, Class: classify.Transient})
		check(t, method, 502, "", classify.Outcome{Class: classify.Transient})
		check(t, method, 503, "", classify.Outcome{Class: classify.Throttled})
		check(t, method, 504, "", classify.Outcome{Kind: classify.ExecutionTimeout, Class: classify.Transient})
	}
}

func actedBy(status int) classify.Acted {
	if status/100 == 2 {
		return classify.ActedYes
	}
	return classify.ActedUnknown
}

func check(t *testing.T, method string, status int, code string, want classify.Outcome) {
	t.Helper()
	want.Status = status
	req := newRequest(method, dataset)
	body := ""
	if code != "" {
		body, want.Code = `{"errorCode":"`+code+`"}`, code
	}
	if got := classify.Of(req, respond(req, status, body), nil); got != want {
		t.Errorf("%s %d %s:\n got %+v\nwant %+v", method, status, code, got, want)
	}
	if code == "" {
		return
	}
	resp := respond(req, status, "{}", "X-Error-Code", code)
	if got := classify.Of(req, resp, nil); got != want {
		t.Errorf("%s %d X-Error-Code: %s:\n got %+v\nwant %+v", method, status, code, got, want)
	}
}

func TestOfByCode(t *testing.T) {
	const (
		fin, tra, thr = classify.Final, classify.Transient, classify.Throttled
		unk, no       = classify.ActedUnknown, classify.ActedNo
	)
	for _, c := range []struct {
		status int
		codes  string // separated by spaces
		kind   classify.Kind
		class  classify.Class
		acted  classify.Acted
	}{
		{400, "invalid-request invalid_request", classify.InvalidRequest, fin, unk},
		{400, "req.content-type.missing req.content-type.unparsable req.bad-parameter", classify.InvalidRequest, fin, unk},
		{400, "req.body.malformed-json deserialization", classify.Deserialization, fin, unk},
		{400, "req.content.json.not-object req.content.json.invalid", classify.InvalidRequest, fin, unk},
		{400, "soda.dataset.maltyped soda.column.maltyped soda.column.not-unique soda.column.unknown-type", classify.InvalidRequest, fin, unk},
		{400, "soda.dataset.already-exists soda.row.column-not-found soda.row.upsert-row-not-an-object", classify.InvalidRequest, fin, unk},
		{400, "soda.row.primary-key-nonexistent-or-null soda.collocate-error soda.invalid-row-identifier", classify.InvalidRequest, fin, unk},
		{400, "query.soql.type-mismatch soql.analyzer.typechecker.type-mismatch type_mismatch", classify.TypeMismatch, fin, unk},
		{400, "query.soql.no-such-column query.soql.no-such-function query.soql.bad-parse soql.parser.unexpected-end", classify.InvalidRequest, fin, unk},
		{400, "query.compiler.malformed query.execution.queryTooComplex soql.pg.query-error", classify.InvalidRequest, fin, unk},
		{400, "soda.dataset.not-found dataset.missing", classify.NotFound, fin, unk},
		{400, "row_cache_timeout", classify.RowCacheTimeout, fin, unk}, // the status decides first
		{400, "too-many-requests", classify.TooManyRequests, fin, unk},
		{400, "soda.dataset.feedback-in-progress", classify.InvalidRequest, fin, unk},
		{403, "permission_denied soql.tablefinder.permission-denied", classify.PermissionDenied, fin, unk},
		{403, "authentication_required", classify.AuthenticationRequired, fin, unk},
		{403, "query.execution.queryTooComplex", classify.PermissionDenied, fin, unk},
		{409, "soda.dataset.cannot-acquire-write-lock soda.dataset.feedback-in-progress soda.collocate-lock-timeout", classify.Unlisted, tra, no},
		{409, "update.dataset.temporarily-not-writable update.dataset.feedback-in-progress", classify.Unlisted, tra, no},
		{409, "soda.dataset.cannot_acquire_write_lock SODA.DATASET.FEEDBACK-IN-PROGRESS", classify.Unlisted, tra, no},
		{409, "soda.row.dataset-version-mismatch soda.dataset.incorrect-lifecycle-stage soda.dataset.locale-changed", classify.Unlisted, fin, unk},
		{500, "internal", classify.Internal, fin, unk},
		{500, "internal-error internal_error INTERNAL core.internal", classify.Internal, tra, unk}, // exactly "internal" only
		{500, "schema-out-of-sync", classify.Internal, tra, no},
		{500, "row_cache_timeout Row-Cache-Timeout", classify.RowCacheTimeout, tra, unk},
		{500, "row_id_cache core.row-id-cache", classify.RowIDCache, tra, unk},
		{500, "unchecked_client_http", classify.UncheckedClientHTTP, tra, unk},
		{500, "request-timeout", classify.ExecutionTimeout, tra, unk},
		{503, "service-unavailable query.datasource.unavailable", classify.Unlisted, thr, unk},
		{503, "update.read-only-mode", classify.Unlisted, thr, no},
		{503, "too-many-requests", classify.TooManyRequests, thr, unk},
		{503, "internal internal-error", classify.Internal, thr, unk},
		{503, "row_cache_timeout", classify.RowCacheTimeout, tra, unk},
	} {
		for code := range strings.FieldsSeq(c.codes) {
			for _, method := range []string{"GET", "POST"} {
				check(t, method, c.status, code, classify.Outcome{Kind: c.kind, Class: c.class, Acted: c.acted})
			}
		}
	}
}

// Where the status alone gives the verdict, the code is not looked for: the
// body stays as it came.
func TestOfLeavesTheBodyAloneWhereTheStatusDecides(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
	}{
		{200, ""}, {201, ""}, {204, ""}, {304, "not-modified"}, {401, "authentication_required"}, {404, "dataset.missing"}, {404, "not_found"},
		{404, "soda.row.not-found"}, {404, "query.dataset.does-not-exist"}, {404, "query.dataset.is-not-collocated"}, {404, "req.secondary"},
		{405, "method-not-allowed"}, {406, "schema-invalid-for-mime-type"}, {408, "request-timeout"}, {408, "soql.pg.timeout"},
		{412, "precondition-failed"}, {413, "req.body.too-large"}, {415, "req.content-type.not-json"}, {415, "req.content-type.unknown-charset"},
		{429, "too-many-requests"}, {502, ""}, {504, "execution_timeout"},
	} {
		req := newRequest("GET", dataset)
		resp := respond(req, c.status, `{"errorCode":"`+c.code+`"}`)
		before := resp.Body
		got := classify.Of(req, resp, nil)
		if resp.Body != before {
			t.Errorf("%d %s: the body was wrapped", c.status, c.code)
		}
		if want := classify.Of(req, respond(req, c.status, ""), nil); got != want {
			t.Errorf("%d %s: got %+v, without a body %+v", c.status, c.code, got, want)
		}
	}
	resp := respond(nil, 500, `{"code":"internal"}`, "X-Error-Code", "internal-error")
	before := resp.Body
	if o := classify.Of(nil, resp, nil); o.Class != classify.Transient || resp.Body != before {
		t.Errorf("with X-Error-Code: got %+v, body wrapped %v", o, resp.Body != before)
	}
	req := newRequest("GET", dataset)
	ok := respond(req, 200, "")
	if n := testing.AllocsPerRun(100, func() { classify.Of(req, ok, nil) }); n != 0 {
		t.Errorf("a 200 allocates %v times", n)
	}
}

func TestRowDataWasSaved(t *testing.T) {
	const saved = `{"code":"invalid_request","error":true,"message":"Row data was saved. Metadata was not."}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		header []string
		want   classify.Acted
	}{
		{"the body says so", 400, saved, nil, classify.ActedYes},
		{"the header says so", 400, "", []string{"X-Error-Code", "invalid_request", "X-Error-Message", "Row data was saved."}, classify.ActedYes},
		{"the header has the code, the body the message", 400, saved, []string{"X-Error-Code", "invalid_request"}, classify.ActedYes},
		{"the message only speaks of it", 400, `{"message":"No Row data was saved."}`, nil, classify.ActedUnknown},
		{"another status", 403, saved, nil, classify.ActedUnknown},
	} {
		req := newRequest("POST", "https://data.example.gov/api/imports2.json")
		got := classify.Of(req, respond(req, c.status, c.body, c.header...), nil)
		if got.Acted != c.want || got.Class != classify.Final {
			t.Errorf("%s: got %v %v, want final %v", c.name, got.Class, got.Acted, c.want)
		}
	}
}

func TestOfWithLittleToGoBy(t *testing.T) {
	if got := classify.Of(nil, nil, nil); got != (classify.Outcome{}) {
		t.Errorf("nothing at all: got %+v", got)
	}
	if got := classify.Of(nil, &http.Response{StatusCode: 500}, nil); got.Class != classify.Transient {
		t.Errorf("neither request, header nor body: got %+v", got)
	}
	if got := classify.Of(nil, respond(nil, 200, ""), io.EOF); got.Class != classify.Transient || got.Status != 0 {
		t.Errorf("an error goes before a response: got %+v", got)
	}
}

func TestAccepted(t *testing.T) {
	const (
		imports = "https://data.example.gov/api/imports2.json?method=append&viewUid=abcd-1234"
		soda3   = "https://data.example.gov/api/v3/views/abcd-1234/query.json"
		ticket  = `{"code":"accepted","error":false,"ticket":"7cf317cb-d0a7"}`
	)
	for _, c := range []struct {
		name   string
		method string
		url    string
		body   string
		header []string
		want   classify.Class
		at     string // of the result; empty if there is no place
	}{
		{"publishing is done", "PATCH", "https://data.example.gov/api/publishing/v1/source/1", ticket, nil, classify.Final, ""},
		{"publishing is done for a GET", "GET", "https://data.example.gov/api/publishing/v1/revision/abcd-1234/0/apply/9", "", []string{"Location", "/x"}, classify.Final, ""},
		{"a place like publishing is not", "GET", "https://data.example.gov/api/publishing2", "", nil, classify.Pending, ""},

		{"Location with a path", "POST", imports, "", []string{"Location", "/jobs/7?a=b"}, classify.Pending, "https://data.example.gov/jobs/7?a=b"},
		{"Location relative to the request", "POST", imports, "", []string{"Location", "jobs/7"}, classify.Pending, "https://data.example.gov/api/jobs/7"},
		{"Location of a query only", "POST", imports, "", []string{"Location", "?ticket=7"}, classify.Pending, "https://data.example.gov/api/imports2.json?ticket=7"},
		{"Location in full", "POST", imports, "", []string{"Location", "https://data.example.gov/jobs/7"}, classify.Pending, "https://data.example.gov/jobs/7"},
		{"Location with the default port", "POST", imports, "", []string{"Location", "https://data.example.gov:443/jobs/7"}, classify.Pending, "https://data.example.gov:443/jobs/7"},
		{"Location in capitals", "POST", imports, "", []string{"Location", "HTTPS://DATA.example.GOV/jobs/7"}, classify.Pending, "https://DATA.example.GOV/jobs/7"},
		{"Location with an empty port", "POST", imports, "", []string{"Location", "https://data.example.gov:/jobs/7"}, classify.Pending, "https://data.example.gov:/jobs/7"},
		{"Location goes before the ticket", "POST", imports, ticket, []string{"Location", "/jobs/7"}, classify.Pending, "https://data.example.gov/jobs/7"},
		{"X-SODA2-Location", "GET", dataset, "", []string{"X-SODA2-Location", "/jobs/7"}, classify.Pending, "https://data.example.gov/jobs/7"},
		{"both: Location", "GET", dataset, "", []string{"X-SODA2-Location", "/jobs/8", "Location", "/jobs/7"}, classify.Pending, "https://data.example.gov/jobs/7"},
		{"the userinfo of Location is not taken", "POST", imports, "", []string{"Location", "https://u:p@data.example.gov/jobs/7"}, classify.Pending, "https://data.example.gov/jobs/7"},
		{"the request's own userinfo is", "POST", "https://me:pw@data.example.gov/api/x", "", []string{"Location", "https://data.example.gov/jobs/7"}, classify.Pending, "https://me:pw@data.example.gov/jobs/7"},
		{"a fragment is dropped", "POST", imports, "", []string{"Location", "/jobs/7#top%2f"}, classify.Pending, "https://data.example.gov/jobs/7"},

		{"Location on another host", "POST", imports, ticket, []string{"Location", "https://evil.example/jobs/7"}, classify.Final, ""},
		{"Location on another host, to a GET", "GET", dataset, "", []string{"Location", "https://evil.example/jobs/7"}, classify.Final, ""},
		{"Location on another host without a scheme", "POST", imports, "", []string{"Location", "//evil.example/jobs/7"}, classify.Final, ""},
		{"Location on a subdomain", "POST", imports, "", []string{"Location", "https://a.data.example.gov/jobs/7"}, classify.Final, ""},
		{"Location on the parent domain", "POST", imports, "", []string{"Location", "https://example.gov/jobs/7"}, classify.Final, ""},
		{"Location that begins like the host", "POST", imports, "", []string{"Location", "https://data.example.gov.evil.example/"}, classify.Final, ""},
		{"Location with the host as userinfo", "POST", imports, "", []string{"Location", "https://data.example.gov@evil.example/"}, classify.Final, ""},
		{"Location on another port", "POST", imports, "", []string{"Location", "https://data.example.gov:8443/jobs/7"}, classify.Final, ""},
		{"Location down to http", "POST", imports, "", []string{"Location", "http://data.example.gov/jobs/7"}, classify.Final, ""},
		{"Location down to http on the port of https", "POST", imports, "", []string{"Location", "http://data.example.gov:443/jobs/7"}, classify.Final, ""},
		{"Location up to https", "POST", "http://data.example.gov/api/x", "", []string{"Location", "https://data.example.gov/jobs/7"}, classify.Final, ""},
		{"Location of another scheme", "GET", dataset, "", []string{"Location", "ftp://data.example.gov/jobs/7"}, classify.Final, ""},
		{"Location without a host", "GET", dataset, "", []string{"Location", "https:jobs"}, classify.Final, ""},
		{"Location is garbage", "GET", dataset, "", []string{"Location", "https://data.example.gov/%zz"}, classify.Final, ""},
		{"Location is no address", "GET", dataset, "", []string{"Location", "://"}, classify.Final, ""},
		{"X-SODA2-Location on another host", "GET", dataset, "", []string{"X-SODA2-Location", "https://evil.example/"}, classify.Final, ""},

		{"a ticket after a POST keeps the query", "POST", imports, ticket, nil, classify.Pending, imports + "&ticket=7cf317cb-d0a7"},
		{"a ticket replaces an old one", "POST", "https://data.example.gov/api/imports2?ticket=old&a=b%20c&ticket=older", ticket, nil, classify.Pending, "https://data.example.gov/api/imports2?a=b%20c&ticket=7cf317cb-d0a7"},
		{"a ticket where there was no query", "PUT", "https://data.example.gov/api/x#top", `{"ticket":"a b&c"}`, nil, classify.Pending, "https://data.example.gov/api/x?ticket=a+b%26c"},
		{"a ticket to a GET", "GET", dataset, ticket, nil, classify.Pending, dataset + "?ticket=7cf317cb-d0a7"},
		{"a ticket too long to be one", "POST", imports, `{"ticket":"` + strings.Repeat("x", 513) + `"}`, nil, classify.Pending, ""},
		{"a ticket that is no string", "POST", imports, `{"ticket":7}`, nil, classify.Final, ""},
		{"an empty ticket", "POST", imports, `{"ticket":""}`, nil, classify.Final, ""},
		{"code accepted", "POST", imports, `{"code":"accepted","error":false}`, nil, classify.Pending, ""},
		{"code done", "POST", imports, `{"code":"done"}`, nil, classify.Final, ""},

		{"a failed job", "POST", imports, `{"code":"accepted","error":true,"ticket":"7"}`, nil, classify.Final, "https://data.example.gov/api/imports2.json?method=append&viewUid=abcd-1234&ticket=7"},
		{"a failed job with a Location", "POST", imports, `{"error":true}`, []string{"Location", "/jobs/7"}, classify.Final, "https://data.example.gov/jobs/7"},
		{"a failed job to a GET", "GET", dataset, `{"error":true,"message":"no"}`, nil, classify.Final, ""},
		{"a failed job that says how", "GET", dataset, `{"error":"Domain not found"}`, nil, classify.Final, ""},
		{"a failed job that says how after a message", "GET", dataset, `{"message":"no","error":"Domain not found"}`, nil, classify.Final, ""},

		{"bare to a GET", "GET", dataset, "", nil, classify.Pending, ""},
		{"bare to a GET, in HTML", "GET", dataset, "<html>", nil, classify.Pending, ""},
		{"bare to a HEAD", "HEAD", dataset, "", nil, classify.Pending, ""},
		{"bare to a SODA3 query", "POST", soda3, "", nil, classify.Pending, ""},
		{"bare to a POST", "POST", imports, "", nil, classify.Final, ""},
		{"bare to a PUT", "PUT", imports, "{}", nil, classify.Final, ""},
		{"bare to a DELETE", "DELETE", imports, "", nil, classify.Final, ""},
	} {
		req := newRequest(c.method, c.url)
		resp := respond(req, 202, c.body, c.header...)
		got := classify.Of(req, resp, nil)
		var said struct{ Code string }
		if !strings.HasPrefix(c.name, "publishing") { // whose body is left alone
			json.Unmarshal([]byte(c.body), &said)
		}
		acted, failed := classify.ActedYes, strings.HasPrefix(c.name, "a failed job")
		if failed {
			acted = classify.ActedUnknown
		}
		if want := (classify.Outcome{Kind: classify.Accepted, Class: c.want, Acted: acted, Status: 202, Code: said.Code}); got != want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, want)
		}
		for _, r := range []*http.Request{req, nil} { // nil means resp.Request
			at := ""
			if u := classify.ResultURL(r, resp); u != nil {
				at = u.String()
			}
			if at != c.at && !strings.HasPrefix(c.name, "publishing") {
				t.Errorf("%s: the result is at %q, want %q", c.name, at, c.at)
			}
		}
		if req.URL.String() != newRequest(c.method, c.url).URL.String() {
			t.Errorf("%s: the request's URL was written on: %s", c.name, req.URL)
		}
		if err := classify.Check(resp); (err != nil) != (failed || c.want == classify.Pending) {
			t.Errorf("%s: Check says %v", c.name, err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != c.body || err != nil {
			t.Errorf("%s: body %q, %v", c.name, b, err)
		}
	}
	if u := classify.ResultURL(nil, respond(nil, 202, ticket)); u != nil {
		t.Errorf("without a request the result is at %v", u)
	}
	if got := classify.Of(nil, respond(nil, 202, ""), nil); got.Class != classify.Pending {
		t.Errorf("without a request, as a GET: got %v", got.Class)
	}
}

func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"https://a.example/x", "https://a.example/y?z", true},
		{"https://a.example", "https://A.EXAMPLE:443/", true},
		{"http://a.example:80", "HTTP://a.example", true},
		{"http://[::1]:8080/", "http://[::1]:8080/x", true},
		{"ftp://a.example", "ftp://a.example/x", true},
		{"http://a.example", "https://a.example", false},
		{"http://a.example:443", "https://a.example", false},
		{"https://a.example:80", "https://a.example", false},
		{"https://a.example", "https://b.a.example", false},
		{"https://a.example", "https://a.example.", false},
		{"http://[::1]:8080/", "http://[::1]:8081/", false},
	} {
		a, b := newRequest("GET", c.a).URL, newRequest("GET", c.b).URL
		if classify.SameOrigin(a, b) != c.want || classify.SameOrigin(b, a) != c.want {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.want)
		}
		if classify.SameOrigin(a, nil) || classify.SameOrigin(nil, b) || classify.SameOrigin(nil, nil) {
			t.Error("nothing has an origin")
		}
	}
}

func TestIdempotent(t *testing.T) {
	for _, c := range []struct {
		name, method, url, header string
		want                      bool
	}{
		{"GET", "GET", dataset, "", true},
		{"no method is GET", "", dataset, "", true},
		{"HEAD", "HEAD", dataset, "", true},
		{"OPTIONS", "OPTIONS", dataset, "", true},
		{"TRACE", "TRACE", dataset, "", true},
		{"PUT", "PUT", dataset, "", true},
		{"DELETE", "DELETE", dataset, "", true},
		{"POST", "POST", dataset, "", false},
		{"PATCH", "PATCH", dataset, "", false},
		{"CONNECT", "CONNECT", dataset, "", false},
		{"a method is spelled in capitals", "get", dataset, "", false},
		{"POST with an Idempotency-Key", "POST", dataset, "Idempotency-Key", true},
		{"PATCH with an X-Idempotency-Key", "PATCH", dataset, "X-Idempotency-Key", true},
		{"POST with another key", "POST", dataset, "X-Key", false},
		{"a SODA3 query", "POST", "https://x/api/v3/views/abcd-1234/query.json", "", true},
		{"a SODA3 query without a format", "POST", "https://x/api/v3/views/abcd-1234/query", "", true},
		{"a SODA3 query in GeoJSON", "POST", "https://x/api/v3/views/abcd-1234/query.geojson?a=b", "", true},
		{"a SODA3 export", "POST", "https://x/api/v3/views/abcd-1234/export.csv", "", true},
		{"a PATCH of a SODA3 query", "PATCH", "https://x/api/v3/views/abcd-1234/query.json", "", false},
		{"a POST of something else", "POST", "https://x/api/v3/views/abcd-1234/queries.json", "", false},
		{"a POST below a query", "POST", "https://x/api/v3/views/abcd-1234/query.json/rows", "", false},
		{"a POST beside it", "POST", "https://x/api/v3/views/query.json", "", false},
		{"a query of nothing", "POST", "https://x/api/v3/views//query.json", "", false},
		{"a query of another version", "POST", "https://x/api/v2/views/abcd-1234/query.json", "", false},
		{"a query not at the root", "POST", "https://x/y/api/v3/views/abcd-1234/query.json", "", false},
		{"a chunk", "POST", "https://x/api/publishing/v1/source/12/chunk/3/4096", "", true},
		{"a PATCH of a chunk", "PATCH", "https://x/api/publishing/v1/source/12/chunk/3/4096", "", false},
		{"a chunk without its place", "POST", "https://x/api/publishing/v1/source/12/chunk/3", "", false},
		{"a chunk of something else", "POST", "https://x/api/publishing/v1/revision/12/chunk/3/4096", "", false},
		{"a source", "POST", "https://x/api/publishing/v1/source", "", false},
		{"an import", "POST", "https://x/api/imports2.json", "", false},
		{"a publication", "POST", "https://x/api/views/abcd-1234/publication.json", "", false},
	} {
		req := newRequest(c.method, c.url)
		req.Method = c.method
		if c.header != "" {
			req.Header[c.header] = nil // presence counts
		}
		if got := classify.Idempotent(req); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if !classify.Idempotent(nil) {
		t.Error("no request: not as a GET")
	}
	if classify.Idempotent(&http.Request{Method: "POST"}) {
		t.Error("a POST without a URL is idempotent")
	}
}
