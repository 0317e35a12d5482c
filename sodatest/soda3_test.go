package sodatest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

const v3 = "/api/v3/views/many-0000/"

func TestSoda3(t *testing.T) {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Dataset("many-0000", sodatest.GenerateRows(1100)))
	defer srv.Close()
	for _, tt := range []struct {
		path, body string
		rows       int
		first      string // the id of the first row
	}{
		{"query.json", `{}`, 1000, "1"},
		{"export.json", `{}`, 1100, "1"},
		{"query.json", `{"query":"SELECT *"}`, 1000, "1"},
		{"query.json", `{"query":"SELECT * LIMIT 1050 OFFSET 1"}`, 1050, "2"},
		{"query.json", `{"query":"SELECT * ORDER BY id DESC","page":{"pageNumber":1,"pageSize":10}}`, 10, "1100"},
		{"query.json", `{"query":"SELECT *","page":{"pageNumber":3,"pageSize":500}}`, 100, "1001"},
		{"query.json", `{"page":{"pageNumber":2}}`, 100, "1001"},
		{"query.json", `{"page":{"pageSize":3}}`, 3, "1"},
		{"query.json", `{"page":{}}`, 1000, "1"},
		{"query.json", `{"page":{"pageNumber":12,"pageSize":100}}`, 0, ""},
		{"query.json", `{"page":{"pageNumber":9223372036854775807,"pageSize":9223372036854775807}}`, 0, ""},
		{"query.json", `{"page":{"pageNumber":1,"pageSize":9223372036854775807}}`, 1100, "1"},
		{"query.json", `{"query":"SELECT * WHERE id = 77"}`, 1, "77"},
		{"query.json", `{"query":"SELECT * LIMIT 5","page":{"pageNumber":2,"pageSize":3}}`, 2, "4"},
		{"export.json", `{"query":"SELECT id WHERE id > 1098"}`, 2, "1099"},
	} {
		resp, body := send(t, srv, "POST", v3+tt.path, tt.body, "Content-Type", "application/json")
		if resp.StatusCode != 200 {
			t.Fatalf("%s: got %s", tt.body, body)
		}
		rows := rowsOf(t, body)
		first := ""
		if len(rows) > 0 {
			first = fmt.Sprint(rows[0]["id"])
		}
		if len(rows) != tt.rows || first != tt.first {
			t.Errorf("%s %s: got %d rows from %s", tt.path, tt.body, len(rows), first)
		}
	}
}

func TestSoda3Shapes(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(people)
		path := "/api/v3/views/peop-le00/"
		resp, body := send(t, srv, "POST", path+"query.json", `{"query":"SELECT id WHERE id > 8"}`)
		if body != "[\n{\"id\":\"10\"}\n,{\"id\":\"9\"}\n]\n" {
			t.Errorf("got %q", body)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json; charset=utf-8", "X-SODA2-Data-Out-Of-Date": "[]", "X-SODA2-Cached": "false",
			"X-SODA2-Fields": `["id"]`, "X-SODA2-Types": `["number"]`,
		} {
			if resp.Header.Get(name) != want {
				t.Errorf("%s is %s", name, resp.Header.Get(name))
			}
		}
		if !strings.HasPrefix(resp.Header.Get("ETag"), `W/"`) || resp.Header.Get("Last-Modified") == "" {
			t.Errorf("got %v", resp.Header)
		}
		if _, body := send(t, srv, "POST", path+"query.json", `{"query":"SELECT * WHERE id = 0"}`); body != "[\n]\n" {
			t.Errorf("nothing is %q", body)
		}
		if _, body := send(t, srv, "POST", path+"query.json", `{"query":"SELECT count(*)"}`); body != "[\n{\"count\":\"4\"}\n]\n" {
			t.Errorf("count is %q", body)
		}
		resp, body = send(t, srv, "POST", path+"export.csv", `{"query":"SELECT id, ok"}`)
		if body != "\"id\",\"ok\"\n\"10\",\"true\"\n\"9\",\"false\"\n\"8\",\n\"7\",\"true\"\n" || resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("got %s %q", resp.Header.Get("Content-Type"), body)
		}
		resp, _ = send(t, srv, "POST", path+"query.json", `{"includeSynthetic":true}`)
		if f := resp.Header.Get("X-SODA2-Fields"); !strings.HasPrefix(f, `[":id",":version",":created_at",":updated_at","age"`) {
			t.Errorf("fields are %s", f)
		}
		resp, _ = send(t, srv, "POST", path+"query.json", `{"query":"SELECT id","includeSynthetic":true}`)
		if f := resp.Header.Get("X-SODA2-Fields"); f != `["id"]` {
			t.Errorf("fields are %s", f)
		}
	})
}

func TestSoda3Get(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(people)
		path := "/api/v3/views/peop-le00/query.json"
		_, body := get(t, srv, path+query("query", "SELECT id ORDER BY id", "pageNumber", "2", "pageSize", "3", "app_token", "x"))
		if body != "[\n{\"id\":\"10\"}\n]\n" {
			t.Errorf("got %q", body)
		}
		resp, body := get(t, srv, path+"?includeSynthetic=true")
		if !strings.Contains(body, `":id":"row-mine"`) {
			t.Errorf("got %s", body)
		}
		if resp, _ := get(t, srv, path+"?includeSynthetic=true", "If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != 304 {
			t.Errorf("got %s", resp.Status)
		}
	})
}

func TestSoda3Errors(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(people)
		path := "/api/v3/views/peop-le00/query.json"
		for body, want := range map[string]string{
			`{"query":"SELECT nope"}`:                    `{"code":"soql.analyzer.typechecker.no-such-column","message":"No such column"`,
			`{"query":"SELECT * WHERE age="}`:            "query.compiler.malformed",
			`{"query":""}`:                               "query.compiler.malformed",
			`{"query":"SELECT * WHERE name = 5"}`:        "query.soql.type-mismatch",
			`{"query":5}`:                                "req.body.malformed-json",
			`{"page":{"pageNumber":0}}`:                  "Bad value for pageNumber",
			`{"page":{"pageSize":0}}`:                    "Bad value for pageSize",
			`{"page":{"pageSize":99999999999999999999}}`: "req.body.malformed-json",
			`SELECT *`: "req.body.malformed-json",
			`{"query":"SELECT * WHERE ` + strings.Repeat("(", 1<<12) + `a"}`:  "query.compiler.malformed",
			`{"query":"SELECT ` + strings.Repeat("a,", 1<<10) + `b LIMIT 1"}`: "no-such-column",
		} {
			resp, got := send(t, srv, "POST", path, body, "Content-Type", "application/json")
			if resp.StatusCode != 400 || !strings.Contains(got, want) || !json.Valid([]byte(got)) {
				t.Errorf("%.60s: got %s %.300s", body, resp.Status, got)
			}
		}
		for params, want := range map[string]string{
			"?pageNumber=x": "Bad value for pageNumber", "?pageSize=": "Bad value for pageSize", "?query=%zz": "req.bad-parameter", "?query=": "query.compiler.malformed",
		} {
			if resp, got := get(t, srv, path+params); resp.StatusCode != 400 || !strings.Contains(got, want) {
				t.Errorf("%s: got %s %s", params, resp.Status, got)
			}
		}
		if resp, _ := get(t, srv, "/api/v3/views/peop-le00/query.xml"); resp.StatusCode != 406 {
			t.Errorf("xml: got %s", resp.Status)
		}
	})
}
