package sodatest_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

// counts writes an upsert's answer shortly: created, updated, deleted, errors.
func counts(created, updated, deleted, failed string) string {
	return "{\n  \"Errors\" : " + failed + ",\n  \"Rows Created\" : " + created + ",\n  \"Rows Updated\" : " + updated + ",\n  \"Rows Deleted\" : " + deleted + "\n}\n"
}

func TestUpsert(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(people)
		for _, tt := range []struct{ body, want string }{
			{`[]`, counts("0", "0", "0", "0")},
			{`[{"id":"11","name":"Eve"},{"id":10,"name":"Ada L."},{"id":9,":deleted":true},{"id":12,":deleted":true}]`, counts("1", "1", "1", "1")},
			{`{"id":"11","age":5.50}`, counts("0", "1", "0", "0")},
			{`[{"name":"no id"},{"name":"no id"}]`, counts("2", "0", "0", "0")},
			{`[{":id":"row-mine","name":null,"born":null,"new":"column"}]`, counts("0", "1", "0", "0")},
			{`[{":deleted":true}]`, counts("0", "0", "0", "1")},
		} {
			resp, body := send(t, srv, "POST", "/resource/peop-le00.json", tt.body, "Content-Type", "application/json; charset=utf-8")
			if resp.StatusCode != 200 || body != tt.want {
				t.Errorf("%s: got %s %s", tt.body, resp.Status, body)
			}
		}
		_, body := get(t, srv, "/resource/peop-le00.csv?$select=id,name,age,born,new")
		want := `"id","name","age","born","new"
"10","Ada L.","36.5","1815-12-10T00:00:00.000",
"8","","-7","1700-01-01T00:00:00.000",
"7",,"100",,"column"
"11","Eve","5.50",,
,"no id",,,
,"no id",,,
`
		if body != want {
			t.Errorf("got\n%swant\n%s", body, want)
		}
	})
}

// Every name of a row must keep finding it, whatever was deleted before it.
func TestDeleteKeepsTheRest(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		send(t, srv, "POST", sample+".json", `[{"id":"1",":deleted":true},{"id":"13",":deleted":true}]`)
		for _, id := range []string{"2", "12", "14", "25"} {
			if resp, body := get(t, srv, sample+"/"+id+".json"); resp.StatusCode != 200 || !strings.Contains(body, `"id":"`+id+`"`) {
				t.Errorf("row %s: %s %s", id, resp.Status, body)
			}
		}
		for _, id := range []string{"1", "13"} {
			if resp, _ := get(t, srv, sample+"/"+id+".json"); resp.StatusCode != 404 {
				t.Errorf("row %s: %s", id, resp.Status)
			}
		}
	})
}

func TestReplace(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		if _, body := send(t, srv, "PUT", sample+".json", `[{"id":"3","name":"only"},{"id":"4"}]`); body != counts("2", "0", "0", "0") {
			t.Errorf("got %s", body)
		}
		_, body := get(t, srv, sample+".json")
		if body != "[{\"id\":\"3\",\"name\":\"only\"}\n,{\"id\":\"4\"}]\n" {
			t.Errorf("got %s", body)
		}
	})
}

func TestRow(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(people)
		for _, tt := range []struct {
			method, row, body string
			status            int
			want              string
		}{
			{"GET", "10", "", 200, `{"age":"36.5","born":"1815-12-10T00:00:00.000","id":"10","name":"Ada","ok":true}` + "\n"},
			{"GET", "row-mine.json", "", 200, `"id":"7"`},
			{"POST", "10.json", `{"name":"A."}`, 200, `[{"typ":"update","id":"row-2222~2222~2223","ver":"rv-0000~0001"}]`},
			{"GET", "10", "", 200, `{"age":"36.5","born":"1815-12-10T00:00:00.000","id":"10","name":"A.","ok":true}`},
			{"PUT", "10", `{"age":1}`, 200, `"typ":"update"`},
			{"GET", "10", "", 200, `{"age":"1","id":"10"}`},
			{"PUT", "row-mine", `{"id":"other"}`, 200, `"id":"row-mine"`},
			{"GET", "7", "", 200, `{"id":"7"}`},
			{"PUT", "99", `{"name":"new"}`, 200, `"typ":"insert"`},
			{"GET", "99", "", 200, `{"id":"99","name":"new"}`},
			{"POST", "98", `null`, 200, `"typ":"insert"`},
			{"DELETE", "99.json", "", 200, `[{"typ":"delete","id":"row-`},
			{"DELETE", "99.json", "", 404, `soda.row.not-found`},
			{"PUT", "10", `[]`, 400, `req.body.malformed-json`},
		} {
			resp, body := send(t, srv, tt.method, "/resource/peop-le00/"+tt.row, tt.body)
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%s %s %s: got %d %s", tt.method, tt.row, tt.body, resp.StatusCode, body)
			}
		}
	})
}

