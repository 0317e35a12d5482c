package sodatest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sodahttp/sodahttp/sodatest"
)

const sample = "/resource/" + sodatest.SampleID

type starter func(...sodatest.Option) *sodatest.Server

// inMemory runs f in a bubble, with a function that starts servers there.
func inMemory(t *testing.T, f func(t *testing.T, start starter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, func(opts ...sodatest.Option) *sodatest.Server {
			srv := sodatest.NewServer(append(opts, sodatest.InMemory())...)
			t.Cleanup(srv.Close)
			return srv
		})
	})
}

// everywhere runs f in memory and on TCP.
func everywhere(t *testing.T, f func(t *testing.T, start starter)) {
	t.Run("memory", func(t *testing.T) { inMemory(t, f) })
	t.Run("tcp", func(t *testing.T) {
		t.Parallel()
		f(t, func(opts ...sodatest.Option) *sodatest.Server {
			srv := sodatest.NewServer(opts...)
			t.Cleanup(srv.Close)
			return srv
		})
	})
}

// request makes a request. Header lines come in pairs.
func request(t *testing.T, srv *sodatest.Server, method, path, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// send returns the response to a request, and its body.
func send(t *testing.T, srv *sodatest.Server, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	resp, b, err := try(t, srv, method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, b
}

// try is send for what may fail: err comes from the request or from its body.
func try(t *testing.T, srv *sodatest.Server, method, path, body string, header ...string) (*http.Response, string, error) {
	t.Helper()
	resp, err := srv.Transport().RoundTrip(request(t, srv, method, path, body, header...))
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func get(t *testing.T, srv *sodatest.Server, path string, header ...string) (*http.Response, string) {
	t.Helper()
	return send(t, srv, "GET", path, "", header...)
}

// rowsOf decodes a JSON array of objects.
func rowsOf(t *testing.T, body string) []map[string]any {
	t.Helper()
	var rows []map[string]any
	if err := json.Unmarshal([]byte(body), &rows); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return rows
}

// column returns one column of rows, joined by spaces.
func column(rows []map[string]any, name string) string {
	var values []string
	for _, r := range rows {
		s, _ := r[name].(string)
		values = append(values, s)
	}
	return strings.Join(values, " ")
}

// statuses returns the Status of each request so far.
func statuses(srv *sodatest.Server) []int {
	var all []int
	for _, r := range srv.Requests() {
		all = append(all, r.Status)
	}
	return all
}
