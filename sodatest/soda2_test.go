package sodatest_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// people is a small data set with a null, a comma, a quote, and every type.
var people = sodatest.Dataset("peop-le00", []map[string]any{
	{"id": 10, "name": "Ada", "age": 36.5, "born": time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC), "ok": true},
	{"id": 9, "name": "Bob, <the> \"2nd\"", "age": nil, "born": "1990-01-02T03:04:05.000", "ok": false},
	{"id": 8, "name": "", "age": json.Number("-7"), "born": "1700-01-01T00:00:00.000", "at": map[string]any{"type": "Point", "coordinates": []any{-1.5, 2}}},
	{"id": 7, "name": "Dee", "age": 100, "tags": []string{"a"}, "ok": true, ":id": "row-mine"},
})

func TestJSON(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(people)
		resp, body := get(t, srv, "/resource/peop-le00.json")
		want := `[{"age":"36.5","born":"1815-12-10T00:00:00.000","id":"10","name":"Ada","ok":true}
,{"born":"1990-01-02T03:04:05.000","id":"9","name":"Bob, <the> \"2nd\"","ok":false}
,{"age":"-7","at":{"coordinates":[-1.5,2],"type":"Point"},"born":"1700-01-01T00:00:00.000","id":"8","name":""}
,{"age":"100","id":"7","name":"Dee","ok":true,"tags":["a"]}]
`
		if body != want {
			t.Errorf("got\n%swant\n%s", body, want)
		}
		h := resp.Header
		for name, want := range map[string]string{
			"Content-Type":             "application/json;charset=utf-8",
			"X-SODA2-Fields":           `["age","at","born","id","name","ok","tags"]`,
			"X-SODA2-Types":            `["number","point","floating_timestamp","number","text","checkbox","text"]`,
			"X-SODA2-Data-Out-Of-Date": "false",
			"Vary":                     "Accept-Encoding",
		} {
			if h.Get(name) != want {
				t.Errorf("%s is %s, want %s", name, h.Get(name), want)
			}
		}
		if h.Get("Last-Modified") == "" || h.Get("Last-Modified") != h.Get("X-SODA2-Truth-Last-Modified") || h.Get("X-SODA2-Secondary-Last-Modified") == "" {
			t.Errorf("times: %v", h)
		}
	})
}

func TestCSV(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(people)
		resp, body := get(t, srv, "/resource/peop-le00.csv")
		want := `"age","at","born","id","name","ok","tags"
"36.5",,"1815-12-10T00:00:00.000","10","Ada","true",
,,"1990-01-02T03:04:05.000","9","Bob, <the> ""2nd""","false",
"-7","POINT (-1.5 2)","1700-01-01T00:00:00.000","8","",,
"100",,,"7","Dee","true","[""a""]"
`
		if body != want || resp.Header.Get("Content-Type") != "text/csv; charset=UTF-8" {
			t.Errorf("%s\n%s", resp.Header.Get("Content-Type"), body)
		}
		if _, err := csv.NewReader(strings.NewReader(body)).ReadAll(); err != nil {
			t.Error(err)
		}
	})
}

func TestAccept(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		for _, tt := range []struct{ path, accept, want string }{
			{"", "", "200 [{"}, {"", "text/csv", `200 "a`}, {"", "application/json", "200 [{"}, {"", "*/*", "200 [{"},
			{"", "image/png", "406 "}, {".xml", "", "406 "}, {".csv", "application/json", `200 "a`},
		} {
			resp, body := get(t, srv, sample+tt.path, "Accept", tt.accept)
			if got := fmt.Sprintf("%d %.2s", resp.StatusCode, body); got != tt.want {
				t.Errorf("%s as %q: got %s, want %s", tt.path, tt.accept, got, tt.want)
			}
		}
	})
}

// query escapes the parameters, given in pairs.
func query(params ...string) string {
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	return "?" + q.Encode()
}

