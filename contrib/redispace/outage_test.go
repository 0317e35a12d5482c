package redispace

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFailOpen takes Redis away for 10 s, by an error and by silence. What is
// sent must never exceed the rate, not when it goes and not when it returns.
func TestFailOpen(t *testing.T) {
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var news []string
			fl := newFleet(4, &Limiter{Rate: 100, Burst: 10})
			fl.limiters[0].OnRedis = func(err error) {
				if err == nil {
					err = errors.New("back")
				}
				news = append(news, err.Error())
			}
			start := time.Now()
			deaf := make(chan struct{})
			time.AfterFunc(10*time.Second, func() {
				if silent {
					fl.fake.set(nil, deaf)
				} else {
					fl.fake.set(errGone, nil)
				}
			})
			time.AfterFunc(20*time.Second, func() {
				fl.fake.set(nil, nil)
				close(deaf)
			})
			fl.send(t, 3, 30*time.Second)
			if n := between(fl.sent, start, 11*time.Second, 20*time.Second); n < 890 || n > 904 {
				t.Errorf("silent %v: %d sent in 9 s of the outage, want 4 shares of 225", silent, n)
			}
			if n := between(fl.sent, start, 24*time.Second, 29*time.Second); n < 495 {
				t.Errorf("silent %v: %d sent in 5 s after it", silent, n)
			}
			if over := most(fl.sent, 100); over > 14 { // a burst, and one from each that goes on by itself
				t.Errorf("silent %v: %v at once", silent, over)
			}
			if len(fl.errs) > 0 {
				t.Errorf("silent %v: %v", silent, fl.errs[0])
			}
			reason := "connection refused"
			if silent {
				reason = "no answer in 500ms"
			}
			if got := strings.Join(news, ", "); got != reason+", back" {
				t.Errorf("silent %v: told %q", silent, got)
			}
		})
	}
}

// TestRecovery has one process find Redis again long before the others do.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(4, &Limiter{Rate: 100, Burst: 10})
		fl.fake.set(errGone, nil)
		start := time.Now()
		time.AfterFunc(4*time.Second, func() { fl.fake.set(nil, nil) })
		fl.send(t, 3, 12*time.Second)
		for s := time.Second; s < 11*time.Second; s += time.Second {
			if n := between(fl.sent, start, s, s+time.Second); n < 95 || n > 112 {
				t.Errorf("from %v on: %d sent in a second", s, n)
			}
		}
	})
}

func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 100, Share: 0.1})
		fl.fake.set(errGone, nil)
		fl.send(t, 1, 10*time.Second)
		if n := len(fl.sent); n < 99 || n > 101 {
			t.Errorf("sent %d in 10 s", n)
		}
	})
}

func TestFailClosed(t *testing.T) {
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			fl := newFleet(2, &Limiter{Rate: 100, FailClosed: true})
			start := time.Now()
			deaf := make(chan struct{})
			if silent {
				fl.fake.set(nil, deaf)
			} else {
				fl.fake.set(errGone, nil)
			}
			time.AfterFunc(5*time.Second, func() {
				fl.fake.set(nil, nil)
				close(deaf)
			})
			for _, most := range []time.Duration{500 * time.Millisecond, 0} { // it is asked once, and then known
				began := time.Now()
				err := fl.limiters[0].Wait(t.Context())
				if !errors.Is(err, ErrRedis) || time.Since(began) > most {
					t.Errorf("silent %v: %v after %v", silent, err, time.Since(began))
				}
				if reason := map[bool]string{false: "connection refused", true: "no answer in 500ms"}[silent]; !strings.Contains(err.Error(), reason) {
					t.Errorf("%q does not say why", err)
				}
			}
			fl.send(t, 1, 10*time.Second)
			if n := between(fl.sent, start, 0, 5*time.Second); n > 0 {
				t.Errorf("silent %v: %d sent without Redis", silent, n)
			}
			if n := between(fl.sent, start, 8*time.Second, 9*time.Second); n < 98 {
				t.Errorf("silent %v: %d in a second afterwards", silent, n)
			}
			for _, err := range fl.errs {
				if !errors.Is(err, ErrRedis) {
					t.Error(err)
				}
			}
		})
	}
}

// TestOneOutageIsOneNews: whoever meets it.
func TestOneOutageIsOneNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := newFleet(1, &Limiter{Rate: 100})
		l, news := fl.limiters[0], 0
		l.OnRedis = func(error) { news++ }
		deaf := make(chan struct{})
		fl.fake.set(nil, deaf)
		go l.Pause(100 * time.Millisecond)
		for range 2 {
			if err := l.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if news != 1 {
			t.Errorf("told %d times", news)
		}
		close(deaf)
	})
}
