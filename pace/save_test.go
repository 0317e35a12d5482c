package pace_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// A job that starts again does not learn by refusals again.
func TestSecondRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := key(t, "a.example")
		s := &server{rate: 20, burst: 5, reject: throttled}
		var first, second pace.Pacer
		s.work(&first, k, 16, 15*time.Second)
		learned := s.bad
		data, err := json.Marshal(&first)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &second); err != nil {
			t.Fatal(err)
		}
		s.sent, s.bad = 0, 0
		n := s.work(&second, k, 16, 15*time.Second)
		if n < 285 || s.bad > 3 || learned < 6 {
			t.Errorf("the first run had %d rejects, the second %d and %d good sends of 300", learned, s.bad, n)
		}
	})
}
