package sodatest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

// accepted is the body of a 202, view that of a 200.
type accepted struct {
	Code    string
	Error   bool
	Ticket  string
	Details map[string]any
}

type view struct {
	ID       string
	RowCount string
	Columns  []struct {
		ID                      int
		FieldName, DataTypeName string
	}
}

func decode[T any](t *testing.T, body string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

func TestImport(t *testing.T) {
	for _, tt := range []struct {
		opts  []sodatest.Option
		polls int
	}{{nil, 2}, {[]sodatest.Option{sodatest.Polls(0)}, 0}, {[]sodatest.Option{sodatest.Polls(5)}, 5}} {
		inMemory(t, func(t *testing.T, start starter) {
			srv := start(tt.opts...)
			resp, body := send(t, srv, "POST", "/api/imports2.json", "whatever", "Content-Type", "application/octet-stream")
			first := decode[accepted](t, body)
			if resp.StatusCode != 202 || first.Code != "accepted" || first.Error || len(first.Ticket) != 36 || first.Details != nil {
				t.Fatalf("got %s %s", resp.Status, body)
			}
			last := -1.0
			for range tt.polls {
				resp, body = get(t, srv, "/api/imports2?ticket="+first.Ticket)
				poll := decode[accepted](t, body)
				progress, _ := poll.Details["progress"].(float64)
				if resp.StatusCode != 202 || poll.Ticket != first.Ticket || progress <= last || progress >= 100 {
					t.Errorf("got %s %s", resp.Status, body)
				}
				last = progress
			}
			for range 2 {
				resp, body = get(t, srv, "/api/imports2.json?ticket="+first.Ticket)
				if resp.StatusCode != 200 {
					t.Fatalf("got %s %s", resp.Status, body)
				}
			}
			id := decode[view](t, body).ID
			if resp, body := get(t, srv, "/resource/"+id+".json"); resp.StatusCode != 200 || body != "[]\n" {
				t.Errorf("the new data set %s: %s %s", id, resp.Status, body)
			}
			_, body = send(t, srv, "POST", "/api/imports2", "")
			if decode[accepted](t, body).Ticket == first.Ticket {
				t.Error("two imports have one ticket")
			}
		})
	}
}

func TestImportInto(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Polls(0))
		_, body := send(t, srv, "POST", "/api/imports2?method=append&viewUid=abcd-1234", "")
		ticket := decode[accepted](t, body).Ticket
		_, body = get(t, srv, "/api/imports2?method=append&viewUid=abcd-1234&ticket="+ticket)
		if id := decode[view](t, body).ID; id != "abcd-1234" {
			t.Errorf("imported into %s", id)
		}
		if resp, _ := send(t, srv, "POST", "/api/imports2?viewUid=zzzz-zzzz", ""); resp.StatusCode != 404 {
			t.Errorf("into nothing: %s", resp.Status)
		}
		for _, path := range []string{"/api/imports2?ticket=x", "/api/imports2"} {
			if resp, body := get(t, srv, path); resp.StatusCode != 404 || !strings.Contains(body, "not_found") {
				t.Errorf("%s: %s %s", path, resp.Status, body)
			}
		}
	})
}

func TestPublication(t *testing.T) {
	for _, again := range []string{"GET", "POST"} {
		inMemory(t, func(t *testing.T, start starter) {
			srv := start()
			path := "/api/views/abcd-1234/publication.json?method=copy"
			if resp, _ := get(t, srv, path); resp.StatusCode != 404 {
				t.Errorf("before any copy: %s", resp.Status)
			}
			resp, body := send(t, srv, "POST", path, "")
			if resp.StatusCode != 202 || body != "" || resp.Header.Get("Location") != "" {
				t.Errorf("got %s %q", resp.Status, body)
			}
			resp, body = send(t, srv, again, path, "")
			twin := decode[view](t, body)
			if resp.StatusCode != 200 || twin.ID == "abcd-1234" || twin.RowCount != "25" {
				t.Fatalf("got %s %s", resp.Status, body)
			}
			_, body = get(t, srv, path)
			if decode[view](t, body).ID != twin.ID {
				t.Errorf("another GET got %s", body)
			}
			send(t, srv, "PUT", sample+".json", "[]")
			if _, body := get(t, srv, "/resource/"+twin.ID+".json"); len(rowsOf(t, body)) != 25 {
				t.Errorf("the copy changes with the original: %s", body)
			}
			if resp, _ := send(t, srv, "POST", path, ""); resp.StatusCode != 202 {
				t.Errorf("a second copy: %s", resp.Status)
			}
		})
	}
}