func TestSelect(t *testing.T) {
	srv := sodatest.NewServer(sodatest.InMemory(), people)
	defer srv.Close()
	for _, tt := range []struct {
		params []string
		want   string // ids
	}{
		{[]string{}, "10 9 8 7"},
		{[]string{"$limit", "2"}, "10 9"},
		{[]string{"$limit", "0"}, ""},
		{[]string{"$limit", "2", "$offset", "3"}, "7"},
		{[]string{"$offset", "99"}, ""},
		{[]string{"$limit", "9223372036854775807", "$offset", "9223372036854775807"}, ""},
		{[]string{"$order", "id"}, "7 8 9 10"},
		{[]string{"$order", "id DESC"}, "10 9 8 7"},
		{[]string{"$order", "age"}, "8 10 7 9"},
		{[]string{"$order", "age desc"}, "9 7 10 8"},
		{[]string{"$order", "ok asc, id"}, "9 7 10 8"},
		{[]string{"$order", ":id"}, "10 9 8 7"},
		{[]string{"$order", "name"}, "8 10 9 7"},
		{[]string{"$where", "id=8"}, "8"},
		{[]string{"$where", "id='8'"}, "8"},
		{[]string{"$where", "`id` = 8.0"}, "8"},
		{[]string{"$where", "ok = true"}, "10 7"},
		{[]string{"$where", "ok = false"}, "9"},
		{[]string{"$where", "name='Bob, <the> \"2nd\"'"}, "9"},
		{[]string{"$where", "name='it''s'"}, ""},
		{[]string{"$where", "id > 8 and (id <= 10 AND name != 'Ada')"}, "9"},
		{[]string{"$where", "id >= 8 and id < 10"}, "9 8"},
		{[]string{"$where", strings.Repeat("(id >= 8) and ", 101) + "((id < 10))"}, "9 8"},
		{[]string{"$where", "id <> 8"}, "10 9 7"},
		{[]string{"$where", "age < 1000"}, "10 8 7"},
		{[]string{"$where", "id = age"}, ""},
		{[]string{"$where", "id = id"}, "10 9 8 7"},
		{[]string{"$where", ":id = 'row-mine'"}, "7"},
		{[]string{"$where", "born > '1800-01-01T00:00:00.000'"}, "10 9"},
		{[]string{"id", "9"}, "9"},
		{[]string{"id", "9", "name", "Ada"}, ""},
		{[]string{"ok", "true", "$order", "id"}, "7 10"},
		{[]string{"$query", "SELECT * WHERE id > 7 ORDER BY id LIMIT 2 OFFSET 1"}, "9 10"},
		{[]string{"$$app_token", "x", "$$query_timeout_seconds", "5", "$limit", "1"}, "10"},
	} {
		resp, body := get(t, srv, "/resource/peop-le00.json"+query(tt.params...))
		if resp.StatusCode != 200 {
			t.Fatalf("%v: got %s", tt.params, body)
		}
		if got := column(rowsOf(t, body), "id"); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.params, got, tt.want)
		}
	}
}

func TestColumns(t *testing.T) {
	srv := sodatest.NewServer(sodatest.InMemory(), people)
	defer srv.Close()
	for _, tt := range []struct{ params, want string }{
		{"$select=id", `["id"] ["number"] [{"id":"10"}]`},
		{"$select=name,id", `["name","id"] ["text","number"] [{"name":"Ada","id":"10"}]`},
		{"$select=name+as+n", `["n"] ["text"] [{"n":"Ada"}]`},
		{"$select=*,ok+AS+fine&$where=id=8", `["age","at","born","id","name","ok","tags","fine"] ["number","point","floating_timestamp","number","text","checkbox","text","checkbox"] [{"age":"-7","at":{"coordinates":[-1.5,2],"type":"Point"},"born":"1700-01-01T00:00:00.000","id":"8","name":""}]`},
		{"$select=count(*)", `["count"] ["number"] [{"count":"4"}]`},
		{"$select=COUNT(*)+as+n&$where=id>8", `["n"] ["number"] [{"n":"2"}]`},
		{"$select=count(*)&ok=true", `["count"] ["number"] [{"count":"2"}]`},
		{"$select=:id&$where=id=7", `[":id"] ["row_identifier"] [{":id":"row-mine"}]`},
		{"$select=nothing", ``},
	} {
		resp, body := get(t, srv, "/resource/peop-le00.json?$limit=1&"+tt.params)
		got := ""
		if resp.StatusCode == 200 {
			got = resp.Header.Get("X-Soda2-Fields") + " " + resp.Header.Get("X-Soda2-Types") + " " + strings.TrimSpace(body)
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.params, got, tt.want)
		}
	}
}

func TestSystemColumns(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Dataset("many-0000", sodatest.GenerateRows(1100)))
		_, body := get(t, srv, "/resource/many-0000.json?$select=:*&$order=:id&$limit=1100")
		seen, last := map[string]bool{}, ""
		for _, r := range rowsOf(t, body) {
			id := r[":id"].(string)
			if seen[id] || id <= last || r[":created_at"] == nil || r[":updated_at"] == nil || r[":version"] == nil {
				t.Fatalf("row %v after %s", r, last)
			}
			seen[id], last = true, id
		}
		if len(seen) != 1100 {
			t.Errorf("%d rows", len(seen))
		}
		if _, body := get(t, srv, "/resource/many-0000.json"); len(rowsOf(t, body)) != 1000 {
			t.Errorf("the default limit is %d", len(rowsOf(t, body)))
		}
	})
}

