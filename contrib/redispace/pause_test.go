package redispace

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
	"github.com/sodahttp/sodahttp/transport"
)

// TestPause pauses all by one, with a limit and without.
func TestPause(t *testing.T) {
	for _, rate := range []float64{100, 0} {
		synctest.Test(t, func(t *testing.T) {
			fl := newFleet(3, &Limiter{Rate: 100})
			for _, l := range fl.limiters {
				l.Rate = rate
			}
			fl.fake.trip = time.Millisecond
			start := time.Now()
			time.AfterFunc(2*time.Second, func() {
				fl.limiters[0].Pause(4 * time.Second)
				fl.limiters[1].Pause(time.Second) // no shorter
			})
			for _, l := range fl.limiters {
				l.OnRedis = func(err error) { t.Error(err) }
			}
			fl.every = 5 * time.Millisecond
			fl.send(t, 2, 10*time.Second)
			if n := between(fl.sent, start, 2*time.Second+ahead+5*time.Millisecond, 6*time.Second); n > 0 {
				t.Errorf("rate %v: %d sent in the pause", rate, n)
			}
			for _, s := range []time.Duration{1, 7} {
				if n := between(fl.sent, start, s*time.Second, (s+1)*time.Second); n < 95 {
					t.Errorf("rate %v: %d sent in second %d", rate, n, s)
				}
			}
			if over := most(fl.sent, 100); rate > 0 && over > 10 {
				t.Errorf("%v at once", over)
			}
		})
	}
}

// TestPauseWithoutRedis: it holds for the process.
func TestPauseWithoutRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(2, &Limiter{Rate: 100})
		fl.fake.set(errGone, nil)
		start := time.Now()
		for _, d := range []time.Duration{6 * time.Second, time.Second} { // the second time nobody asks Redis
			if err := fl.limiters[0].Pause(d); !errors.Is(err, ErrRedis) || !errors.Is(err, errGone) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(start); took != fl.fake.trip {
			t.Errorf("said after %v", took)
		}
		fl.fake.set(nil, nil)
		if err := fl.limiters[0].Wait(t.Context()); err != nil || time.Since(start) < 6*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(time.Second) // for the probe
	})
}

// TestPauseOfWhoSleeps: a turn that comes in a pause is none.
func TestPauseOfWhoSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Limiter{Rate: 0.1, Burst: 1}
		start := time.Now()
		time.AfterFunc(9*time.Second, func() { l.Pause(5 * time.Second) })
		for range 2 {
			if err := l.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 14*time.Second {
			t.Errorf("sent after %v", took)
		}
	})
}

func TestMaxPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct{ most, asked, want time.Duration }{
			{0, 1 << 62, time.Hour},
			{time.Minute, time.Hour, time.Minute},
			{0, -time.Second, 0},
		} {
			l := &Limiter{MaxPause: row.most}
			start := time.Now()
			l.Pause(row.asked)
			if err := l.Wait(t.Context()); err != nil || time.Since(start) != row.want {
				t.Errorf("%+v: %v after %v", row, err, time.Since(start))
			}
		}
	})
}

// TestOnEvent has a Transport meet an answer, and looks how long the others are
// paused.
func TestOnEvent(t *testing.T) {
	throttle := sodatest.Fault("too-many-requests")
	later := throttle
	later.RetryAfter = "30"
	closed := sodatest.HTML(503)
	closed.RetryAfter = "20"
	gateway := sodatest.HTML(504)
	gateway.RetryAfter = "20"
	for _, row := range []struct {
		name  string
		reply sodatest.Reply
		want  time.Duration
	}{
		{"nothing", sodatest.Reply{}, 0},
		{"429", throttle, 200 * time.Millisecond}, // 20 at 100 per second
		{"429 with Retry-After", later, 30 * time.Second},
		{"503", sodatest.HTML(503), 0},
		{"503 with Retry-After", closed, 20 * time.Second},
		{"504 with Retry-After", gateway, 0},
		{"404", sodatest.Fault("not-found"), 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sodatest.NewServer(sodatest.InMemory(), sodatest.Replies(row.reply))
				defer srv.Close()
				fl := newFleet(2, &Limiter{Rate: 100, Burst: 20})
				told := 0
				rt := &transport.Transport{
					Base:    srv.Transport(),
					Limiter: fl.limiters[0],
					OnEvent: fl.limiters[0].OnEvent(func(transport.Event) { told++ }),
				}
				rt.Policy.MaxAttempts = 1
				resp, err := (&http.Client{Transport: rt}).Get(srv.URL + "/resource/" + sodatest.SampleID + ".json")
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if told == 0 {
					t.Error("the next OnEvent was not told")
				}
				left := time.Until(fl.fake.pausedUntil)
				if row.want == 0 && left > 0 || row.want > 0 && (left > row.want || left < row.want-10*time.Millisecond) {
					t.Errorf("paused for %v, want %v", left, row.want)
				}
				start := time.Now()
				if err := fl.limiters[1].Wait(t.Context()); err != nil || time.Since(start) < left {
					t.Errorf("the other one: %v after %v", err, time.Since(start))
				}
				(&Limiter{}).OnEvent(nil)(transport.Event{Kind: transport.WaitCut})
			})
		})
	}
}
