package sodatest_test

import (
	"encoding/json"
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
			{`id\n1\n`, "text/csv", 415, "req.content-type.not-json"},
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
