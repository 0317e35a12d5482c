package pace_test

import (
	"net/http"
	"testing"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
)

// TestWaitForFindsTheQuota: however the host is spelled, the quota is the same,
// and no other is.
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

// TestTokensInTurn: each token of each host has a quota of its own, in
// whatever order they come.
func TestTokensInTurn(t *testing.T) {
	const rounds = 5
	reqs := turns(t)
	var p pace.Pacer
	for range rounds {
		for _, req := range reqs {
			ticket, ok := p.Try(req)
			if !ok {
				t.Fatalf("%v has to wait", req.URL)
			}
			p.Done(ticket, good, 0, false)
		}
	}
	states := p.Snapshot()
	if len(states) != len(reqs) {
		t.Errorf("%d quotas, want %d", len(states), len(reqs))
	}
	for _, s := range states {
		if s.Sent != rounds {
			t.Errorf("%v, want %d sent", s, rounds)
		}
	}
}

// turns returns requests to several hosts with several tokens: no two are of
// one quota.
func turns(t testing.TB) (reqs []*http.Request) {
	for _, host := range []string{"a.test", "b.test", "c.test"} {
		for _, tokens := range [][2]string{{}, {"a"}, {"b"}, {"", "c"}, {"a", "c"}, {"c", "a"}} {
			req := request(t, "http://"+host+"/resource/abcd-1234.json")
			for i, name := range []string{"X-App-Token", "Authorization"} {
				if tokens[i] != "" {
					req.Header.Set(name, tokens[i])
				}
			}
			reqs = append(reqs, req)
		}
	}
	return reqs
}

func TestWaitForDoesNotAllocate(t *testing.T) {
	var p pace.Pacer
	reqs, i := turns(t), 0
	if n := testing.AllocsPerRun(1000, func() {
		ticket, err := p.WaitFor(t.Context(), reqs[i%len(reqs)], false)
		if err != nil {
			t.Fatal(err)
		}
		p.Done(ticket, good, 0, false)
		i++
	}); n != 0 {
		t.Errorf("a send allocates %v times", n)
	}
}
