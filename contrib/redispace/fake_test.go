package redispace

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A fakeRedis is a store in this process, for bubbles.
type fakeRedis struct {
	mu       sync.Mutex
	interval time.Duration
	burst    time.Duration // in turns' time
	trip     time.Duration // what an answer takes
	down     error         // what it answers instead
	deaf     chan struct{} // if not nil: it answers when this is closed, whatever the context says

	tat         time.Time // the theoretical arrival time of the next turn, as GCRA has it
	pausedUntil time.Time
	takes       int
	taken       int
	fullUntil   time.Time // there are no turns before
}

func newFake(rate float64, sharedBurst int) *fakeRedis {
	turn := time.Duration(float64(time.Second) / rate)
	return &fakeRedis{interval: turn, burst: time.Duration(sharedBurst) * turn, trip: 500 * time.Microsecond}
}

func (f *fakeRedis) set(down error, deaf chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down, f.deaf = down, deaf
}

func (f *fakeRedis) answer(ctx context.Context) error {
	f.mu.Lock()
	deaf, down := f.deaf, f.down
	f.mu.Unlock()
	if deaf != nil {
		<-deaf
		return nil
	}
	time.Sleep(f.trip)
	return down
}

func (f *fakeRedis) take(ctx context.Context, n int) (grant, error) {
	if left, err := f.left(ctx); err != nil || left > 0 {
		return grant{pause: left}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takes++
	if full := time.Until(f.fullUntil); full > 0 {
		return grant{none: full}, nil
	}
	f.taken += n
	now := time.Now()
	if f.tat.Before(now) {
		f.tat = now
	}
	first := f.tat.Add(f.interval - f.burst).Sub(now)
	f.tat = f.tat.Add(time.Duration(n) * f.interval)
	return grant{first: first}, nil
}

func (f *fakeRedis) left(ctx context.Context) (time.Duration, error) {
	if err := f.answer(ctx); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(time.Until(f.pausedUntil), 0), nil
}

func (f *fakeRedis) pause(ctx context.Context, d time.Duration) error {
	if err := f.answer(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if then := time.Now().Add(d); then.After(f.pausedUntil) {
		f.pausedUntil = then
	}
	return nil
}

var errGone = errors.New("connection refused")
