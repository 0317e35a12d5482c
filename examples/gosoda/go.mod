module github.com/sodahttp/sodahttp/examples/gosoda

go 1.26.0

require (
	github.com/SebastiaanKlippert/go-soda v1.0.1
	github.com/sodahttp/sodahttp v0.0.0
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/sodahttp/sodahttp => ../..
