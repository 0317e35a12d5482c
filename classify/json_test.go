package classify_test

import (
	"encoding/json"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
)

// TestInJSON holds the names. They do not change.
func TestInJSON(t *testing.T) {
	for _, row := range []struct {
		name string
		v    any
		want string
	}{
		{"an Error", &classify.Error{
			Kind: classify.TypeMismatch, Status: 400, Code: "query.soql.type-mismatch", Message: "no <such> type",
			Data: json.RawMessage(`{}`), RequestID: "96914e02", Method: "GET", URL: "https://data.test/a?$limit=5",
		}, `{"kind":"type_mismatch","code":"query.soql.type-mismatch","status":400,"message":"no \u003csuch\u003e type",` +
			`"request_id":"96914e02","method":"GET","url":"https://data.test/a?$limit=5"}`},
		{"an Error that knows little", &classify.Error{Status: 502}, `{"status":502}`},
		{"an Outcome", classify.Outcome{Kind: classify.RowIDCache, Class: classify.Transient, Acted: classify.ActedNo},
			`{"Kind":"row_id_cache","Class":"transient","Acted":"no","Status":0,"Code":""}`},
		{"nothing", classify.Outcome{}, `{"Kind":"unlisted","Class":"final","Acted":"unknown","Status":0,"Code":""}`},
		{"a count by Kind", map[classify.Kind]int{classify.TooManyRequests: 3}, `{"too_many_requests":3}`},
	} {
		if b, err := json.Marshal(row.v); err != nil || string(b) != row.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", row.name, b, err, row.want)
		}
	}
	for _, row := range classify.Catalogue() {
		if b, err := row.Kind.MarshalText(); err != nil || row.Code != "null" && string(b) != row.Code {
			t.Errorf("%v gives %q, %v, want %q", row.Kind, b, err, row.Code)
		}
	}
}
