package sim

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// Arrivals simulates an outage of 30 s under requests that come at a fixed
// rate, whatever becomes of those before, as people's do. It prints how much
// of that demand was sent into it.
func Arrivals(t *testing.T, w io.Writer, o Options, rate float64) {
	clients := append([]Client{{"sodahttp-interactive", func(base http.RoundTripper) http.RoundTripper {
		return &transport.Transport{Base: base, Policy: policy.Interactive()}
	}}}, Clients...)
	fmt.Fprintf(w, "%-28s %-22s %10s %8s %8s %10s\n", "server", "client", "sent/asked", "failed", "of", "full speed")
	for _, m := range models(false) {
		if _, ok := m.Make().Limit.(*Outage); !ok || !chosen(m.Name, o.Models) {
			continue
		}
		for _, c := range clients {
			if chosen(c.Name, o.Clients) {
				synctest.Test(t, func(*testing.T) { arrivals(w, m, c, o.Seeds[0], rate) })
			}
		}
	}
}

func arrivals(w io.Writer, m Model, c Client, seed uint64, rate float64) {
	s := m.Make()
	s.rnd, s.start, s.end = newRandom(seed), time.Now(), m.Length
	rt := c.New(s)
	var (
		work          sync.WaitGroup
		mu            sync.Mutex
		asked, failed int
	)
	for time.Since(s.start) < m.Length {
		asked++
		work.Go(func() {
			req, _ := http.NewRequest("GET", "https://data.example.org/resource/abcd-1234.json", nil)
			resp, err := rt.RoundTrip(req)
			if resp != nil {
				resp.Body.Close()
			}
			if err != nil || resp.StatusCode != http.StatusOK {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
		time.Sleep(time.Duration(float64(time.Second) / rate))
	}
	work.Wait()
	out := s.Limit.(*Outage)
	down, back := afterOutage(s, out)
	fmt.Fprintf(w, "%-28s %-22s %10.3f %8d %8d %9.1fs\n", m.Name, c.Name, float64(down)/(rate*(out.To-out.From).Seconds()), failed, asked, back.Seconds())
}