func TestBadWrites(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		_, before := get(t, srv, sample+".json")
		for _, tt := range []struct {
			body, contentType string
			status            int
			want              string
		}{
			{`[{"id":"1"`, "application/json", 400, "req.body.malformed-json"},
			{``, "application/json", 400, "req.body.malformed-json"},
			{`[] []`, "application/json", 400, "more than one value"},
			{`[{"id":"new"},5]`, "application/json", 400, `"errorCode":"soda.row.upsert-row-not-an-object","data":{"value":5}`},
			{`null`, "", 400, "soda.row.upsert-row-not-an-object"},
			{`id\n1\n`, "text/tab-separated-values", 415, "req.content-type.not-json"},
			{"", "text/csv", 400, `"code" : "invalid_request"`},
			{"id,name\n1,new\n2\n", "text/csv", 400, "wrong number of fields"},
			{"id\n\"1", "text/csv", 400, "extraneous or missing"},
			{`[]`, "////", 400, "req.content-type.unparsable"},
			{strings.Repeat("[", 1e5), "application/json", 400, "req.body.malformed-json"},
		} {
			for _, method := range []string{"POST", "PUT"} {
				resp, body := send(t, srv, method, sample+".json", tt.body, "Content-Type", tt.contentType)
				if resp.StatusCode != tt.status || !strings.Contains(body, tt.want) || !json.Valid([]byte(body)) {
					t.Errorf("%s %.20s: got %s %s", method, tt.body, resp.Status, body)
				}
			}
		}
		if _, after := get(t, srv, sample+".json"); after != before {
			t.Error("a refused write left something behind")
		}
	})
}

// An update by :id may change the identifier, and the row has its new name then.
func TestUpsertRenames(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Dataset("new-0", []map[string]any{{":id": "row-zz", "id": "8"}, {":id": "row-yy", "id": "7"}}))
		row := func(name string) string {
			resp, body := get(t, srv, "/resource/new-0/"+name+".json")
			if resp.StatusCode != 200 {
				return fmt.Sprint(resp.StatusCode)
			}
			return body
		}
		for _, tt := range []struct{ body, gone, name, want string }{
			{`{":id":"row-zz","id":"9"}`, "8", "9", `{"id":"9"}`},
			{`{"id":"9","n":"x"}`, "8", "row-zz", `{"id":"9","n":"x"}`},
			{`{":id":"row-yy","id":null}`, "7", "row-yy", `{}`},
			{`{"id":"9",":id":"row-yy"}`, "7", "row-zz", `{"id":"9","n":"x"}`}, // the identifier is what counts
			{`{"id":"9",":id":"row-yy"}`, "7", "row-yy", `{}`},
		} {
			_, body := send(t, srv, "POST", "/resource/new-0.json", tt.body)
			if body != counts("0", "1", "0", "0") || row(tt.gone) != "404" || row(tt.name) != tt.want+"\n" {
				t.Errorf("%s: %s; then %s is %s, %s is %s", tt.body, body, tt.gone, row(tt.gone), tt.name, row(tt.name))
			}
		}
	})
}

// Two rows with one identifier, as Dataset allows: whichever is left is found.
func TestDeleteDuplicate(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Dataset("new-0", []map[string]any{{"id": "1", "n": "a"}, {"id": "1", "n": "b"}}))
		for i, want := range []int{200, 200, 404} {
			if resp, _ := send(t, srv, "DELETE", "/resource/new-0/1.json", ""); resp.StatusCode != want {
				t.Errorf("DELETE %d: %s", i, resp.Status)
			}
		}
	})
}

func TestUpsertCSV(t *testing.T) {
	for _, ext := range []string{".json", ".csv", ""} {
		inMemory(t, func(t *testing.T, start starter) {
			srv := start(people)
			for _, tt := range []struct{ body, want string }{
				{"id,name\n", counts("0", "0", "0", "0")},
				{"id,name,ok\n11,\"Eve, \"\"the\"\" first\",true\r\n10,Ada L.,false\n", counts("1", "1", "0", "0")},
				{"\ufeffid,:deleted\n9,true\n12,TRUE\n", counts("0", "0", "1", "1")},
				{"id,born,at,note\n8,,POINT (3 -4.5),true\n", counts("0", "1", "0", "0")},
				{"id,at\n10,POINT (here)\n", counts("0", "1", "0", "0")},
			} {
				resp, body := send(t, srv, "POST", "/resource/peop-le00"+ext, tt.body, "Content-Type", "text/csv; charset=utf-8")
				if resp.StatusCode != 200 || body != tt.want {
					t.Errorf("%q: got %s %s", tt.body, resp.Status, body)
				}
			}
			_, body := get(t, srv, "/resource/peop-le00.json?$select=id,name,ok,born,at,note")
			want := `[{"id":"10","name":"Ada L.","ok":false,"born":"1815-12-10T00:00:00.000","at":"POINT (here)"}
,{"id":"8","name":"","at":{"coordinates":[3,-4.5],"type":"Point"},"note":"true"}
,{"id":"7","name":"Dee","ok":true}
,{"id":"11","name":"Eve, \"the\" first","ok":true}]
`
			if body != want {
				t.Errorf("got\n%swant\n%s", body, want)
			}
			if _, body := send(t, srv, "PUT", "/resource/peop-le00"+ext, "id\n1\n2\n", "Content-Type", "text/csv"); body != counts("2", "0", "0", "0") {
				t.Errorf("PUT: %s", body)
			}
		})
	}
}

