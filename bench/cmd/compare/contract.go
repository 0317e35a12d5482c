package main

import (
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/bench"
)

func obligations(_ *testing.T, r *run) {
	n := 0
	m, err := bench.Contract(func(name string) {
		if n++; n%10 == 1 {
			r.progress("contract, " + strings.ReplaceAll(name, "_", " "))
		}
	})
	if err != nil {
		panic(err)
	}
	r.printf("## The contract\n\nEach check of `sodatest/contract` in a process of its own (`go run ./cmd/contract`). bare is an http.Transport.\n\n")
	m.Write(&r.text)
	r.printf("\nresty and heimdall are held to what a RoundTripper owes, which their documentation does not promise. Some of what others fail can be configured away.\n\n")
}
