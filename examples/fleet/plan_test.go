package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

// Everybody who sees the job can read its plan.
func TestOrigin(t *testing.T) {
	for _, row := range []struct{ portal, token, want, err string }{
		{"https://data.example.gov/", "token", "https://data.example.gov", ""},
		{"http://data.example.gov:8080", "", "http://data.example.gov:8080", ""},
		{"http://127.0.0.1:80", "token", "http://127.0.0.1:80", ""},
		{"http://[::1]:80", "token", "http://[::1]:80", ""},
		{"http://localhost", "token", "http://localhost", ""},
		{"http://data.example.gov", "token", "", "plain http"},
		{"https://user:secret@data.example.gov", "", "", "-portal wants"},
		{"https://data.example.gov/secret", "", "", "-portal wants"},
		{"https://data.example.gov?$$app_token=secret", "", "", "-portal wants"},
		{"https://data.example.gov#secret", "", "", "-portal wants"},
		{"https://user:secret@data.example.gov:port", "", "", "-portal wants"},
		{"ftp://data.example.gov", "", "", "-portal wants"},
		{"data.example.gov", "", "", "-portal wants"},
	} {
		u, err := origin(row.portal, row.token)
		if err != nil {
			if row.err == "" || !strings.Contains(err.Error(), row.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", row.portal, err)
			}
		} else if row.err != "" || u.String() != row.want {
			t.Errorf("%s: %s", row.portal, u)
		}
	}
}

// A count that is none is no plan.
func TestNoCount(t *testing.T) {
	for body, says := range map[string]string{
		"[]":                     "the answer has 0 rows, and should have 1",
		`[{"count":"many"}]`:     `the count is "many"`,
		`[{"count":"-1"}]`:       `the count is "-1"`,
		`[{"count":["1", "2"]}]`: "json: cannot unmarshal array",
	} {
		srv := sodatest.NewServer(sodatest.Every(1, sodatest.Reply{Body: body}))
		err := (&plan{Portal: srv.URL, Dataset: sodatest.SampleID, PageRows: 10}).count(t.Context(), "", "", io.Discard)
		srv.Close()
		if want := "the portal does not say how many rows there are: " + says; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// While the portal does not answer, it is said what is waited for.
func TestCountTellsWhatItWaitsFor(t *testing.T) {
	srv := sodatest.NewServer(sodatest.Replies(sodatest.Fault("execution_timeout")), sodatest.Generated(sodatest.SampleID, 7))
	defer srv.Close()
	var log strings.Builder
	p := &plan{Portal: srv.URL, Dataset: sodatest.SampleID, PageRows: 10}
	err := p.count(t.Context(), "", "", &log)
	if err != nil || p.Rows != 7 || !strings.HasPrefix(log.String(), "fleet plan: counting the rows: 504 Gateway Timeout; next in ") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%d rows, %v, and it says %q", p.Rows, err, log.String())
	}
}

// Planning again does not take a damaged plan for none.
func TestDamagedPlan(t *testing.T) {
	j := job{dir: t.TempDir()}
	if err := os.WriteFile(j.planFile(), []byte(`{"portal"`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{j.save(&plan{PageRows: 1}), func() error { _, err := j.load(); return err }()} {
		if err == nil || !strings.Contains(err.Error(), "plan.json is damaged: remove it, and plan again") {
			t.Errorf("%v", err)
		}
	}
}
