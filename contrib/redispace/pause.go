package redispace

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/transport"
)

// OnEvent returns an OnEvent for a transport.Transport, which pauses all
// processes when one of them is told to slow down: as long as the Retry-After of
// a 429 or a 503 says, and after a 429 that has none as long as it takes the
// server to make up for Burst. It then calls next, unless that is nil.
func (l *Limiter) OnEvent(next func(transport.Event)) func(transport.Event) {
	return func(e transport.Event) {
		if e.Kind == transport.AttemptDone {
			if d := l.pauseFor(e.Attempt()); d > 0 {
				l.Pause(d) // that Redis cannot be asked is told to OnRedis
			}
		}
		if next != nil {
			next(e)
		}
	}
}

// pauseFor returns how long a asks everybody to be silent.
func (l *Limiter) pauseFor(a transport.Attempt) time.Duration {
	switch {
	case a.Class != classify.Throttled:
		return 0
	case a.RetryAfter == 0 && a.Status == http.StatusTooManyRequests && l.limited():
		return time.Duration(l.burst()) * l.interval()
	}
	return a.RetryAfter
}

// Pause has no process send for d, but at most MaxPause. A longer pause stays as
// it is. If the others cannot be told, because Redis cannot be asked, it holds
// for this process alone and the error is an ErrRedis.
func (l *Limiter) Pause(d time.Duration) error {
	l.once.Do(l.setUp)
	d = min(d, orDefault(l.MaxPause, defaultMaxPause))
	if d <= 0 {
		return nil
	}
	l.hold(time.Now().Add(d))
	if l.store == nil {
		return nil
	}
	l.mu.Lock()
	err := l.outage.err
	l.mu.Unlock()
	if err == nil {
		if _, err = ask(l, func(ctx context.Context) (struct{}, error) { return struct{}{}, l.store.pause(ctx, d) }); err != nil {
			l.wentDown(err)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRedis, err)
	}
	return nil
}

// hold has this process wait until then.
func (l *Limiter) hold(then time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if then.After(l.paused) {
		l.paused = then
	}
}

func (l *Limiter) pausedUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused
}
