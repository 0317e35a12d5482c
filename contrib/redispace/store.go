package redispace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// A store is what processes share of a quota.
type store interface {
	// take takes the next n turns, unless there is a pause. With 0 it only finds
	// out whether Redis could answer.
	take(ctx context.Context, n int) (grant, error)
	// left returns how much is left of a pause.
	left(ctx context.Context) (time.Duration, error)
	// pause makes a pause at least that long.
	pause(ctx context.Context, d time.Duration) error
}

// A grant is the answer to a take.
type grant struct {
	pause time.Duration // left of a pause; then there are no turns
	none  time.Duration // until there will be turns, if too many are taken
	first time.Duration // until the first of the turns; less than 0 if it has come
}

// A redisStore keeps a quota under two keys, in one slot of a cluster.
type redisStore struct {
	client   redis.UniversalClient
	rate     *redis_rate.Limiter
	rateKey  string
	pauseKey string
	limit    redis_rate.Limit // with the turns that may be taken ahead
	burst    time.Duration    // in turns' time
	maxPause time.Duration
}

// Turns that are taken ahead, of all processes together, are those of 10 s, and
// mostly 100 at least.
const (
	horizon      = 10 * time.Second
	leastHorizon = 100
)

func newRedisStore(l *Limiter) *redisStore {
	sum := sha256.Sum256([]byte(l.Key))
	name := "sodahttp:{" + hex.EncodeToString(sum[:16]) + "}"
	s := &redisStore{client: l.Client, rate: redis_rate.NewLimiter(l.Client), rateKey: name, pauseKey: name + ":pause", maxPause: l.maxPause()}
	if l.limited() {
		turn := l.interval()
		burst := l.sharedBurst()
		s.burst = time.Duration(burst) * turn
		s.limit = redis_rate.Limit{Rate: 1, Period: turn, Burst: burst + max(int(horizon/turn), leastHorizon)}
	}
	return s
}

// take has redis_rate, which knows tokens, hand out turns: with a burst that is
// longer by the time ahead, it gives tokens away before they are there, and how
// long its bucket takes to fill up tells when they will be.
func (s *redisStore) take(ctx context.Context, n int) (grant, error) {
	left, err := s.left(ctx)
	if err != nil || left > 0 {
		return grant{pause: left}, err
	}
	r, err := s.rate.AllowN(ctx, s.rateKey, s.limit, n)
	switch {
	case err != nil:
		return grant{}, err
	case r.ResetAfter < 0 || n > 0 && r.ResetAfter == 0 || r.ResetAfter > s.furthest():
		// Its clock went back, or the key is not what redis_rate wrote: too
		// large a number, or none, is less than 0 or the largest.
		return grant{}, fmt.Errorf("its turns are taken for the next %v, more than the %v that can be", r.ResetAfter, s.furthest())
	case r.Allowed == 0 && n > 0:
		return grant{none: max(r.RetryAfter, time.Millisecond)}, nil
	}
	return grant{first: r.ResetAfter - time.Duration(n-1)*s.limit.Period - s.burst}, nil
}

// furthest is how far ahead the last turn that was taken can be, and a second
// for what a clock may be set by.
func (s *redisStore) furthest() time.Duration {
	return time.Duration(s.limit.Burst)*s.limit.Period + time.Second
}

func (s *redisStore) left(ctx context.Context) (time.Duration, error) {
	left, err := s.client.PTTL(ctx, s.pauseKey).Result()
	if err != nil || left < 0 { // there is none
		return 0, err
	}
	if left > s.maxPause { // for everybody, or it would be as long when next read
		left = s.maxPause
		if err := s.client.PExpire(ctx, s.pauseKey, left).Err(); err != nil {
			return 0, err
		}
	}
	return left + time.Millisecond, nil // it is rounded down
}

// longer makes a pause, and never shortens one.
var longer = redis.NewScript(`
if redis.call("PTTL", KEYS[1]) < tonumber(ARGV[1]) then
	redis.call("SET", KEYS[1], "", "PX", ARGV[1])
end
return 1`)

func (s *redisStore) pause(ctx context.Context, d time.Duration) error {
	ms := max(d+time.Millisecond-1, time.Millisecond) / time.Millisecond // never too short
	return longer.Run(ctx, s.client, []string{s.pauseKey}, int64(ms)).Err()
}
