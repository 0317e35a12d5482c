package pace_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// A job that starts again is refused less often: it knows the rate, and only
// tests it.
func TestSecondRun(t *testing.T) {
	var first, second int
	for range 24 {
		bubble(t, func(t *testing.T) {
			k := key(t, "a.example")
			s := &server{rate: 20, burst: 5, reject: throttled}
			var p, next pace.Pacer
			s.work(&p, k, 16, 15*time.Second)
			first += s.bad
			data, err := json.Marshal(&p)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &next); err != nil {
				t.Fatal(err)
			}
			s.bad = 0
			if n := s.work(&next, k, 16, 15*time.Second); n < 285 {
				t.Errorf("%d good sends of 300", n)
			}
			second += s.bad
		})
	}
	if 4*second > 3*first { // half, on average
		t.Errorf("%d rejects in first runs, %d in second ones", first, second)
	}
}

// Of two entries for one quota the slower counts, if it is a rate at all.
func TestSavedTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, rates := range []string{"50 -1", "-1 50", "50 0", "50 80", "80 50"} {
			var a, b string
			fmt.Sscan(rates, &a, &b)
			var p pace.Pacer
			err := p.UnmarshalJSON(fmt.Appendf(nil, `{"version":1,"quotas":[
				{"scheme":"https","host":"a.example","rate":%s},
				{"scheme":"https","host":"a.example","rate":%s}]}`, a, b))
			if err != nil {
				t.Fatal(err)
			}
			wait(t, &p, key(t, "a.example"))
			if r := rateNow(&p); r < 45 || r > 50 {
				t.Errorf("rates of %s: %v, want about 50", rates, r)
			}
		}
	})
}
