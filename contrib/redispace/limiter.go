// Package redispace shares one quota among processes, through Redis: the rate
// at which they send, all together, and the pause that a server asks one of
// them for.
//
//	shared := &redispace.Limiter{
//		Client: redis.NewClient(&redis.Options{Addr: "redis:6379"}),
//		Key:    portal + " " + token, // hashed before it is sent
//		Rate:   50,
//	}
//	rt := &transport.Transport{
//		Policy:  policy.Batch(),
//		Limiter: shared,
//		OnEvent: shared.OnEvent(transport.LogTo(slog.Default().Handler())),
//	}
//
// The processes need not know of each other, and their clocks need not agree.
// Each takes its turns ahead: the next free ones, by github.com/go-redis/redis_rate
// and the clock of Redis, at most 20 ms' worth in one round trip, and one alone
// as long as it has no use for more. So there is no race for tokens, and turns
// go round. A turn that is not used in time is lost, never sent late: what the
// server sees keeps to Rate and Burst. A process that dies loses the turns that
// it had taken.
//
// Where it is weak:
//
//   - All who share a Key must have the same Rate and Burst. It does not learn
//     them: set Rate a little below what the server allows, since the way to the
//     server is not always equally long.
//   - Others hear of a pause when they next ask, at most 20 ms later; what is
//     under way by then is under way.
//   - While Redis cannot be asked, the sum of all shares is what the server sees.
//     A process that is cut off from Redis while others are not comes on top.
//   - If Redis loses its memory, what was taken ahead is given away once more:
//     for up to 10 s there may be twice the rate.
package redispace

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/pace"
)

// A Limiter is one quota, for the Limiter of a transport.Transport, or of
// several that send by the same quota. It is safe for concurrent use; its fields
// must not be changed once it is in use, and it must not be copied. The zero
// value has no limit, and pauses this process alone.
type Limiter struct {
	// Client is how Redis is reached. It is the caller's to close. Note that
	// go-redis logs lost connections on standard error, unless redis.SetLogger
	// says otherwise. If nil, nothing is shared: Rate is this process's own.
	Client redis.UniversalClient

	// Key names the quota, mostly by the host and the token. Redis gets to see
	// a hash of it. If empty, all who give none share one quota.
	Key string

	// Rate is how many requests all processes together may send in a second. 0
	// or less means no limit; pauses are shared all the same. With less than one
	// in 30 days, or NaN, Wait returns an error.
	Rate float64

	// Burst is how many requests the server takes at once, when there were none
	// for a while. It has to make up for the differences on the way, too: half
	// of it is for turns that are used late. At most a million are used, and no
	// more than Rate makes up for in a year. 0 or less means what Rate allows
	// in 100 ms, but at least 1.
	Burst int

	// FailClosed sends nothing while Redis cannot be asked: Wait then returns
	// an error that is an ErrRedis. If false, this process goes on by itself,
	// at its Share.
	FailClosed bool

	// Share is the part of Rate that this process sends at while Redis cannot be
	// asked. One over the number of processes is safe. 0 or less means 1/4.
	Share float64

	// Timeout is how long Redis may take for an answer, whatever the timeouts of
	// Client are. 0 or less means 500 ms.
	Timeout time.Duration

	// MaxPause bounds how long one answer of the server can pause everybody, and
	// cuts a longer pause that is found in Redis. More than a year is a year. 0
	// or less means an hour.
	MaxPause time.Duration

	// OnRedis is told when Redis cannot be asked any more, with the reason, and
	// with nil when it can be again, by a caller of Wait. If nil, nobody is
	// told.
	OnRedis func(error)

	once  sync.Once
	wrong error         // with the fields
	store store         // nil if nothing is shared
	local *rate.Limiter // while Redis cannot be asked; nil if there is no limit

	queue pace.Queue // whose head alone has the hand
	hand  hand

	mu     sync.Mutex
	pauses pauses
	outage outage
}

