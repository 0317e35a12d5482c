package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// workers has do called for all of todo, in its order, by n goroutines. The first
// error ends the others' contexts and is returned. When asked ends, nothing more
// is begun, and if something is left to do, or was given up, the error is
// errInterrupted.
func workers(asked, ctx context.Context, n int, todo []int, do func(context.Context, int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	next := make(chan int)
	var running sync.WaitGroup
	var gaveUp atomic.Bool
	for range min(n, len(todo)) {
		running.Go(func() {
			for i := range next {
				switch err := do(ctx, i); {
				case errors.Is(err, errInterrupted):
					gaveUp.Store(true) // and others may still end well
				case err != nil:
					fail(err)
				}
			}
		})
	}
	begun := 0
	for asked.Err() == nil && ctx.Err() == nil && begun < len(todo) {
		select {
		case next <- todo[begun]:
			begun++
		case <-asked.Done():
		case <-ctx.Done():
		}
	}
	close(next)
	running.Wait()
	if ctx.Err() == nil && (begun < len(todo) || gaveUp.Load()) {
		return errInterrupted
	}
	return context.Cause(ctx)
}

// every has f called at intervals of d, and once more by the function that it
// returns, which ends this.
func every(d time.Duration, f func()) (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f()
			case <-quit:
				f()
				return
			}
		}
	}()
	return func() { close(quit); <-gone }
}
