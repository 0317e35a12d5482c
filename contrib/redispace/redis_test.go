package redispace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/sodahttp/sodahttp/contrib/redispace"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/policy"
	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

const (
	secret   = "tok-Zk3vB9xQ7wL1"
	pauseEnv = "REDISPACE_TEST_PAUSE" // the address of Redis, for a process that pauses the others
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis reports each lost connection
	if addr := os.Getenv(pauseEnv); addr != "" {
		l := &redispace.Limiter{Client: redis.NewClient(&redis.Options{Addr: addr}), Key: secret}
		if err := l.Pause(time.Minute); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A redisServer is a real one, on a port of its own, that keeps nothing.
type redisServer struct {
	addr string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NOT TESTED: there is no redis-server (apt-get install redis-server)")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{addr: ln.Addr().String()}
	ln.Close()
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *redisServer) start(t testing.TB) {
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	var out strings.Builder
	s.cmd.Stdout = &out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := s.client(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for client.Ping(ctx).Err() != nil {
		if ctx.Err() != nil {
			s.kill()
			t.Fatalf("redis-server does not start:\n%s", out.String())
		}
	}
}

// kill sends it SIGKILL.
func (s *redisServer) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *redisServer) client(t testing.TB) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.addr})
	t.Cleanup(func() { c.Close() })
	return c
}

// A worker stands for a process: it shares nothing with the others but Redis.
type worker struct {
	limiter *redispace.Limiter
	client  *http.Client
	back    chan struct{} // gets one when Redis is there again

	mu      sync.Mutex
	refused bool // by an ErrRedis, and Redis is not back yet
}

func (w *worker) heard(err error) {
	if err == nil {
		w.mu.Lock()
		w.refused = false
		w.mu.Unlock()
		w.back <- struct{}{}
	}
}

func workers(t testing.TB, n int, r *redisServer, srv *sodatest.Server, closed bool) []*worker {
	var all []*worker
	for range n {
		w := &worker{back: make(chan struct{}, 10)}
		w.limiter = &redispace.Limiter{Client: r.client(t), Key: srv.URL + " " + secret, Rate: 100, Burst: 10,
			FailClosed: closed, OnRedis: w.heard}
		w.client = &http.Client{Transport: &transport.Transport{
			Base:    &transport.AppToken{Token: secret, Base: srv.Transport()},
			Policy:  policy.Batch(),
			Limiter: w.limiter,
			OnEvent: w.limiter.OnEvent(nil),
		}}
		all = append(all, w)
	}
	return all
}

// work has each worker ask from 4 goroutines, until ctx ends. What comes of a
// request goes to done.
func work(ctx context.Context, t *testing.T, all []*worker, url string, done func(w *worker, err error)) (wait func()) {
	var wg sync.WaitGroup
	for _, w := range all {
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					err := get(ctx, w.client, url)
					if ctx.Err() == nil {
						done(w, err)
					}
				}
			})
		}
	}
	return wg.Wait
}

func get(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		return errors.New(resp.Status)
	}
	return nil
}

// portal takes 100 requests per second from all workers together.
func portal(t *testing.T) (*sodatest.Server, string) {
	srv := sodatest.NewServer(sodatest.TokenBucket(100, 20))
	t.Cleanup(srv.Close)
	return srv, srv.URL + "/resource/" + sodatest.SampleID + ".json?$limit=1"
}