func TestPublicationVariants(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		path := "/api/views/abcd-1234/publication"
		send(t, srv, "POST", path+"?method=copySchema", "")
		_, body := get(t, srv, path+"?method=copySchema")
		if twin := decode[view](t, body); twin.RowCount != "0" || len(twin.Columns) != 7 {
			t.Errorf("copySchema: %s", body)
		}
		for _, tt := range []struct{ params, body string }{{"?async=true", ""}, {"", "method=copy&async=true"}} {
			resp, body := send(t, srv, "POST", path+tt.params, tt.body)
			ticket := decode[accepted](t, body).Ticket
			if resp.StatusCode != 202 || ticket == "" {
				t.Fatalf("got %s %s", resp.Status, body)
			}
			var got []int
			for range 3 {
				resp, _ := get(t, srv, path+"?ticket="+ticket)
				got = append(got, resp.StatusCode)
			}
			if fmt.Sprint(got) != "[202 202 200]" {
				t.Errorf("got %v", got)
			}
		}
		if resp, _ := send(t, srv, "POST", "/api/views/zzzz-zzzz/publication", ""); resp.StatusCode != 404 {
			t.Errorf("of nothing: %s", resp.Status)
		}
	})
}

func TestView(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start()
		for _, path := range []string{"/api/views/abcd-1234", "/api/views/abcd-1234.json", "/views/abcd-1234"} {
			resp, body := get(t, srv, path)
			v := decode[view](t, body)
			if resp.StatusCode != 200 || v.ID != "abcd-1234" || len(v.Columns) != 7 || v.Columns[3].FieldName != "id" || v.Columns[3].DataTypeName != "number" || v.Columns[3].ID == 0 {
				t.Errorf("%s: %s %s", path, resp.Status, body)
			}
			// Go clients read the times as whole seconds.
			times := decode[struct{ CreatedAt, RowsUpdatedAt, PublicationDate, ViewLastModified, IndexUpdatedAt int64 }](t, body)
			if times.CreatedAt != 946684800 || times.RowsUpdatedAt != 946684800 || times.PublicationDate != 946684800 || times.ViewLastModified != 946684800 || times.IndexUpdatedAt != 946684800 {
				t.Errorf("%s: %+v", path, times)
			}
		}
	})
}

func TestTicketOfAReply(t *testing.T) {
	for _, r := range []sodatest.Reply{sodatest.Fault("accepted"), {Ticket: "7cf317cb-d0a7-4f1d-aee5-9afe9f5042e2"}} {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Polls(1), sodatest.Replies(r))
		path := "/resource/abcd-1234.json?$select=count(*)"
		want := []struct {
			path   string
			status int
			body   string
		}{
			{path, 202, `"ticket" : "7cf317cb-d0a7-4f1d-aee5-9afe9f5042e2"`},
			{path + "&ticket=7cf317cb-d0a7-4f1d-aee5-9afe9f5042e2", 202, `"accepted"`},
			{path + "&ticket=7cf317cb-d0a7-4f1d-aee5-9afe9f5042e2", 200, `[{"count":"25"}]`},
			{path + "&ticket=another", 400, "Unrecognized arguments [ticket]"},
		}
		for _, w := range want {
			resp, body := get(t, srv, w.path)
			if resp.StatusCode != w.status || !strings.Contains(body, w.body) {
				t.Errorf("%s: got %d %s, want %d with %s", w.path, resp.StatusCode, body, w.status, w.body)
			}
		}
		srv.Close()
	}
}
