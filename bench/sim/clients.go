package sim

import (
	"net/http"

	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// Ours is this library, as a job would use it.
var Ours = Client{"sodahttp", func(base http.RoundTripper) http.RoundTripper {
	return &transport.Transport{Base: base, Policy: policy.Batch()}
}}
