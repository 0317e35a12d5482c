package main

import (
	"net/http"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// client returns the http.Client of the export: answers are whole or an error,
// failures are waited out for an hour, and the pace is what pacer has learned.
// What is sent goes through d.
func (c *config) client(d *drain, pacer *pace.Pacer, onEvent func(transport.Event)) *http.Client {
	rt := &transport.Transport{
		Base:    d,
		Policy:  policy.Batch(),
		Pacer:   pacer,
		OnEvent: onEvent,
	}
	if d.base = c.Base; d.base == nil {
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.MaxIdleConnsPerHost = c.Workers // net/http keeps 2, and opens the others anew
		d.base = base
	}
	if c.RPS > 0 {
		rt.Limiter = rate.NewLimiter(rate.Limit(c.RPS), 1)
	}
	// The token is added above the Transport, so that its Pacer knows the quota.
	token := &transport.AppToken{Token: c.Token, Host: c.Portal.Host, Base: rt}
	whole := &transport.Resume{Base: token, OnEvent: onEvent}
	return &http.Client{Transport: &transport.StatusErrors{Base: whole}}
}
