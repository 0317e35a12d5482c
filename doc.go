// Package sodahttp has no code of its own: the module makes an http.Client
// reliable against Socrata's Open Data API (SODA), and its packages answer one
// question each.
//
//   - transport: the http.RoundTripper. Most programs need only this one.
//   - policy: what to do after an attempt; bounds, waits, polling.
//   - classify: what happened; Socrata's error catalogue and typed errors.
//   - pace: when to send.
//   - status: a page about what a transport is doing.
//   - sodatest: a fake Socrata to test programs with.
//
// A program that is complete:
//
//	client := &http.Client{Transport: &transport.Transport{}}
//	resp, err := client.Get("https://data.example.gov/resource/abcd-1234.json")
package sodahttp
