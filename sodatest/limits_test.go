package sodatest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/sodatest"
)

// timed sends a GET at each of the times and returns the statuses.
func timed(t *testing.T, srv *sodatest.Server, at ...time.Duration) string {
	t.Helper()
	began := time.Now()
	for _, d := range at {
		time.Sleep(time.Until(began.Add(d)))
		get(t, srv, sample+".json")
	}
	return fmt.Sprint(statuses(srv))
}

func ms(at ...int) []time.Duration {
	var all []time.Duration
	for _, n := range at {
		all = append(all, time.Duration(n)*time.Millisecond)
	}
	return all
}

func TestModels(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []sodatest.Option
		at   []int // ms
		want string
	}{
		{"token bucket", []sodatest.Option{sodatest.TokenBucket(2, 3)},
			[]int{0, 0, 0, 0, 499, 500, 999, 1000, 9000, 9000, 9000, 9000}, "[200 200 200 429 429 200 429 200 200 200 200 429]"},
		{"a third of a second", []sodatest.Option{sodatest.TokenBucket(10, 1)},
			[]int{0, 100, 200, 300, 400, 500, 600, 700}, "[200 200 200 200 200 200 200 200]"},
		{"fixed window", []sodatest.Option{sodatest.FixedWindow(2, time.Second)},
			[]int{0, 10, 20, 999, 1000, 1999, 1999, 2000}, "[200 200 429 429 200 200 429 200]"},
		{"both, and who is refused costs nothing", []sodatest.Option{sodatest.TokenBucket(1, 2), sodatest.FixedWindow(1, time.Second)},
			[]int{0, 1, 2, 1000, 1001, 2000}, "[200 429 429 200 429 200]"},
		{"throttle", []sodatest.Option{sodatest.Throttle(sodatest.Fault("service-unavailable")), sodatest.TokenBucket(1, 1)},
			[]int{0, 0}, "[200 503]"},
		{"outage", []sodatest.Option{sodatest.Outage(time.Second, time.Second, sodatest.HTML(502))},
			[]int{999, 1000, 1999, 2000}, "[200 502 502 200]"},
		{"two outages", []sodatest.Option{
			sodatest.Outage(0, time.Second, sodatest.HTML(502)), sodatest.Outage(time.Second, time.Second, sodatest.HTML(503))},
			[]int{0, 1000, 2000}, "[502 503 200]"},
		{"outage before limits", []sodatest.Option{sodatest.FixedWindow(1, time.Minute), sodatest.Outage(0, time.Second, sodatest.HTML(502))},
			[]int{0, 1, 1000, 1001}, "[502 502 200 429]"},
		{"every", []sodatest.Option{sodatest.Every(3, sodatest.Fault("internal-error"))},
			[]int{0, 0, 0, 0, 0, 0, 0}, "[200 200 500 200 200 500 200]"},
		{"every and every", []sodatest.Option{sodatest.Every(2, sodatest.HTML(502)), sodatest.Every(3, sodatest.HTML(503))},
			[]int{0, 0, 0, 0, 0, 0}, "[200 502 503 502 200 502]"},
		{"script first", []sodatest.Option{sodatest.FixedWindow(1, time.Minute), sodatest.Replies(sodatest.HTML(504), sodatest.Reply{Status: 200})},
			[]int{0, 0, 0, 0}, "[504 200 200 429]"},
		{"an empty reply leaves it to the models", []sodatest.Option{sodatest.FixedWindow(1, time.Minute), sodatest.Replies(sodatest.Reply{}, sodatest.Reply{})},
			[]int{0, 0}, "[200 429]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, start starter) {
				if got := timed(t, start(tt.opts...), ms(tt.at...)...); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

// Faults that leave the answer to the server add up.
func TestFaultsTogether(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(
			sodatest.Replies(sodatest.Reply{Message: "slow down", Delay: time.Second, Header: map[string]string{"X-A": "script", "X-B": "script"}}),
			sodatest.Outage(0, time.Hour, sodatest.Reply{Delay: time.Second, Header: map[string]string{"X-B": "outage", "X-C": "outage"}}),
			sodatest.Every(1, sodatest.Reply{Delay: time.Second, RetryAfter: "9"}),
			sodatest.FixedWindow(0, time.Second),
			sodatest.Latency(func() time.Duration { return time.Second }),
		)
		began := time.Now()
		resp, body := get(t, srv, sample+".json")
		if !strings.Contains(body, `{"message":"slow down","errorCode":"too-many-requests"`) {
			t.Errorf("got %s", body)
		}
		if d := time.Since(began); d != 4*time.Second {
			t.Errorf("took %v, want 4s", d)
		}
		h := resp.Header
		if resp.StatusCode != 429 || h.Get("Retry-After") != "9" || h.Get("X-A")+h.Get("X-B")+h.Get("X-C") != "scriptscriptoutage" {
			t.Errorf("got %s %v", resp.Status, h)
		}
	})
}

func TestConcurrency(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Concurrency(2), sodatest.Dataset("wxyz-9876", sodatest.GenerateRows(1)),
			sodatest.Latency(func() time.Duration { return time.Second }))
		var all sync.WaitGroup
		for i, path := range []string{sample + ".json", sample + ".csv", "/api/views/abcd-1234", "/api/v3/views/abcd-1234/query.json", "/resource/wxyz-9876.json", "/"} {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				get(t, srv, path)
			})
		}
		all.Wait()
		if got := fmt.Sprint(statuses(srv)); got != "[200 200 429 429 200 200]" {
			t.Errorf("got %s", got)
		}
		// One after the other there is always room: a place is free before the
		// client can know.
		for range 20 {
			if resp, _ := get(t, srv, sample+".json"); resp.StatusCode != 200 {
				t.Fatalf("got %s", resp.Status)
			}
		}
	})
}

func TestLatencyIsCalledOnceEach(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		calls := 0 // the race detector watches it
		srv := start(sodatest.Latency(func() time.Duration { calls++; return 0 }), sodatest.Every(2, sodatest.Fault("internal")))
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { get(t, srv, sample+".json") })
		}
		all.Wait()
		if calls != 10 {
			t.Errorf("%d calls", calls)
		}
	})
}

func TestToken(t *testing.T) {
	inMemory(t, func(t *testing.T, start starter) {
		srv := start(sodatest.Token("good", "better"))
		for _, tt := range []struct {
			query, header string
			want          int
		}{
			{"", "good", 200}, {"", "better", 200}, {"", "bad", 403}, {"", "", 200},
			{"?$$app_token=good", "", 200}, {"?$$app_token=bad", "", 403}, {"?$$app_token=", "", 200}, {"?$$app_token=bad", "good", 200},
		} {
			resp, body := get(t, srv, sample+".json"+tt.query, "X-App-Token", tt.header)
			if resp.StatusCode != tt.want {
				t.Errorf("%+v: got %s", tt, resp.Status)
			}
			if tt.want == 403 && body != "{\n  \"code\" : \"permission_denied\",\n  \"error\" : true,\n  \"message\" : \"Invalid app_token specified\"\n}\n" {
				t.Errorf("got %s", body)
			}
		}
		if resp, _ := get(t, start(), sample+".json", "X-App-Token", "any"); resp.StatusCode != 200 {
			t.Errorf("without the option: %s", resp.Status)
		}
	})
}
