package sodatest_test

import (
	"io"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest"
)

// The fake must not be what a benchmark of something else measures.
func BenchmarkGet(b *testing.B) {
	for name, opt := range map[string]sodatest.Option{"memory": sodatest.InMemory(), "tcp": sodatest.Replies()} {
		b.Run(name, func(b *testing.B) {
			srv := sodatest.NewServer(opt)
			defer srv.Close()
			client := srv.Client()
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Get(srv.URL + sample + ".json")
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
