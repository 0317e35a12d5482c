package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

func TestDemonstration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Polls(1))
		defer srv.Close()
		var out bytes.Buffer
		start := time.Now()
		if err := demonstrate(t.Context(), &out, srv); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took >= 10*time.Second {
			t.Errorf("took %v, want less than 10s", took)
		}
		for _, want := range []string{"429 Too Many Requests  throttled", "(server)", "504 Gateway Timeout    transient", "202 Accepted           pending", "403 Forbidden          final      handed back"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the timeline lacks %q:\n%s", want, &out)
			}
		}
		if n := len(srv.Requests()); n != 8 {
			t.Errorf("made %d requests, want 8", n)
		}
	})
}

func TestDemonstrationThatGoesWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Reply{Status: 404}))
		defer srv.Close()
		if err := demonstrate(t.Context(), io.Discard, srv); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("got %v, want the 404", err)
		}
	})
}

func TestRun(t *testing.T) {
	t.Setenv("SODA_APP_TOKEN", "from-the-environment")
	srv := sodatest.NewServer()
	defer srv.Close()
	for _, row := range []struct {
		name string
		args []string
		want string // in the error; empty for none
	}{
		{"a portal that answers", []string{"-url", srv.URL + "/resource/abcd-1234.json", "-token", "mine"}, ""},
		{"a token from the environment", []string{"-url", srv.URL + "/resource/abcd-1234.json"}, ""},
		{"a dataset that is not there", []string{"-url", srv.URL + "/resource/none-such.json"}, "404 Not Found"},
		{"a host that is not there", []string{"-url", "http://no-such-host.invalid/?$$app_token=secret"}, "the request failed"},
		{"a URL that is none", []string{"-url", "data.example.gov"}, "wants an http or https URL"},
		{"an argument too many", []string{"https://data.example.gov"}, "behind -url"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), row.args, &out)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got error %v, want %q", err, row.want)
			}
			if text := out.String(); strings.Contains(text, "secret") || err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret was printed: %v\n%s", err, text)
			}
		})
	}
	sent := srv.Requests()
	if got := []string{sent[0].Header.Get("X-App-Token"), sent[1].Header.Get("X-App-Token")}; got[0] != "mine" || got[1] != "from-the-environment" {
		t.Errorf("sent the tokens %q", got)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