// What the server gives out as CSV, it takes back as the same rows.
func TestCSVRoundTrip(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		_, before := get(t, srv, sample+".json")
		_, table := get(t, srv, sample+".csv")
		if _, body := send(t, srv, "POST", sample+".csv", table, "Content-Type", "text/csv"); body != counts("0", "25", "0", "0") {
			t.Errorf("got %s", body)
		}
		if resp, after := get(t, srv, sample+".json"); sorted(t, after) != sorted(t, before) || strings.Count(resp.Header.Get("X-Soda2-Types"), "text") != 2 {
			t.Errorf("%s\n%s\nwant\n%s", resp.Header.Get("X-Soda2-Types"), after, before)
		}
	})
}

// sorted writes rows with the keys of all objects in order.
func sorted(t *testing.T, body string) string {
	b, err := json.Marshal(rowsOf(t, body))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGzippedWrites(t *testing.T) {
	zipped := func(s string) string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.String()
	}
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		for _, tt := range []struct {
			method, path, contentType, encoding, body string
			status                                    int
			want                                      string
		}{
			{"POST", sample + ".json", "application/json", "gzip", zipped(`[{"id":"1"},{"id":"26"}]`), 200, counts("1", "1", "0", "0")},
			{"POST", sample + ".csv", "text/csv", "GZIP", zipped("id\n1\n"), 200, counts("0", "1", "0", "0")},
			{"POST", sample + ".csv", "text/csv", "identity", "id\n1\n", 200, counts("0", "1", "0", "0")},
			{"PUT", sample + "/1.json", "", "x-gzip", zipped(`{}`), 200, `"typ":"update"`},
			{"POST", "/api/v3/views/abcd-1234/query.json", "application/json", "gzip", zipped(`{"query":"SELECT count(*)"}`), 200, `"26"`},
			{"POST", sample + ".json", "", "gzip", `[]`, 400, "invalid_request"},
			{"POST", sample + ".csv", "text/csv", "gzip", zipped("id\n1\n")[:20], 400, "invalid_request"},
			{"POST", sample + ".csv", "text/csv", "br", "x", 415, "Content-Encoding br"},
			{"POST", sample + ".json", "", "gzip", strings.Repeat(zipped(strings.Repeat(" ", 1<<20)), 51), 413, "req.body.too-large"},
		} {
			resp, body := send(t, srv, tt.method, tt.path, tt.body, "Content-Type", tt.contentType, "Content-Encoding", tt.encoding)
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.want) || !json.Valid([]byte(body)) {
				t.Errorf("%s %s, %s: got %s %s", tt.method, tt.path, tt.encoding, resp.Status, body)
			}
		}
	})
}

// A column widens to text when values stop fitting.
func TestColumnsLearn(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		for body, want := range map[string]string{
			`[{"id":"1","v":5,"":"x"}]`:    `["number","number"]`,
			`[{"id":"2","v":"a word"}]`:    `["number","text"]`,
			`[{"id":"3","v":{"type":""}}]`: `["number","text"]`,
		} {
			srv := start(sodatest.Dataset("new-0", []map[string]any{{"id": "0", "v": "1"}}))
			send(t, srv, "POST", "/resource/new-0.json", body)
			if resp, _ := get(t, srv, "/resource/new-0.json"); resp.Header.Get("X-Soda2-Types") != want {
				t.Errorf("%s: got %s", body, resp.Header.Get("X-Soda2-Types"))
			}
		}
	})
}

func TestTruthVersion(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		for _, want := range []string{"1", "2"} {
			if resp, _ := send(t, srv, "POST", sample+".json", "[]"); resp.Header.Get("X-SODA2-Truth-Version") != want {
				t.Errorf("got version %s", resp.Header.Get("X-SODA2-Truth-Version"))
			}
		}
	})
}
