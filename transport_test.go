package sodahttp_test

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// The words of the table below.

type call struct {
	method, path, body string
	header             map[string]string
	noGetBody          bool
	policy             *policy.Policy
	timeout            time.Duration // of the context
}

var (
	get    = call{}
	head   = call{method: "HEAD"}
	post   = call{method: "POST", body: `[{"id":"1"}]`}
	put    = call{method: "PUT", body: `[{"id":"1"}]`}
	patch  = call{method: "PATCH", body: `[{"id":"1"}]`}
	del    = call{method: "DELETE", path: "/resource/abcd-1234/1.json"}
	query  = call{method: "POST", path: "/api/v3/views/abcd-1234/query.json", body: `{"query":"SELECT *"}`}
	export = call{method: "POST", path: "/api/v3/views/abcd-1234/export.csv", body: `{"query":"SELECT *"}`}
	imp    = call{method: "POST", path: "/api/imports2.json?method=append", body: "a,b"}
	dsmapi = call{method: "PATCH", path: "/api/publishing/v1/revision/abcd-1234/1", body: `{}`}
)

func (c call) with(name, value string) call       { c.header = map[string]string{name: value}; return c }
func (c call) streamed(body string) call          { c.noGetBody, c.body = true, body; return c }
func (c call) under(p policy.Policy) call         { c.policy = &p; return c }
func (c call) within(d time.Duration) call        { c.timeout = d; return c }
func script(r ...sodatest.Reply) []sodatest.Reply { return r }

func status(code int) sodatest.Reply   { return sodatest.Reply{Status: code} }
func fault(code string) sodatest.Reply { return sodatest.Fault(code) }
func busy(retryAfter string) sodatest.Reply {
	return sodatest.Reply{Status: 429, RetryAfter: retryAfter}
}
func pending(location string) sodatest.Reply {
	return sodatest.Reply{Status: 202, Location: location, Body: " "}
}
func ticket(t string) sodatest.Reply  { return sodatest.Reply{Status: 202, Ticket: t} }
func bare(body string) sodatest.Reply { return sodatest.Reply{Status: 202, Body: cmp.Or(body, " ")} }
func header(r sodatest.Reply, name, value string) sodatest.Reply {
	r.Header = map[string]string{name: value}
	return r
}
func times(n int, r sodatest.Reply) (all []sodatest.Reply) {
	for range n {
		all = append(all, r)
	}
	return all
}

var (
	ok   = sodatest.Reply{Status: 200, Body: "done"}
	drop = sodatest.Reply{Drop: true, Status: 200}
)

// span is how long a call may take, in the bubble's time.
type span struct{ least, most time.Duration }

func between(least, most float64) span {
	return span{time.Duration(least * float64(time.Second)), time.Duration(most * float64(time.Second))}
}

var atOnce = between(0, 0.001)

// gets is what comes of a call: the status that the caller sees, 0 for an
// error, the number of requests that the server saw, and the time it took.
type gets struct {
	status, sent int
	took         span
}

