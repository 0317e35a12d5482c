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
	d = min(d, l.maxPause())
	if d <= 0 {
		return nil
	}
	then := time.Now().Add(d)
	l.hold(then)
	if l.store == nil {
		return nil
	}
	l.mu.Lock()
	err := l.outage.err
	l.pauses.telling++
	l.mu.Unlock()
	if err == nil {
		if _, err = ask(l, func(ctx context.Context) (struct{}, error) { return struct{}{}, l.store.pause(ctx, d) }); err != nil {
			l.wentDown(err)
		}
	}
	l.mu.Lock()
	l.pauses.telling--
	l.pauses.made++
	if err != nil && then.After(l.pauses.own) {
		l.pauses.own = then
	}
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRedis, err)
	}
	return nil
}

// pauses are those that hold for this process.
type pauses struct {
	until   time.Time // as Redis has it, or will
	own     time.Time // what Redis could not be told
	telling int       // how many are on their way to Redis
	made    int       // how many have been there
}

// hold has this process wait until then.
func (l *Limiter) hold(then time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if then.After(l.pauses.until) {
		l.pauses.until = then
	}
}

func (l *Limiter) pausesMade() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pauses.made
}

// believe has this process wait until then, even if that is sooner than it
// knew: the pause was lifted. An answer that may be older than a pause of this
// process, which is the case if seen is not the number of them any more, cannot
// lift it.
func (l *Limiter) believe(then time.Time, seen int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.pauses
	if then.After(p.until) || p.telling == 0 && p.made == seen {
		p.until = then
	}
}

func (l *Limiter) pausedUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pauses.own.After(l.pauses.until) {
		return l.pauses.own
	}
	return l.pauses.until
}

// outlast waits for the end of the pause, and asks Redis meanwhile whether it
// goes on.
func (l *Limiter) outlast(ctx context.Context) error {
	for {
		if !time.Now().Before(l.pausedUntil()) {
			return nil
		}
		look := time.Now().Add(askEvery)
		if l.store != nil {
			if down, _ := l.whatOfRedis(); down == nil {
				if time.Since(l.hand.asked) >= askEvery {
					l.check()
				}
				look = l.hand.asked.Add(askEvery)
			}
			l.tell()
		}
		if err := sleep(ctx, l.pausedUntil(), look); err != nil {
			return err
		}
	}
}
