package sodatest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

// FuzzRequest: whatever arrives gets an answer, and an error is Socrata's JSON.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ method, target, body string }{
		{"GET", sample + ".json?$select=:*,count(*)%20as%20x&$where=((id='1'%20and%20a=`b`))&$limit=1&$order=id%20desc", ""},
		{"GET", sample + ".csv?$query=SELECT%20*%20WHERE%20id%20<>%201%20LIMIT%205", ""},
		{"GET", "/resource/%00/%ff.json?a;b=%zz", ""},
		{"POST", sample + ".json", `[{"id":{"a":[1]},":deleted":"x",":id":null,"":1},{":id":5},{"id":[]}]`},
		{"PUT", sample + "/1.json", `{"id":null,":id":"x","open":null}`},
		{"DELETE", sample + "/row-2222~2222~2223", ""},
		{"POST", "/api/v3/views/abcd-1234/export.json", `{"query":"select id, count(*)","page":{"pageNumber":-1}}`},
		{"POST", "/api/imports2?viewUid=abcd-1234", "x"},
		{"GET", "/api/views/abcd-1234/publication?ticket=%00", ""},
		{"OPTIONS", "*", ""},
		{"GET", "//x//", ""},
	} {
		f.Add(seed.method, seed.target, seed.body)
	}
	srv := sodatest.NewServer(sodatest.InMemory())
	f.Cleanup(srv.Close)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if strings.ContainsAny(method+target, " \r\n\t") || method == "" || target == "" {
			t.Skip("not a request line")
		}
		conn, err := srv.Transport().DialContext(t.Context(), "tcp", "any.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go writeRequest(conn, method, target, body)
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q %q %q: %v", method, target, body, err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode == 500 {
			t.Errorf("%q %q %q: %s %v", method, target, body, resp.Status, err)
		}
		json400 := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
		if json400 && len(b) > 0 && !json.Valid(b) {
			t.Errorf("%q %q %q: not JSON: %s", method, target, body, b)
		}
	})
}

func writeRequest(conn net.Conn, method, target, body string) {
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, target, len(body), body)
}
