package classify_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
)

const (
	details = " The error message contains additional details that you can use to diagnose the problem."
	denied  = "You attempted to access a resource or method for which you are not authorized."
)

// golden is the catalogue as Socrata publishes it.
var golden = []classify.Row{
	{classify.Accepted, "Accepted", 202, "accepted", ""},
	{classify.AuthenticationRequired, "Authentication Required", 401, "authentication_required", "You accessed a resource that requires authentication without a valid session. To access the resource, first authenticate using the Authentication Service."},
	{classify.Deserialization, "Deserialization", 400, "deserialization", "The server could not respond to your request because the server was unable to parse the service input." + details},
	{classify.ExecutionTimeout, "Execution Timeout", 504, "execution_timeout", "The operation did not finish within time allowed."},
	{classify.Internal, "Internal", 500, "internal", "An unrecoverable internal error prevented the server from fulfilling a resource request. If you continually receive this error code please contact Socrata Support."},
	{classify.InvalidRequest, "Invalid Request", 400, "invalid_request", "The server could not respond to your request because the input you provided was not structured correctly." + details},
	{classify.MethodNotAllowed, "Method Not Allowed", 405, "method_not_allowed", "The server could not respond to your request because the HTTP method used is not allowed." + details},
	{classify.NotFound, "Not Found", 404, "not_found", "The resource you attempted to access does not exist or you do not have proper privileges for access."},
	{classify.PermissionDenied, "Permission Denied", 403, "permission_denied", denied},
	{classify.RowCacheTimeout, "Row Cache Timeout", 0, "null", ""},
	{classify.RowIDCache, "Row Id Cache", 0, "null", ""},
	{classify.TooManyRequests, "Too Many Requests", 429, "too_many_requests", denied},
	{classify.TypeMismatch, "Type Mismatch", 400, "type_mismatch", "The server could not respond to your request because the input you provided contained a datatype that was not compatible with the structure expected by the server." + details},
	{classify.UnacceptableResponseType, "Unacceptable Response Type", 406, "unacceptable_response_type", "The server was unable to provide content in the MIME type requested by the user agent. You can control the returned MIME type using the HTTP Accept header or by providing a file extension in the resource URL such as .json or .html."},
	{classify.UncheckedClientHTTP, "Unchecked Client Http", 0, "null", ""},
}

func TestCatalogueIsThePublishedOne(t *testing.T) {
	got := classify.Catalogue()
	if len(got) != len(golden) {
		t.Fatalf("%d rows, want %d", len(got), len(golden))
	}
	for i, want := range golden {
		if got[i] != want {
			t.Errorf("row %d:\n got %+v\nwant %+v", i, got[i], want)
		}
		if int(got[i].Kind) != i+1 {
			t.Errorf("row %d has Kind %d", i, got[i].Kind)
		}
	}
	got[0].Title = "mine"
	if classify.Catalogue()[0].Title != "Accepted" {
		t.Error("the slice is shared with the next caller")
	}
}

func TestEveryRowByItsCodeAndByItsStatus(t *testing.T) {
	for _, row := range golden {
		code, status := row.Code, row.Status
		if status == 0 { // known by its name only
			code, status = strings.ReplaceAll(strings.ToLower(row.Title), " ", "_"), 500
		}
		req := newRequest("GET", "https://data.example.gov/resource/abcd-1234.json")
		for _, c := range []string{code, strings.ToUpper(code), strings.ReplaceAll(code, "_", "-"), "query.soql." + code} {
			err := classify.Check(respond(req, status, `{"code":"`+c+`"}`))
			if !errors.Is(err, row.Kind) {
				t.Errorf("%d %s: Check says %v, want %v", status, c, err, row.Kind)
			}
			for _, other := range golden {
				if other.Kind != row.Kind && errors.Is(err, other.Kind) {
					t.Errorf("%d %s: Check says %v too", status, c, other.Kind)
				}
			}
		}
		if row.Status == 0 || row.Code == "deserialization" || row.Code == "type_mismatch" {
			continue // only a code tells these
		}
		if err := classify.Check(respond(req, status, "")); !errors.Is(err, row.Kind) {
			t.Errorf("%d without a body: Check says %v, want %v", status, err, row.Kind)
		}
	}
}

func TestNames(t *testing.T) {
	for _, row := range golden {
		if got := row.Kind.String(); got != row.Title {
			t.Errorf("String of %d is %q, want %q", row.Kind, got, row.Title)
		}
		if got := row.Kind.Error(); got != "socrata: "+row.Title {
			t.Errorf("Error of %d is %q", row.Kind, got)
		}
	}
	for got, want := range map[string]string{
		classify.Unlisted.String():     "Unlisted",
		classify.Unlisted.Error():      "socrata: Unlisted",
		classify.Kind(16).String():     "Unlisted",
		classify.Kind(255).String():    "Unlisted",
		classify.Final.String():        "final",
		classify.Transient.String():    "transient",
		classify.Throttled.String():    "throttled",
		classify.Pending.String():      "pending",
		classify.Class(9).String():     "unknown",
		classify.ActedUnknown.String(): "unknown",
		classify.ActedNo.String():      "no",
		classify.ActedYes.String():     "yes",
		classify.Acted(200).String():   "yes",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if (classify.Outcome{}).Class != classify.Final {
		t.Error("the zero Class is not Final")
	}
}

func newRequest(method, url string) *http.Request {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		panic(err)
	}
	return req
}

// respond returns a response to req, with headers given as name, value, ...
func respond(req *http.Request, status int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body)), Request: req}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Add(header[i], header[i+1])
	}
	return resp
}
