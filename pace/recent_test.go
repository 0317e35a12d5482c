package pace_test

import (
	"net/http"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

// TestWaitForFindsTheQuota: the short cut to the line of the last request must
// not be taken by one of another quota.
func TestWaitForFindsTheQuota(t *testing.T) {
	var p pace.Pacer
	send := func(url, token string) {
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("X-App-Token", token)
		}
		ticket, err := p.WaitFor(t.Context(), req, false)
		if err != nil {
			t.Fatal(err)
		}
		p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
	}
	for range 2 {
		send("http://a.test/", "")
		send("http://a.test/", "token")
		send("https://a.test/", "")
		send("http://b.test/", "")
		send("http://a.test:80/", "")
		send("http://A.test/resource/abcd-1234.json", "")
	}
	sent := make(map[string]uint64)
	for _, s := range p.Snapshot() {
		sent[s.Key] += s.Sent
	}
	want := map[string]uint64{"http://a.test": 8, "https://a.test": 2, "http://b.test": 2}
	for key, n := range want {
		if sent[key] != n {
			t.Errorf("%s was sent %d, want %d; all: %v", key, sent[key], n, sent)
		}
	}
	if n := len(p.Snapshot()); n != 4 {
		t.Errorf("%d quotas, want 4", n)
	}
}

func TestWaitForDoesNotAllocate(t *testing.T) {
	var p pace.Pacer
	req, _ := http.NewRequest("GET", "http://a.test/resource/abcd-1234.json", nil)
	if n := testing.AllocsPerRun(1000, func() {
		ticket, err := p.WaitFor(t.Context(), req, false)
		if err != nil {
			t.Fatal(err)
		}
		p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
	}); n != 0 {
		t.Errorf("a send allocates %v times", n)
	}
}
