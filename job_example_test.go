package sodahttp_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// countRows is a program that is to be tested.
func countRows(client *http.Client, portal string) (int, error) {
	resp, err := client.Get(portal + "/resource/abcd-1234.csv")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the portal answered %s", resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return strings.Count(string(body), "\n") - 1, err
}

// TestNightJob is how a program tests itself. The README shows the same.
func TestNightJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in here, 20 minutes pass at once
		latency := sodatest.Latency(func() time.Duration { return 50 * time.Millisecond })
		srv := sodatest.NewServer(sodatest.InMemory(), latency, sodatest.Outage(0, 20*time.Minute, sodatest.HTML(503)))
		defer srv.Close()
		client := &http.Client{Transport: &transport.Transport{Base: srv.Transport(), Policy: policy.Batch()}}
		if n, err := countRows(client, srv.URL); n != 25 || err != nil {
			t.Errorf("counted %d rows, %v, want 25", n, err)
		}
	})
}
