package bench

import (
	"bytes"
	"net/http"
	"testing"
)

type stub struct{ resp *http.Response }

func (s *stub) RoundTrip(*http.Request) (*http.Response, error) { return s.resp, nil }

// BenchmarkFirstAttempt is what a request costs that succeeds at once, over a
// Base that does nothing.
func BenchmarkFirstAttempt(b *testing.B) {
	for _, work := range []struct {
		name, method string
		body         []byte
	}{
		{"GET", http.MethodGet, nil},
		{"POST64K", http.MethodPost, make([]byte, 64<<10)},
	} {
		for _, c := range Contenders() {
			b.Run(work.name+"/"+c.Name, func(b *testing.B) {
				rt := c.Wrap(&stub{&http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}})
				req, err := http.NewRequest(work.method, "http://data.test/resource/abcd-1234.json", bytes.NewReader(work.body))
				if work.body == nil {
					req, err = http.NewRequest(work.method, "http://data.test/resource/abcd-1234.json", nil)
				}
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if work.body != nil {
						req.Body, _ = req.GetBody() // counted for all alike: rivals replace or consume it
					}
					if _, err := rt.RoundTrip(req); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