// setUp makes what the fields ask for.
func (l *Limiter) setUp() {
	if l.Rate > 0 && l.Rate < slowest || math.IsNaN(l.Rate) {
		l.wrong = fmt.Errorf("redispace: a Rate of %v per second is no rate: use 0 for no limit, or at least one in 30 days", l.Rate)
		return
	}
	if l.store == nil && l.Client != nil {
		l.store = newRedisStore(l)
	}
	switch {
	case !l.limited():
	case l.store == nil:
		l.local = rate.NewLimiter(rate.Limit(l.Rate), l.burst())
	default:
		l.local = rate.NewLimiter(rate.Limit(l.Rate*l.share()), 1)
	}
}

// Wait returns nil when a request may be sent. Its callers are let through one
// at a time, in the order of their coming. If ctx ends before, it returns the
// cause; if its deadline is before the turn, it returns a *pace.TooLate at once.
func (l *Limiter) Wait(ctx context.Context) error {
	l.once.Do(l.setUp)
	if l.wrong != nil {
		return l.wrong
	}
	return l.queue.Wait(ctx, (*head)(l))
}

// A head is a Limiter as the head of its queue sees it.
type head Limiter

func (h *head) Wait(ctx context.Context) error {
	l := (*Limiter)(h)
	defer l.tell()
	for {
		if err := l.outlast(ctx); err != nil {
			return err
		}
		went, err := l.turn(ctx)
		if err != nil {
			return err
		}
		if went && !time.Now().Before(l.pausedUntil()) {
			l.hand.last = time.Now()
			return nil
		}
	}
}

// turn waits for a turn. It reports false if there was none after all, but news.
func (l *Limiter) turn(ctx context.Context) (went bool, err error) {
	if l.store == nil {
		return true, l.alone(ctx)
	}
	down, settling := l.whatOfRedis()
	switch {
	case down != nil && l.FailClosed:
		return false, fmt.Errorf("%w, and it must be: %w", ErrRedis, down)
	case down != nil:
		return true, l.alone(ctx)
	case settling:
		if err := l.alone(ctx); err != nil {
			return false, err
		}
	}
	return l.together(ctx)
}

// alone waits for a turn by this process's own share.
func (l *Limiter) alone(ctx context.Context) error {
	if l.local == nil {
		return nil
	}
	turn := l.local.Reserve()
	if err := sleepUntil(ctx, time.Now().Add(turn.Delay())); err != nil {
		turn.Cancel()
		return err
	}
	return nil
}

// sleepUntil waits until then. If ctx ends before, it returns the cause, and if
// its deadline is before, an error at once.
func sleepUntil(ctx context.Context, then time.Time) error { return sleep(ctx, then, then) }

// sleep is sleepUntil, but returns nil at look, if that comes first.
func sleep(ctx context.Context, then, look time.Time) error {
	wait := time.Until(then)
	if wait <= 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(then) {
		return &pace.TooLate{Wait: wait, Turn: then}
	}
	timer := time.NewTimer(min(wait, time.Until(look)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return pace.Cause(ctx)
	}
}

const (
	defaultShare    = 1.0 / 4
	defaultTimeout  = 500 * time.Millisecond
	defaultMaxPause = time.Hour
	defaultBurst    = 100 * time.Millisecond // of Rate
	fastest         = 1e6                    // a second: faster is no limit
	slowest         = 1.0 / (30 * 24 * 3600) // a second: turns' times must not overflow
	mostBurst       = 1e6
	year            = 365 * 24 * time.Hour
)

func (l *Limiter) limited() bool { return l.Rate > 0 && l.Rate < fastest }

// interval is the time between two turns.
func (l *Limiter) interval() time.Duration { return time.Duration(float64(time.Second) / l.Rate) }

func (l *Limiter) burst() int {
	if l.Burst > 0 && l.limited() {
		return min(l.Burst, mostBurst, int(year/l.interval()))
	}
	return max(int(l.Rate*defaultBurst.Seconds()), 1)
}

func (l *Limiter) maxPause() time.Duration {
	return min(orDefault(l.MaxPause, defaultMaxPause), year)
}

func (l *Limiter) share() float64 {
	if l.Share > 0 {
		return l.Share
	}
	return defaultShare
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}