// Errors must look as recorded.
func TestQueryErrors(t *testing.T) {
	srv := sodatest.NewServer(sodatest.InMemory())
	defer srv.Close()
	for _, tt := range []struct{ params, want string }{
		{"nope=1", "400 {\n  \"error\" : true,\n  \"message\" : \"Unrecognized arguments [nope]\"\n}\n"},
		{"f=1&e=1&d=1&c=1&b=2&$nope=1", "Unrecognized arguments [$nope, b, c, d, e, f]"},
		{"$query=select+*&$limit=1", "Unrecognized arguments [$limit]"},
		{"$select=nope", `400 {"message":"Query coordinator error: query.soql.no-such-column; No such column: nope; position: Map(row -> 1, column -> 8, line -> \"select nope limit 1000\\n       ^\")","errorCode":"query.soql.no-such-column","data":{"column":"nope","dataset":"hotel.abcd-1234","position":{"row":1,"column":8,"line":"select nope limit 1000\n       ^"}}}`},
		{"$where=nope='x'", `"errorCode":"query.soql.no-such-column"`},
		{"$where=name=nope", `"column":"nope"`},
		{"$order=nope", `"errorCode":"query.soql.no-such-column"`},
		{"$where=name=5", `Type mismatch for op$=, is number; position`},
		{"$where=id='five'", `"errorCode":"query.soql.type-mismatch"`},
		{"$where=name=true", `is boolean`},
		{"$select=count(*),id", `query.soql.column-not-in-group-bys`},
		{"$select=id,count(*)", `query.soql.column-not-in-group-bys`},
		{"$where=id+=", "400 {\n  \"code\" : \"query.compiler.malformed\",\n  \"error\" : true,\n  \"message\" : \"Could not parse SoQL query \\\"select * where id = limit 1000\\\" at line 1 character 21: Expected an expression, but got `limit'\",\n  \"data\" : {\n    \"query\" : \"select * where id = limit 1000\",\n    \"position\" : {}\n  }\n}\n"},
		{"$limit=-1", "query.compiler.malformed"},
		{"$limit=abc", "got `abc'"},
		{"$limit=99999999999999999999", "query.compiler.malformed"},
		{"$limit=1.5", "query.compiler.malformed"},
		{"$offset=1e9", "query.compiler.malformed"},
		{"$limit=5x", "Expected a number"},
		{"$where=name='x", "Expected an end of the ' quote, but got `end of input'"},
		{"$where=(id=1", "Expected `)'"},
		{"$where=id", "Expected a comparison"},
		{"$where=id=1+or+id=2", "query.compiler.malformed"},
		{"$select=count(id)", "Expected `*)'"},
		{"$select=", "query.compiler.malformed"},
		{"$select=select", "query.compiler.malformed"},
		{"$order=id+sideways", "query.compiler.malformed"},
		{"$query=drop+table", "Expected `SELECT'"},
		{"$query=select+*+order+id", "Expected `BY'"},
		{"$where=%00%ff", "query.compiler.malformed"},
		{"$where=%zz", "query.compiler.malformed"},
		{"a;b", "query.compiler.malformed"},
		{"$where=" + strings.Repeat("(", 1000), "fewer parentheses"},
	} {
		resp, body := get(t, srv, sample+".json?"+tt.params)
		if got := fmt.Sprintf("%d %s", resp.StatusCode, body); resp.StatusCode != 400 || !strings.Contains(got, tt.want) || !json.Valid([]byte(body)) {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.params, got, tt.want)
		}
	}
}

func TestNotFound(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		for path, want := range map[string]string{
			"/resource/songs.json":                "{\n  \"code\" : \"dataset.missing\",\n  \"error\" : true,\n  \"message\" : \"Not found\",\n  \"data\" : {\n    \"id\" : \"songs\"\n  }\n}\n",
			"/resource/zzzz-zzzz/1.json":          `"id" : "zzzz-zzzz"`,
			"/api/views/songs.json":               "{\n  \"code\" : \"not_found\",\n  \"error\" : true,\n  \"message\" : \"Not found\",\n  \"data\" : {\n    \"id\" : \"songs\"\n  }\n}\n",
			"/api/views/zzzz-zzzz":                `"Cannot find view with id zzzz-zzzz"`,
			"/api/v3/views/zzzz-zzzz/query.json":  "dataset.missing",
			"/api/v3/views/abcd-1234/quarry.json": "Not found",
			"/api":                                "{\n  \"error\" : true,\n  \"message\" : \"Not found\"\n}\n",
			"/resource":                           "Not found",
			"/resource/a/b/c":                     "Not found",
			sample + "/999.json":                  `{"message":"Row with identifier 999 was not found","errorCode":"soda.row.not-found","data":{"value":"999"}}`,
		} {
			if resp, body := get(t, srv, path); resp.StatusCode != 404 || !strings.Contains(body, want) {
				t.Errorf("%s: got %s %s", path, resp.Status, body)
			}
		}
	})
}

