package redispace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// ErrRedis is the error of a Wait that needs Redis, while Redis cannot be asked.
var ErrRedis = errors.New("redispace: Redis cannot be asked")

// An outage is what is known of Redis.
type outage struct {
	err     error     // why it cannot be asked; nil if it can
	probeAt time.Time // when to find out whether that is over
	probing bool
	settled time.Time // when all others must have found out, too
	news    []error   // to be told
}

const (
	probeEvery = time.Second     // half to one and a half times
	settle     = 2 * time.Second // longer than a probe takes to come
)

// ask has f ask Redis, and waits no longer than Timeout: the timeouts of the
// Client may be longer, and it need not look at the context.
func ask[T any](l *Limiter, f func(context.Context) (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	timeout := orDefault(l.Timeout, defaultTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done := make(chan answer, 1)
	go func() {
		v, err := f(ctx)
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.v, a.err
	case <-ctx.Done():
		return answer{}.v, fmt.Errorf("no answer in %v", timeout)
	}
}

// wentDown notes that Redis cannot be asked.
func (l *Limiter) wentDown(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outage.err == nil {
		l.outage.news = append(l.outage.news, err)
	}
	l.outage.err = err
	l.outage.probeLater()
}

func (o *outage) probeLater() {
	o.probeAt = time.Now().Add(time.Duration((0.5 + rand.Float64()) * float64(probeEvery)))
}

// whatOfRedis returns why Redis cannot be asked, and has a probe sent if it is
// time to. If it can be, settling says that this was not so a moment ago: until
// the others must have found out too, each keeps to its share beside.
func (l *Limiter) whatOfRedis() (down error, settling bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &l.outage
	if o.err != nil && !o.probing && !time.Now().Before(o.probeAt) {
		o.probing = true
		go l.probe()
	}
	return o.err, time.Now().Before(o.settled)
}

// probe finds out whether Redis is there again, which no caller waits for.
func (l *Limiter) probe() {
	ctx, cancel := context.WithTimeout(context.Background(), orDefault(l.Timeout, defaultTimeout))
	defer cancel()
	var err error
	if l.limited() { // what it says of turns may be what was wrong
		_, err = l.store.take(ctx, 0)
	} else {
		_, err = l.store.left(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &l.outage
	o.probing = false
	if err != nil {
		o.err = err
		o.probeLater()
		return
	}
	o.err, o.settled = nil, time.Now().Add(settle)
	o.news = append(o.news, nil)
}

// tell tells the news.
func (l *Limiter) tell() {
	l.mu.Lock()
	news := l.outage.news
	l.outage.news = nil
	l.mu.Unlock()
	if l.OnRedis != nil {
		for _, err := range news {
			l.OnRedis(err)
		}
	}
}
