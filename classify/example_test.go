package classify_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

// serverSaying returns a server that has one answer to everything.
func serverSaying(status int, body string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Socrata-RequestId", "9f2b7c")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
}

// A 429 is never acted on: even a POST may be sent again, later.
func ExampleOf() {
	srv := serverSaying(429, `{"message":"Too many requests","errorCode":"too-many-requests","data":{}}`)
	defer srv.Close()

	req, _ := http.NewRequest("POST", srv.URL+"/resource/abcd-1234.json", nil)
	resp, err := http.DefaultTransport.RoundTrip(req)
	o := classify.Of(req, resp, err)
	fmt.Println(o.Kind.String(), o.Class, o.Acted)
	resp.Body.Close()
	// Output: Too Many Requests throttled no
}

// An error of the network is Transient only if it is known to pass.
func ExampleOf_error() {
	req, _ := http.NewRequest("GET", "ftp://data.example.gov/", nil)
	_, err := http.DefaultTransport.RoundTrip(req)
	fmt.Println(err, "-", classify.Of(req, nil, err).Class)
	// Output: unsupported protocol scheme "ftp" - final
}

func ExampleCheck() {
	srv := serverSaying(404, `{"code":"dataset.missing","error":true,"message":"Not found","data":{"id":"songs"}}`)
	defer srv.Close()

	resp, err := http.Get(srv.URL + "/resource/songs.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	err = classify.Check(resp)

	fmt.Println(errors.Is(err, classify.NotFound))
	var e *classify.Error
	if errors.As(err, &e) {
		fmt.Println(e.Status, e.Code, e.Message, string(e.Data), e.RequestID)
	}
	// Output:
	// true
	// 404 dataset.missing Not found {"id":"songs"} 9f2b7c
}

func ExampleError() {
	err := error(&classify.Error{
		Kind:      classify.TypeMismatch,
		Status:    400,
		Code:      "query.soql.type-mismatch",
		Message:   "Type mismatch for op$=, is text; position: Map(row -> 1, column -> 8)",
		RequestID: "9f2b7c",
		Method:    "GET",
		URL:       "https://data.example.gov/resource/abcd-1234.json?$where=***",
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, classify.TypeMismatch))
	// Output:
	// socrata: GET https://data.example.gov/resource/abcd-1234.json?$where=***: 400 query.soql.type-mismatch: Type mismatch for op$=, is text (request id 9f2b7c)
	// true
}

func ExampleKind() {
	kinds := []classify.Kind{classify.Accepted, classify.RowIDCache, classify.Unlisted}
	for _, k := range kinds {
		fmt.Println(k)
	}
	// fmt prints a Kind as the error that it is; errors.Is compares with it.
	err := fmt.Errorf("page 3: %w", classify.ExecutionTimeout)
	fmt.Println(err, errors.Is(err, classify.ExecutionTimeout))
	// Output:
	// socrata: Accepted
	// socrata: Row Id Cache
	// socrata: Unlisted
	// page 3: socrata: Execution Timeout true
}

func ExampleCatalogue() {
	for _, row := range classify.Catalogue()[:4] {
		fmt.Println(row.Status, row.Code, "-", row.Title)
	}
	// Output:
	// 202 accepted - Accepted
	// 401 authentication_required - Authentication Required
	// 400 deserialization - Deserialization
	// 504 execution_timeout - Execution Timeout
}

func ExampleRetryAfter() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, v := range []string{"120", "Sun, 01 Mar 2026 12:00:30 GMT", "-5", "soon"} {
		d, ok := classify.RetryAfter(http.Header{"Retry-After": {v}}, now)
		fmt.Println(d, ok)
	}
	// Output:
	// 2m0s true
	// 30s true
	// 0s false
	// 0s false
}

func ExampleIdempotent() {
	for _, s := range []string{"/resource/abcd-1234.json", "/api/v3/views/abcd-1234/query.json"} {
		req, _ := http.NewRequest("POST", "https://data.example.gov"+s, nil)
		fmt.Println(s, classify.Idempotent(req))
	}
	req, _ := http.NewRequest("POST", "https://data.example.gov/resource/abcd-1234.json", nil)
	req.Header.Set("Idempotency-Key", "upload-17")
	fmt.Println("with a key", classify.Idempotent(req))
	// Output:
	// /resource/abcd-1234.json false
	// /api/v3/views/abcd-1234/query.json true
	// with a key true
}

func ExampleRedact() {
	u, _ := url.Parse("https://me:password@data.example.gov/resource/abcd-1234.json?$limit=50&name=Jane&$$app_token=secret#top")
	fmt.Println(classify.Redact(u))
	// Output: https://data.example.gov/resource/abcd-1234.json?$limit=50&name=***&$$app_token=***
}

// Only a 202 that is Pending has a result elsewhere.
func ExampleResultURL() {
	srv := serverSaying(202, `{"code":"accepted","error":false,"ticket":"7cf317cb"}`)
	defer srv.Close()

	req, _ := http.NewRequest("POST", srv.URL+"/api/imports2.json?method=append", nil)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if classify.Of(req, resp, err).Class == classify.Pending {
		u := classify.ResultURL(req, resp)
		fmt.Println(u.RequestURI(), classify.SameOrigin(u, req.URL))
		resp.Body.Close()
	}
	// Output: /api/imports2.json?method=append&ticket=7cf317cb true
}

// RedactError is for what an http.Client returns.
func ExampleRedactError() {
	_, err := http.Get("gopher://data.example.gov/?$limit=5&$$app_token=secret")
	fmt.Println(classify.RedactError(err))
	// Output: Get "gopher://data.example.gov/?$limit=5&$$app_token=***": unsupported protocol scheme "gopher"
}