// quotaKept checks that the portal refused at most 2 %, of at least 100.
func quotaKept(t *testing.T, srv *sodatest.Server) {
	t.Helper()
	all, refused := srv.Requests(), 0
	for _, r := range all {
		if r.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	t.Logf("%d of %d refused", refused, len(all))
	if len(all) < 100 || refused*50 > len(all) {
		t.Errorf("%d of %d refused", refused, len(all))
	}
}

func TestQuotaIsKept(t *testing.T) {
	r := startRedis(t)
	srv, url := portal(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var n atomic.Int64
	wait := work(ctx, t, workers(t, 4, r, srv, false), url, func(_ *worker, err error) {
		if err != nil {
			t.Error(err)
		}
		if n.Add(1) == 600 {
			cancel()
		}
	})
	wait()
	quotaKept(t, srv)
}

// TestBurst takes at once what half of Burst allows, and no more.
func TestBurst(t *testing.T) {
	l := &redispace.Limiter{Client: startRedis(t).client(t), Rate: 0.01, Burst: 9}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 6 {
		if err := l.Wait(ctx); (err == nil) != (i < 5) {
			t.Errorf("request %d: %v", i+1, err)
		}
	}
}

// TestRedisIsKilled in the middle of the work, and comes back without a memory.
func TestRedisIsKilled(t *testing.T) {
	r := startRedis(t)
	srv, url := portal(t)
	all := workers(t, 4, r, srv, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := make(chan struct{})
	wait := work(ctx, t, all, url, func(_ *worker, err error) {
		if err != nil {
			t.Error(err)
		}
		select {
		case n <- struct{}{}:
		case <-ctx.Done():
		}
	})
	more := func(k int) {
		for range k {
			<-n
		}
	}
	more(150)
	r.kill()
	more(200) // it goes on
	r.start(t)
	for _, w := range all {
		for back := false; !back; {
			select {
			case <-w.back:
				back = true
			case <-n:
			}
		}
	}
	more(400)
	cancel()
	wait()
	quotaKept(t, srv)
}

// TestRedisIsKilledAndMustNotBe is the same, failing closed.
func TestRedisIsKilledAndMustNotBe(t *testing.T) {
	r := startRedis(t)
	srv, url := portal(t)
	all := workers(t, 2, r, srv, true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	good, bad := make(chan struct{}), make(chan *worker)
	wait := work(ctx, t, all, url, func(w *worker, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case err == nil:
			select {
			case good <- struct{}{}:
			case <-ctx.Done():
			}
		case errors.Is(err, redispace.ErrRedis):
			w.refused = true
			select {
			case bad <- w:
			case <-ctx.Done():
			}
		default:
			t.Error(err)
		}
	})
	for range 100 {
		<-good
	}
	r.kill()
	refused := map[*worker]int{}
	for len(refused) < 2 || refused[all[0]] < 50 || refused[all[1]] < 50 {
		select {
		case <-good:
		case w := <-bad:
			refused[w]++
		}
	}
	before := len(srv.Requests())
	for range 100 {
		select {
		case <-good:
		case <-bad:
		}
	}
	if after := len(srv.Requests()); after != before {
		t.Errorf("%d requests without Redis", after-before)
	}
	r.start(t)
	for k := 0; k < 100; {
		select {
		case <-good:
			k++
		case <-bad:
		}
	}
	cancel()
	wait()
	quotaKept(t, srv)
}

// TestPausedByAnotherProcess: there is a turn only after the pause, which ends
// as its key does.
func TestPausedByAnotherProcess(t *testing.T) {
	r := startRedis(t)
	client := r.client(t)
	for _, rate := range []float64{0, 1000} {
		l := &redispace.Limiter{Client: client, Key: secret, Rate: rate}
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := exec.CommandContext(t.Context(), os.Args[0])
		other.Env = append(os.Environ(), pauseEnv+"="+r.addr)
		if out, err := other.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := error(nil)
		for err == nil { // what was known before the pause may be used up
			err = l.Wait(ctx)
		}
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "turn") {
			t.Errorf("rate %v: paused for a minute, got %v", rate, err)
		}
		keys, err := client.Keys(t.Context(), "*:pause").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("keys %q, %v", keys, err)
		}
		if left := client.PTTL(t.Context(), keys[0]).Val(); left > time.Minute || left < 10*time.Second {
			t.Errorf("the pause goes on for %v", left)
		}
		client.Del(t.Context(), keys[0])
	}
}

// TestPauseIsNotShortened looks at the key.
func TestPauseIsNotShortened(t *testing.T) {
	r := startRedis(t)
	client := r.client(t)
	l := &redispace.Limiter{Client: client}
	for _, d := range []time.Duration{time.Hour, time.Minute} {
		if err := l.Pause(d); err != nil {
			t.Fatal(err)
		}
	}
	keys := client.Keys(t.Context(), "*").Val()
	if len(keys) != 1 || client.PTTL(t.Context(), keys[0]).Val() < 59*time.Minute {
		t.Errorf("%q: %v", keys, client.PTTL(t.Context(), keys[0]).Val())
	}
}

// TestBadTurns: what is not what redis_rate wrote stops nobody, is told once as
// long as it is there, and is over when it is gone.
func TestBadTurns(t *testing.T) {
	r := startRedis(t)
	client := r.client(t)
	for _, bad := range []string{"4e9", "nan", "inf", "1e300"} {
		var news []error
		l := &redispace.Limiter{Client: client, Key: bad, Rate: 1000, OnRedis: func(err error) { news = append(news, err) }}
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys := client.Keys(t.Context(), "rate:*").Val()
		if len(keys) != 1 {
			t.Fatalf("keys %q", keys)
		}
		client.Set(t.Context(), keys[0], bad, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for range 600 { // more than 2 s at its share
			if err := l.Wait(ctx); err != nil {
				t.Fatalf("%s: %v", bad, err)
			}
		}
		if len(news) != 1 || news[0] == nil {
			t.Errorf("%s: told %v", bad, news)
		}
		client.Del(t.Context(), keys[0])
		for len(news) == 1 {
			if err := l.Wait(ctx); err != nil {
				t.Fatalf("%s: %v", bad, err)
			}
		}
		cancel()
		client.FlushAll(t.Context())
	}
}

// TestLongPauseIsCut to MaxPause, in Redis.
func TestLongPauseIsCut(t *testing.T) {
	client := startRedis(t).client(t)
	if err := (&redispace.Limiter{Client: client, MaxPause: 1<<63 - 1}).Pause(1<<63 - 1); err != nil {
		t.Fatal(err)
	}
	keys := client.Keys(t.Context(), "*:pause").Val()
	if len(keys) != 1 || client.PTTL(t.Context(), keys[0]).Val() < 24*time.Hour {
		t.Fatalf("keys %q", keys)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var late *pace.TooLate
	err := (&redispace.Limiter{Client: client, MaxPause: time.Minute}).Wait(ctx)
	if !errors.As(err, &late) || late.Wait > time.Minute+time.Second {
		t.Errorf("got %v", err)
	}
	if left := client.PTTL(t.Context(), keys[0]).Val(); left <= 0 || left > time.Minute {
		t.Errorf("%v left", left)
	}
}

// TestNoSecretInRedis looks at all that is sent there.
func TestNoSecretInRedis(t *testing.T) {
	r := startRedis(t)
	var sent wiretap
	client := redis.NewClient(&redis.Options{Addr: r.addr, Dialer: sent.dial})
	defer client.Close()
	l := &redispace.Limiter{Client: client, Key: secret, Rate: 1000}
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Pause(time.Second); err != nil {
		t.Fatal(err)
	}
	if got := sent.String(); strings.Contains(got, secret) || !strings.Contains(got, "sodahttp:{") {
		t.Errorf("sent %q", got)
	}
}

// A wiretap keeps what is written to connections.
type wiretap struct {
	mu  sync.Mutex
	all strings.Builder
}

func (w *wiretap) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

func (w *wiretap) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	return &tapped{c, w}, err
}

type tapped struct {
	net.Conn
	tap *wiretap
}

func (c *tapped) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.all.Write(b)
	return c.Conn.Write(b)
}

// BenchmarkWait shows what rate is reached by processes that want more, and by
// how many commands to Redis.
func BenchmarkWait(b *testing.B) {
	for _, row := range []struct {
		rate             float64
		burst, processes int
	}{{100, 0, 1}, {100, 1, 1}, {100, 0, 4}, {1000, 0, 1}, {1000, 1, 1}, {1000, 0, 4}, {1000, 0, 16}, {0, 0, 1}} {
		b.Run(fmt.Sprintf("rate=%v/burst=%v/processes=%v", row.rate, row.burst, row.processes), func(b *testing.B) {
			r := startRedis(b)
			client := r.client(b)
			var wg sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			before := commands(b, client)
			b.ResetTimer()
			for range row.processes {
				l := &redispace.Limiter{Client: r.client(b), Rate: row.rate, Burst: row.burst}
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if err := l.Wait(b.Context()); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "waits/s")
			b.ReportMetric((commands(b, client)-before)/float64(b.N), "commands/wait")
		})
	}
}

// commands returns how many commands Redis was sent so far.
func commands(b *testing.B, client *redis.Client) (n float64) {
	for line := range strings.Lines(client.Info(b.Context(), "stats").Val()) {
		fmt.Sscanf(line, "total_commands_processed:%f", &n)
	}
	return n
}
