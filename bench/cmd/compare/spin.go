package main

import (
	"net/http"
	"runtime"
	"time"
)

// busy answers after keeping a processor for a while, as a Base does that
// writes a request and reads its answer.
type busy int

func (rounds busy) RoundTrip(*http.Request) (*http.Response, error) {
	runtime.KeepAlive(spin(int(rounds)))
	return success(), nil
}

// spin takes a time in proportion to n and touches no memory.
//
//go:noinline
func spin(n int) (x uint64) {
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// rounds returns how much spinning takes d here.
func rounds(d time.Duration) int {
	const n = 1_000_000
	best := time.Hour
	for range 10 { // somebody else may have the processor meanwhile
		start := time.Now()
		runtime.KeepAlive(spin(n))
		best = min(best, time.Since(start))
	}
	return int(n * d / best)
}
