package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/contrib/redispace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/transport"
)

// A worker takes pages out of the queue.
type worker struct {
	job
	plan   *plan
	client *http.Client
	log    *slog.Logger

	limit       redispace.Limiter // but for the Client and the Key
	concurrency int
	drain       time.Duration
}

// work is the command.
func work(ctx context.Context, args []string, out io.Writer) error {
	w := &worker{log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("pid", os.Getpid())}
	f := w.flags("work")
	f.Float64Var(&w.limit.Rate, "rps", 10, "`requests` per second of all workers together")
	f.IntVar(&w.limit.Burst, "burst", 0, "how many `requests` the portal takes at once; 0: what -rps gives in 100 ms")
	f.Float64Var(&w.limit.Share, "share", 0.25, "the `part` of -rps for this worker while Redis is away: one over their number")
	f.BoolVar(&w.limit.FailClosed, "closed", false, "send nothing while Redis is away")
	f.IntVar(&w.concurrency, "concurrency", 8, "how many `pages` at once")
	f.DurationVar(&w.drain, "drain", 25*time.Second, "how long SIGTERM lets pages be finished")
	if err := parse(f, args); err != nil {
		return err
	}
	var err error
	if w.plan, err = w.load(); err != nil {
		return err
	}
	redis, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer redis.Close()
	if err := w.dial(redis); err != nil {
		return err
	}
	return w.run(ctx, redis)
}

// dial makes the client, which is all that paces and repeats requests.
func (w *worker) dial(redis *redis.Client) error {
	token := os.Getenv("SODA_APP_TOKEN")
	portal, err := origin(w.plan.Portal, token)
	if err != nil {
		return fmt.Errorf("%s: %w", w.planFile(), err)
	}
	w.limit.Client, w.limit.Key, w.limit.OnRedis = redis, portal.Host+" "+token, w.hearOfRedis
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = w.concurrency
	patience := policy.Batch()
	patience.MaxElapsed = 10 * time.Minute // then the queue has it, and this worker another page
	w.client = &http.Client{Transport: &transport.Resume{Base: &transport.Transport{
		Base:    &transport.AppToken{Token: token, Host: portal.Host, Base: base},
		Policy:  patience,
		Limiter: &w.limit,
		OnEvent: w.limit.OnEvent(transport.LogTo(w.log.Handler())),
	}}}
	return nil
}

func (w *worker) hearOfRedis(err error) {
	if err != nil {
		w.log.Warn("Redis cannot be asked", "error", err, "fail_closed", w.limit.FailClosed)
		return
	}
	w.log.Info("Redis is back")
}

// run takes pages until there are none, or ctx ends.
func (w *worker) run(ctx context.Context, redis *redis.Client) error {
	handling, abort := context.WithCancel(context.Background())
	defer abort()
	server := asynq.NewServerFromRedisClient(redis, asynq.Config{
		Queues:                   map[string]int{w.plan.queue(): 1},
		Concurrency:              w.concurrency,
		BaseContext:              func() context.Context { return handling },
		ShutdownTimeout:          w.drain,
		DelayedTaskCheckInterval: time.Second,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		LogLevel:                 asynq.ErrorLevel,
	})
	if err := server.Start(asynq.HandlerFunc(w.handle)); err != nil {
		return err
	}
	err := w.watch(ctx, asynq.NewInspectorFromRedisClient(redis))
	server.Shutdown()
	return err
}

// watch returns when there is nothing left to do.
func (w *worker) watch(ctx context.Context, inspector *asynq.Inspector) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return later("stopped: %w", context.Cause(ctx))
		case <-tick.C:
		}
		q, err := look(inspector, w.plan.queue())
		if err != nil {
			continue // Redis is away
		}
		missing := w.missing(w.plan) // after the queue was asked: a page that is no longer in it is there
		switch {
		case missing == 0:
			return nil
		case q == nil:
			return later("%d pages are missing, and the queue is gone: plan again", missing)
		case q.Pending+q.Active+q.Scheduled+q.Retry > 0:
		case q.Archived > 0:
			return fmt.Errorf("%d pages were given up: look at the log, and plan again", q.Archived)
		default:
			return later("%d pages are missing, and not in the queue: plan again", missing)
		}
	}
}

// look returns what is in a queue, or nil if there is no such queue, for which
// asynq has no error that could be told from others.
func look(inspector *asynq.Inspector, queue string) (*asynq.QueueInfo, error) {
	all, err := inspector.Queues()
	if err != nil || !slices.Contains(all, queue) {
		return nil, err
	}
	return inspector.GetQueueInfo(queue)
}

// handle gets one page. That may be the second time, if a worker was gone
// before it could tell the queue.
func (w *worker) handle(ctx context.Context, task *asynq.Task) error {
	page, err := strconv.Atoi(string(task.Payload()))
	if err != nil || page < 0 || page >= w.plan.pages() {
		return fmt.Errorf("%q is no page: %w", task.Payload(), asynq.SkipRetry)
	}
	if w.has(page) {
		return nil
	}
	err = w.get(ctx, page)
	if err != nil {
		w.log.Warn("page failed", "page", page, "error", err)
	}
	return err
}

// get downloads a page into its file.
func (w *worker) get(ctx context.Context, page int) error {
	soql := url.Values{
		"$order":  {":id"},
		"$limit":  {strconv.Itoa(w.plan.PageRows)},
		"$offset": {strconv.Itoa(page * w.plan.PageRows)},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.plan.url(soql, "csv"), nil)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return classify.RedactError(err)
	}
	defer resp.Body.Close()
	if err := classify.Check(resp); err != nil {
		return final(resp, err)
	}
	if now := resp.Header.Get("X-SODA2-Truth-Last-Modified"); now != w.plan.Modified {
		return fmt.Errorf("the data set has changed: it was modified %s, and for the plan %s: %w", now, w.plan.Modified, asynq.SkipRetry)
	}
	return writeFile(w.part(page), func(file io.Writer) error {
		rows, _, err := scan(io.TeeReader(resp.Body, file))
		if err == nil && rows != w.plan.rowsOf(page) {
			err = fmt.Errorf("it has %d rows, and should have %d", rows, w.plan.rowsOf(page))
		}
		return err
	})
}

// final has the queue give a page up whose answer will be no other.
func final(resp *http.Response, err error) error {
	if classify.Of(resp.Request, resp, nil).Class == classify.Final {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	return err
}

// retryDelay is how long a page rests that failed. One whose worker is gone has
// rested.
func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return 0
	}
	return min(time.Second<<min(n, 10), time.Minute)
}

// isFailure tells what a page is to blame for: after ten of those it is given
// up. A worker that went with a page may have gone because of it.
func isFailure(err error) bool {
	return err != nil && !errors.Is(err, redispace.ErrRedis) && !errors.Is(err, context.Canceled)
}
