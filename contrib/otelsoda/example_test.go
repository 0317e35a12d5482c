package otelsoda_test

import (
	"context"
	"fmt"
	"net/http"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sodahttp/sodahttp/contrib/otelsoda"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// A night job with traces. In place of the exporter in memory a program has
// that of its collector, and mostly sets it with otel.SetTracerProvider.
func ExampleTransport() {
	srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(sodatest.Fault("execution_timeout")))
	defer srv.Close()
	spans := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	defer traces.Shutdown(context.Background())

	client := &http.Client{Transport: &otelsoda.Transport{
		Transport:      transport.Transport{Policy: policy.Batch(), Base: srv.Transport()},
		TracerProvider: traces,
	}}
	resp, err := client.Get(srv.URL + "/resource/abcd-1234.json?$where=name='Jane'&$limit=5")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()

	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name)
		if len(s.Events) > 0 {
			fmt.Println(" ", s.Events[0].Name)
		}
	}
	// Output:
	// HTTP GET
	// sodahttp GET
	//   sodahttp.retry
	// HTTP GET
}
