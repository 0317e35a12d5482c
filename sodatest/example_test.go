package sodatest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/sodahttp/sodahttp/sodatest"
)

// Without options there is one data set, and the server answers as Socrata would.
func ExampleServer() {
	srv := sodatest.NewServer(sodatest.InMemory())
	defer srv.Close()

	resp, err := srv.Client().Get(srv.URL + "/resource/" + sodatest.SampleID + ".json?$select=id,name&$where=open=true&$limit=2")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(resp.Status, " ", resp.Header.Get("X-SODA2-Fields"), "\n", string(body))
	// Output:
	// 200 OK ["id","name"]
	// [{"id":"1","name":"Row 1"}
	// ,{"id":"4","name":"Row 4"}]
}

// A lost answer is not a lost write: whoever sends this again writes twice.
func ExampleReply() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Dataset("logs-0000", nil), sodatest.Replies(
		sodatest.Reply{Drop: true}, // carried out, and then the connection is closed
	))
	defer srv.Close()

	url := srv.URL + "/resource/logs-0000.json"
	for range 2 {
		resp, err := srv.Client().Post(url, "application/json", strings.NewReader(`[{"event":"start"}]`))
		if err != nil {
			fmt.Println(err)
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	resp, err := srv.Client().Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
	// Output:
	// Post "http://socrata.test/resource/logs-0000.json": EOF
	// 200 OK
	// [{"event":"start"}
	// ,{"event":"start"}]
}

func ExampleReplies() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
		sodatest.Fault("too-many-requests"),
		sodatest.Reply{Status: 503, RetryAfter: "30"},
		sodatest.HTML(502),
		sodatest.Reply{Cut: 10}, // ten bytes of the data, and the connection breaks
	))
	defer srv.Close()

	for range 5 {
		resp, err := srv.Client().Get(srv.URL + "/resource/" + sodatest.SampleID + ".json?$select=id&$limit=3")
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, len(body), err)
	}
	// Output:
	// 429 74 <nil>
	// 503 58 <nil>
	// 502 150 <nil>
	// 200 10 unexpected EOF
	// 200 37 <nil>
}

// A bucket of two tokens: the third request in a row is too much.
func ExampleTokenBucket() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.TokenBucket(0.1, 2))
	defer srv.Close()

	for range 3 {
		resp, err := srv.Client().Get(srv.URL + "/resource/" + sodatest.SampleID + ".json")
		if err != nil {
			fmt.Println(err)
			return
		}
		var e struct{ ErrorCode string }
		json.NewDecoder(resp.Body).Decode(&e)
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, e.ErrorCode)
	}
	// Output:
	// 200 ""
	// 200 ""
	// 429 "too-many-requests"
}

// What arrived tells whether a job behaved: here, whether it kept its token to
// itself when it was sent to another host.
func ExampleRequest() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(
		sodatest.Reply{Status: 302, Location: "https://hub.example.com/legacy"},
	))
	defer srv.Close()

	req, _ := http.NewRequest("GET", "https://data.example.gov/resource/abcd-1234.json", nil)
	req.Header.Set("X-App-Token", "secret")
	resp, err := srv.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	for _, r := range srv.Requests() {
		fmt.Printf("%s %s%s %d, token %q\n", r.Method, r.Host, r.Path, r.Status, r.Header.Get("X-App-Token"))
	}
	// Output:
	// GET data.example.gov/resource/abcd-1234.json 302, token "secret"
	// GET hub.example.com/legacy 404, token "secret"
}
