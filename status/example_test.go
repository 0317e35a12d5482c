package status_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/status"
	"github.com/sodahttp/sodahttp/transport"
)

// A job serves its page on a port that only its own people reach.
func ExampleHandler() {
	srv := sodatest.NewServer(sodatest.InMemory())
	defer srv.Close()

	pacer := new(pace.Pacer)
	page := &status.Handler{Pacer: pacer}
	client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Pacer: pacer, OnEvent: page.OnEvent}}
	job := httptest.NewServer(page) // or http.Handle("/debug/sodahttp", page)
	defer job.Close()

	resp, err := client.Get(srv.URL + "/resource/none-such.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()

	shown, err := http.Get(job.URL) // as curl does
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shown.Body.Close()
	text, err := io.ReadAll(shown.Body)
	fmt.Println(shown.Status, len(text) > 0, err)
	// Output: 200 OK true <nil>
}