func TestMethodNotAllowed(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		for _, path := range []string{sample + ".json", sample + "/1.json", "/api/views/abcd-1234", "/api/v3/views/abcd-1234/query.json", "/api/imports2", "/api/views/abcd-1234/publication"} {
			resp, body := send(t, srv, "PATCH", path, "")
			if resp.StatusCode != 405 || !strings.Contains(body, `"HTTP method PATCH is not allowed for this request","errorCode":"method-not-allowed","data":{"method":"PATCH","allowed":["GET"`) {
				t.Errorf("%s: got %s %s", path, resp.Status, body)
			}
		}
	})
}

func TestConditional(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		first, _ := get(t, srv, sample+".json")
		tag, modified := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
		if !strings.HasSuffix(tag, `--gzip--gzip"`) {
			t.Errorf("ETag %s", tag)
		}
		other, _ := get(t, srv, sample+".json?$limit=1")
		asCSV, _ := get(t, srv, sample+".csv")
		if other.Header.Get("ETag") == tag || asCSV.Header.Get("ETag") == tag {
			t.Error("two answers have one ETag")
		}
		for _, tt := range []struct {
			name, value string
			want        int
		}{
			{"If-None-Match", tag, 304}, {"If-None-Match", `"x", ` + tag, 304}, {"If-None-Match", "*", 304}, {"If-None-Match", `"x"`, 200},
			{"If-Modified-Since", modified, 304}, {"If-Modified-Since", "yesterday", 200}, {"If-Modified-Since", "Mon, 03 Jan 2000 00:00:00 GMT", 200},
			{"If-Match", `"x"`, 412}, {"If-Match", tag, 200},
		} {
			resp, body := get(t, srv, sample+".json", tt.name, tt.value)
			if resp.StatusCode != tt.want || tt.want == 304 && (body != "" || resp.Header.Get("ETag") != tag || resp.Header.Get("Vary") == "") {
				t.Errorf("%s %s: got %s %q %v", tt.name, tt.value, resp.Status, body, resp.Header)
			}
		}
		time.Sleep(time.Hour)
		send(t, srv, "POST", sample+".json", `[{"id":"1","name":"x"}]`)
		resp, _ := get(t, srv, sample+".json", "If-None-Match", tag)
		if resp.StatusCode != 200 || resp.Header.Get("Last-Modified") == modified {
			t.Errorf("after a write: %s, %v", resp.Status, resp.Header)
		}
	})
}

func TestGenerateRows(t *testing.T) {
	a, b := sodatest.GenerateRows(50), sodatest.GenerateRows(50)
	if fmt.Sprint(a) != fmt.Sprint(b) || len(a) != 50 || len(sodatest.GenerateRows(-1)) != 0 {
		t.Error("not the same rows twice")
	}
	seen := map[any]bool{}
	for _, r := range a {
		seen[r["id"]] = true
	}
	if len(seen) != 50 || !seen["1"] || !seen["50"] {
		t.Errorf("ids: %v", seen)
	}
}

// Rows with the same "id" are all there: it need not be the row identifier.
func TestDatasetKeepsAllRows(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		mine := []map[string]any{{"id": "1", "n": make(chan int)}, {"id": "1", "n": int8(2)}}
		srv := start(sodatest.Dataset("same-0000", mine), sodatest.Dataset(sodatest.SampleID, mine))
		mine[0]["id"] = "changed"
		for _, path := range []string{"/resource/same-0000.json", sample + ".json"} {
			if _, body := get(t, srv, path); body != "[{\"id\":\"1\",\"n\":null}\n,{\"id\":\"1\",\"n\":\"2\"}]\n" {
				t.Errorf("%s: got %s", path, body)
			}
		}
	})
}

func TestTypes(t *testing.T) {
	for want, values := range map[string][]any{
		"number":             {0, "0", "9", "-5", "007", "1.50", "1e5", "1E-5", 1.5, uint8(3), json.Number("1e3")},
		"text":               {"", "-", "x", "1x", "+5", "0x1p4", "-Inf", "1_0", "1e", "2024-01-01", "2024-13-01T00:00:00.000", []any{1}, map[string]any{"type": "Point"}},
		"checkbox":           {true, false},
		"floating_timestamp": {"2024-01-01T00:00:00.000", time.Now()},
		"point":              {map[string]any{"type": "Point", "coordinates": []float64{1, 2}}},
	} {
		for _, v := range values {
			srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Dataset("type-0000", []map[string]any{{"v": v}}))
			resp, _ := get(t, srv, "/resource/type-0000.json")
			if got := resp.Header.Get("X-SODA2-Types"); got != `["`+want+`"]` {
				t.Errorf("%#v is a %s, want %s", v, got, want)
			}
			srv.Close()
		}
	}
}
