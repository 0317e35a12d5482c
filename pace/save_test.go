package pace_test

import (
	"encoding/json"
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
