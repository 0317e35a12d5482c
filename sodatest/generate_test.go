package sodatest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

// Rows that are put off are those that a Dataset of them has, whatever is asked.
func TestGenerated(t *testing.T) {
	for _, path := range []string{
		".json", ".csv", ".json?$limit=0", ".json?$limit=7&$offset=18", ".json?$offset=22&$limit=9", ".csv?$offset=99",
		".json" + query("$order", ":id", "$limit", "3", "$offset", "20"),
		".json" + query("$order", ":id desc", "$limit", "3"),
		".json" + query("$order", "amount", "$limit", "3", "$offset", "5"),
		".json" + query("$where", ":id > 'row-2222~2222~222a'", "$order", ":id"),
		".json" + query("$select", ":*, id, count"), ".json" + query("$select", ":id, id, open"),
		".json" + query("$select", "count(*)"), ".json" + query("$select", "count(*) as n", "$offset", "1"),
		".json" + query("$select", "count(*)", "$where", "open = true"),
		".json?id=17", "/17.json",
	} {
		t.Run(path, func(t *testing.T) {
			inMemory(t, func(t *testing.T, start starter) {
				srv := start(
					sodatest.Generated("gene-rate", 25),
					sodatest.Dataset("data-sets", sodatest.GenerateRows(25)),
				)
				got, body := get(t, srv, "/resource/gene-rate"+path)
				want, wantBody := get(t, srv, "/resource/data-sets"+path)
				if got.StatusCode != want.StatusCode || got.StatusCode == http.StatusOK && body != wantBody {
					t.Errorf("got %s\n%s\nwant %s\n%s", got.Status, body, want.Status, wantBody)
				}
			})
		})
	}
}

func TestGeneratedIsWritable(t *testing.T) {
	const path = "/resource/" + sodatest.SampleID
	for _, write := range []struct{ method, path, body string }{
		{http.MethodPost, path + ".json", `[{"id":"7","name":"new"},{"id":"8",":deleted":true},{"id":"26","name":"more"}]`},
		{http.MethodPut, path + ".json", `[{"id":"1","name":"only"}]`},
		{http.MethodDelete, path + "/3.json", ""},
		{http.MethodPut, path + "/4.json", `{"name":"four"}`},
		{http.MethodPost, "/api/views/" + sodatest.SampleID + "/publication.json?method=copy", ""},
	} {
		t.Run(write.method+" "+write.path, func(t *testing.T) {
			inMemory(t, func(t *testing.T, start starter) {
				generated := start(sodatest.Generated(sodatest.SampleID, 25))
				plain := start(sodatest.Dataset(sodatest.SampleID, sodatest.GenerateRows(25)))
				for _, step := range []struct{ method, path, body string }{
					{http.MethodGet, "/api/views/" + sodatest.SampleID + ".json", ""},
					write,
					{http.MethodGet, path + ".json?$order=:id", ""},
					{http.MethodGet, "/api/views/" + sodatest.SampleID + ".json", ""},
					{http.MethodGet, "/resource/2222-2223.json", ""}, // the copy
				} {
					got, body := send(t, generated, step.method, step.path, step.body)
					want, wantBody := send(t, plain, step.method, step.path, step.body)
					if got.StatusCode != want.StatusCode || body != wantBody {
						t.Errorf("%s %s: got %s\n%s\nwant %s\n%s", step.method, step.path, got.Status, body, want.Status, wantBody)
					}
				}
			})
		})
	}
}

// What is not asked for is not made: all of these would fit in no memory.
func TestGeneratedCostsNothing(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		const n = 1 << 40
		srv := start(sodatest.Generated(sodatest.SampleID, n))
		resp, body := get(t, srv, sample+fmt.Sprintf(".json?$order=:id&$limit=2&$offset=%d", n-2))
		if rows := rowsOf(t, body); resp.StatusCode != http.StatusOK || column(rows, "id") != fmt.Sprintf("%d %d", n-1, n) {
			t.Errorf("%s %s", resp.Status, body)
		}
		if _, body := get(t, srv, sample+".json"+query("$select", "count(*)")); body != fmt.Sprintf(`[{"count":"%d"}]`+"\n", n) {
			t.Errorf("the count is %s", body)
		}
		if _, body := get(t, srv, sample+".json?$offset=9223372036854775807"); body != "[]\n" {
			t.Errorf("beyond the end there is %s", body)
		}
	})
}