var table = []struct {
	name   string
	call   call
	script []sodatest.Reply
	gets   gets
}{
	// Handed back at once.
	{"a success is handed back", get, script(ok), gets{200, 1, atOnce}},
	{"a 401 authentication_required is handed back", get, script(fault("authentication_required")), gets{401, 1, atOnce}},
	{"a 403 permission_denied is handed back", get, script(fault("permission_denied")), gets{403, 1, atOnce}},
	{"a 400 deserialization is handed back", get, script(fault("deserialization")), gets{400, 1, atOnce}},
	{"a 400 invalid_request is handed back", get, script(fault("invalid_request")), gets{400, 1, atOnce}},
	{"a 400 type_mismatch is handed back", get, script(fault("type_mismatch")), gets{400, 1, atOnce}},
	{"a 400 query.soql.no-such-column is handed back", get, script(fault("query.soql.no-such-column")), gets{400, 1, atOnce}},
	{"a 404 not_found is handed back", get, script(fault("not_found")), gets{404, 1, atOnce}},
	{"a 405 method_not_allowed is handed back", get, script(fault("method_not_allowed")), gets{405, 1, atOnce}},
	{"a 406 unacceptable_response_type is handed back", get, script(fault("unacceptable_response_type")), gets{406, 1, atOnce}},
	{"a 410 is handed back", get, script(status(410)), gets{410, 1, atOnce}},
	{"a 412 is handed back", get, script(fault("precondition-failed")), gets{412, 1, atOnce}},
	{"a 413 is handed back, Retry-After or not", post, script(sodatest.Reply{Status: 413, RetryAfter: "1"}), gets{413, 1, atOnce}},
	{"a 415 is handed back", post, script(fault("req.content-type.not-json")), gets{415, 1, atOnce}},
	{"a 422 is handed back", post, script(status(422)), gets{422, 1, atOnce}},
	{"a 501 is handed back", get, script(status(501)), gets{501, 1, atOnce}},
	{"a 505 is handed back", get, script(status(505)), gets{505, 1, atOnce}},
	{"a 304 is handed back", get, script(status(304)), gets{304, 1, atOnce}},
	{"a 500 internal, which the catalogue calls unrecoverable, is handed back", get, script(fault("internal")), gets{500, 1, atOnce}},
	{"a 500 whose X-Error-Code is internal is handed back", get, script(header(status(500), "X-Error-Code", "internal")), gets{500, 1, atOnce}},
	{"a 409 version mismatch is handed back", put, script(fault("soda.row.dataset-version-mismatch")), gets{409, 1, atOnce}},

	// Sent again.
	{"a 429 too_many_requests is sent again after a back-off", get, script(fault("too_many_requests"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a 429 too-many-requests is sent again too", get, script(fault("too-many-requests"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a 504 execution_timeout is sent again", get, script(fault("execution_timeout"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a 502 page of HTML is sent again", get, script(sodatest.HTML(502), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a 503 service-unavailable is sent again", get, script(fault("service-unavailable"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a 500 internal-error is sent again, being a timeout in disguise", get, script(fault("internal-error"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a 500 without a code is sent again", get, script(status(500), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a row cache timeout is known by its code", get, script(fault("row_cache_timeout"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a row id cache error is known by its code", get, script(fault("row_id_cache"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"an unchecked client error is known by its code", get, script(fault("unchecked_client_http"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a 408 is sent again once", get, script(fault("request-timeout"), fault("request-timeout"), ok), gets{408, 2, between(0.25, 0.75)}},
	{"a 500 is handed back the third time", get, script(times(3, fault("internal-error"))...), gets{500, 3, between(0.75, 2.25)}},
	{"a 504 is handed back the fifth time", get, script(times(5, fault("execution_timeout"))...), gets{504, 5, between(3.75, 11.25)}},
	{"429, 504, 503 and 500 in a row end well", get, script(fault("too-many-requests"), status(504), status(503), status(500), ok), gets{200, 5, between(3.75, 11.25)}},
	{"a HEAD is sent again", head, script(status(504), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a connection that drops is tried again", get, script(sodatest.Reply{Drop: true, Reset: true, Status: 200}, ok), gets{200, 2, between(0.25, 0.75)}},
	{"an endless error page does not hold up the next attempt", get, script(sodatest.Reply{Status: 504, Endless: true}, ok), gets{200, 2, between(0.25, 1.1)}},
	{"an error page of 10 MiB does not hold up the next attempt", get, script(sodatest.Reply{Status: 503, Bytes: 10 << 20}, ok), gets{200, 2, between(0.25, 0.75)}},
	{"one attempt is made where the policy says one", get.under(policy.Policy{MaxAttempts: 1}), script(status(503)), gets{503, 1, atOnce}},
	{"a batch goes on", get.under(policy.Batch()), script(append(times(30, status(429)), ok)...), gets{200, 31, between(300, 1200)}},
	{"a person waits for three attempts", get.under(policy.Interactive()), script(times(3, status(429))...), gets{429, 3, between(0.75, 2.25)}},

	// Retry-After.
	{"Retry-After: 7 is waited out", get, script(busy("7"), ok), gets{200, 2, between(7, 7.7)}},
	{"Retry-After is waited out on a 503", get, script(sodatest.Reply{Status: 503, RetryAfter: "7"}, ok), gets{200, 2, between(7, 7.7)}},
	{"Retry-After as a date is waited out", get, script(busy("Sat, 01 Jan 2000 00:00:09 GMT"), ok), gets{200, 2, between(9, 9.9)}},
	{"Retry-After as an RFC 850 date is waited out", get, script(busy("Saturday, 01-Jan-00 00:00:09 GMT"), ok), gets{200, 2, between(9, 9.9)}},
	{"Retry-After as an asctime date is waited out", get, script(busy("Sat Jan  1 00:00:09 2000"), ok), gets{200, 2, between(9, 9.9)}},
	{"X-SODA2-Retry-After is waited out", get, script(header(status(429), "X-SODA2-Retry-After", "7"), ok), gets{200, 2, between(7, 7.7)}},
	{"RateLimit is waited out", get, script(header(status(429), "RateLimit", `"default";r=0;t=7`), ok), gets{200, 2, between(7, 7.7)}},
	{"Retry-After: 0 leaves the back-off", get, script(busy("0"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a date that has passed leaves the back-off", get, script(busy("Fri, 31 Dec 1999 23:59:59 GMT"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"Retry-After: -5 counts as absent", get, script(busy("-5"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"Retry-After: soon counts as absent", get, script(busy("soon"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"Retry-After beyond MaxRetryAfter hands the answer back", get, script(busy("301")), gets{429, 1, atOnce}},
	{"Retry-After of three thousand years hands the answer back", get, script(busy("99999999999")), gets{429, 1, atOnce}},
	{"Retry-After that overflows hands the answer back", get, script(busy("9223372036854775807")), gets{429, 1, atOnce}},
	{"Retry-After beyond MaxElapsed hands the answer back", get, script(busy("150")), gets{429, 1, atOnce}},
	{"Retry-After beyond the deadline hands the answer back", get.within(5 * time.Second), script(busy("7")), gets{429, 1, atOnce}},
	{"Retry-After just before the deadline is waited out to the second", get.within(7*time.Second + 100*time.Millisecond), script(busy("7"), ok), gets{200, 2, between(7, 7.1)}},
	{"a back-off beyond the deadline hands the answer back", get.within(100 * time.Millisecond), script(status(504)), gets{504, 1, atOnce}},

	// Writes.
	{"a POST is not sent again after a 503", post, script(status(503)), gets{503, 1, atOnce}},
	{"a POST is not sent again after a 504", post, script(status(504)), gets{504, 1, atOnce}},
	{"a POST is not sent again after a 500", post, script(fault("internal-error")), gets{500, 1, atOnce}},
	{"a POST is not sent again when its connection drops", post, script(drop), gets{0, 1, atOnce}},
	{"a PATCH is not sent again after a 502", patch, script(status(502)), gets{502, 1, atOnce}},
	{"a POST is sent again after a 429, which was not acted on", post, script(status(429), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a POST is sent again after a write lock", post, script(fault("soda.dataset.cannot-acquire-write-lock"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a POST is sent again after schema-out-of-sync", post, script(fault("schema-out-of-sync"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a POST is sent again in read-only mode", post, script(fault("update.read-only-mode"), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a POST with an Idempotency-Key is sent again", post.with("Idempotency-Key", "k"), script(status(503), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a POST that the policy declares safe is sent again", post.under(policy.Policy{Resend: func(*http.Request) bool { return true }}), script(status(503), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a POST of a SODA3 query is a read", query, script(status(504), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a POST of a SODA3 export is a read", export, script(status(504), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a PUT is sent again", put, script(status(503), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a DELETE is sent again", del, script(status(503), ok), gets{200, 2, between(0.25, 0.75)}},
	{"data that was saved is not sent again, whatever the status says", put, script(sodatest.Reply{Status: 400, Body: `{"message":"Row data was saved. But"}`}), gets{400, 1, atOnce}},
	{"a small body without GetBody is kept", put.streamed("small"), script(status(503), ok), gets{200, 2, between(0.25, 0.75)}},
	{"a large body without GetBody is sent once", put.streamed(strings.Repeat("x", 1<<20+1)), script(status(503)), gets{503, 1, atOnce}},

	// Polls.
	{"a 202 with a Location is polled there", post, script(pending("/jobs/1"), pending("/jobs/1"), ok), gets{200, 3, between(2.5, 2.5)}},
	{"a relative Location is polled", post, script(pending("jobs/1"), ok), gets{200, 2, between(1, 1)}},
	{"an X-SODA2-Location is polled", get, script(header(bare(""), "X-SODA2-Location", "/jobs/1"), ok), gets{200, 2, between(1, 1)}},
	{"a ticket is polled after a POST", imp, script(ticket("t-1"), ticket("t-1"), ok), gets{200, 3, between(2.5, 2.5)}},
	{"a bare 202 to a GET repeats the GET", get, script(bare(""), bare(""), bare(""), ok), gets{200, 4, between(4.75, 4.75)}},
	{"a bare 202 to a SODA3 query repeats it", query, script(bare(""), ok), gets{200, 2, between(1, 1)}},
	{"a bare 202 to a POST is handed back untouched", post, script(bare("{}")), gets{202, 1, atOnce}},
	{"a bare 202 to a POST with Retry-After is handed back untouched", post, script(sodatest.Reply{Status: 202, RetryAfter: "1", Body: "{}"}), gets{202, 1, atOnce}},
	{"a 202 accepted without a ticket to a POST is handed back", post, script(bare(`{"code":"accepted"}`)), gets{202, 1, atOnce}},
	{"a bare 202 to a POST is repeated where the policy says so", post.under(policy.Policy{Poll: policy.Polling{Resend: true}}), script(bare(""), ok), gets{200, 2, between(1, 1)}},
	{"a 202 of DSMAPI is its success", dsmapi, script(pending("/jobs/1")), gets{202, 1, atOnce}},
	{"a 202 that says error is handed back", get, script(bare(`{"error":true,"message":"no"}`)), gets{202, 1, atOnce}},
	{"a 202 is handed back where polling is off", get.under(policy.Policy{Poll: policy.Polling{Off: true}}), script(bare("")), gets{202, 1, atOnce}},
	{"a Location on another host is not polled", get, script(pending("http://elsewhere.test/jobs/1")), gets{202, 1, atOnce}},
	{"a Location on another port is not polled", get, script(pending("http://socrata.test:8080/jobs/1")), gets{202, 1, atOnce}},
	{"a Location of another scheme is not polled", get, script(pending("https://socrata.test/jobs/1")), gets{202, 1, atOnce}},
	{"a Location that is garbage is not polled", get, script(pending("http://%zz")), gets{202, 1, atOnce}},
	{"a poll waits for Retry-After", get, script(sodatest.Reply{Status: 202, RetryAfter: "8", Location: "/jobs/1", Body: " "}, ok), gets{200, 2, between(8, 8.8)}},
	{"a 429 within a poll is not the job's failure", post, script(pending("/jobs/1"), busy("3"), ok), gets{200, 3, between(4, 4.3)}},
	{"a 503 within a poll is not the job's failure", imp, script(append(append(script(ticket("t")), times(9, status(503))...), ok)...), gets{200, 11, between(60, 250)}},
	{"a connection that drops within a poll is not the job's failure", post, script(pending("/jobs/1"), drop, ok), gets{200, 3, between(1, 2)}},
	{"a 303 at the end of a poll is handed back", post, script(pending("/jobs/1"), sodatest.Reply{Status: 303}), gets{303, 2, between(1, 1)}},
	{"a 403 at the end of a poll is handed back", post, script(pending("/jobs/1"), status(403)), gets{403, 2, between(1, 1)}},
	{"a 404 at the end of a poll is handed back", post, script(pending("/jobs/1"), status(404)), gets{404, 2, between(1, 1)}},
	{"a 410 at the end of a poll is handed back", post, script(pending("/jobs/1"), status(410)), gets{410, 2, between(1, 1)}},
	{"a 400 at the end of a poll is handed back", imp, script(ticket("t"), fault("invalid_request")), gets{400, 2, between(1, 1)}},
	{"a 307 within a poll of a POST moves the poll", post, script(pending("/jobs/1"), sodatest.Reply{Status: 307, Location: "/jobs/2"}, ok), gets{200, 3, between(2.5, 2.5)}},
	{"a 307 within a poll to another host leaves the 202", post, script(pending("/jobs/1"), sodatest.Reply{Status: 307, Location: "http://elsewhere.test/"}), gets{202, 2, between(1, 1)}},
	{"polling ends with the 202 in time", get.under(policy.Policy{Poll: policy.Polling{MaxElapsed: 5 * time.Second}}), script(times(9, bare(""))...), gets{202, 4, between(4.75, 4.75)}},
	{"polling ends with the 202 though the last poll failed", get.under(policy.Policy{Poll: policy.Polling{MaxElapsed: 2 * time.Second}}), script(bare(""), busy("60")), gets{202, 2, between(1, 1)}},
	{"polling ends before the deadline", get.within(3 * time.Second), script(times(9, bare(""))...), gets{202, 3, between(2.5, 2.5)}},
	{"retries and polls are counted apart", get, script(append(append(times(4, status(504)), times(8, bare(""))...), ok)...), gets{200, 13, between(30, 60)}},
}

func TestTransport(t *testing.T) {
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(row.script...))
				defer srv.Close()
				req := row.call.request(t, srv)
				start := time.Now()
				resp, err := (&http.Client{Transport: &transport.Transport{Base: srv.Transport()}, CheckRedirect: stay}).Do(req)
				took := time.Since(start)
				got := 0
				if err == nil {
					got = resp.StatusCode
					checkBody(t, row.script, resp)
				}
				if got != row.gets.status {
					t.Errorf("got status %d, error %v, want %d", got, err, row.gets.status)
				}
				sent := srv.Requests()
				if len(sent) != row.gets.sent {
					t.Errorf("the server saw %d requests, want %d", len(sent), row.gets.sent)
				}
				if took < row.gets.took.least || took > row.gets.took.most {
					t.Errorf("took %v, want %v to %v", took, row.gets.took.least, row.gets.took.most)
				}
				for _, s := range sent {
					if want := row.call.body; s.Method == req.Method && string(s.Body) != want {
						t.Errorf("the server read %d bytes of a body of %d", len(s.Body), len(want))
					}
				}
			})
		})
	}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (c call) request(t *testing.T, srv *sodatest.Server) *http.Request {
	ctx := t.Context()
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		t.Cleanup(cancel)
	}
	if c.policy != nil {
		ctx = policy.NewContext(ctx, *c.policy)
	}
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	if c.noGetBody {
		body = io.MultiReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, srv.URL+cmp.Or(c.path, "/resource/abcd-1234.json?$limit=2"), body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	return req
}

// checkBody reads the response: the last word of the server has to be whole.
func checkBody(t *testing.T, script []sodatest.Reply, resp *http.Response) {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	for _, r := range script {
		if r.Status == resp.StatusCode && r.Body != "" && string(b) != r.Body && resp.Request.Method != "HEAD" {
			t.Errorf("body %q, want %q", b, r.Body)
		}
	}
}
