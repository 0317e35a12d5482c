package pace

import (
	"math"
	"testing"
	"time"
)

// climbed is a rise of the usual shape, for as long.
func climbed(base, seconds float64) rise {
	return rise{base: base, step: 0.05, whole: 8, even: 8, first: 2, last: 1, to: seconds}
}

// serve sends at the pace of a rise to a bucket, and returns how long that goes well.
func serve(c rise, rate, burst, tokens float64) float64 {
	const dt = 1e-3
	for up := c.from; up < 100; up += dt {
		if tokens = min(tokens+(rate-c.at(up))*dt, burst); tokens < 0 {
			return up
		}
	}
	return math.Inf(1)
}

// The rate that a rise has passed is found wherever that was, whatever the
// server can save up and had saved up.
func TestRisePassed(t *testing.T) {
	for _, rate := range []float64{70, 96, 100, 104, 120, 200} {
		for _, burst := range []float64{0, 5, 50} {
			for _, saved := range []float64{0, burst} {
				c := climbed(100, 0)
				c.to = serve(c, rate, burst, saved)
				if c.to == 0 {
					continue // it refuses at once
				}
				if got := c.passed(saved, burst); math.Abs(got-rate) > 0.02*rate {
					t.Errorf("rate %v, burst %v, %v saved, %.2f s: got %.2f", rate, burst, saved, c.to, got)
				}
			}
		}
	}
}

// A rise that begins later is only looked at from there.
func TestRisePassedFrom(t *testing.T) {
	c := climbed(100, 0)
	c.from = 8
	c.to = serve(c, 150, 10, 0)
	if got := c.passed(0, 10); math.Abs(got-150) > 3 {
		t.Errorf("got %v", got)
	}
}

// What a rise has eaten is the burst that makes it end there.
func TestRiseEaten(t *testing.T) {
	for _, burst := range []float64{5, 20, 80} {
		c := climbed(100, 0)
		c.to = serve(c, 130, burst, burst)
		if got := c.eaten(130); math.Abs(got-burst) > 0.03*burst+0.5 {
			t.Errorf("%v: got %v", burst, got)
		}
	}
	if got := climbed(100, 4).eaten(200); got != 0 {
		t.Errorf("%v of a server that is faster", got)
	}
}

// The pace has no jumps, and never falls.
func TestRiseIsSmooth(t *testing.T) {
	c := climbed(100, 0)
	for before, up := c.at(0), 0.01; up < 20; up += 0.01 {
		r := c.at(up)
		if r < before || r > 1.02*before {
			t.Fatalf("%v after %v at %.2f s", r, before, up)
		}
		before = r
	}
	if c.at(1e6) != fastest {
		t.Errorf("%v at last", c.at(1e6))
	}
}

// A rise of no length gives a rate all the same.
func TestRiseOfNoTime(t *testing.T) {
	c := climbed(100, 0)
	if got := c.passed(0, 10); math.IsNaN(got) || got < 90 || got > 105 {
		t.Errorf("got %v", got)
	}
}

// A burst that was thought to be smaller is corrected by what the last rise has
// eaten before more than one cut, if its base was no guess that was too high.
func TestCorrect(t *testing.T) {
	for name, tt := range map[string]struct {
		again int
		saved float64
		base  float64
		want  float64
	}{
		"more cuts":          {2, 3, 130, 20},
		"one cut":            {0, 3, 130, 3},
		"burst not known":    {2, -1, 130, -1},
		"larger already":     {2, 30, 130, 30},
		"began above it all": {2, 3, 90, 3},
	} {
		c := climbed(100, 0)
		c.to = serve(c, 130, 20, 20)
		s := paced{again: tt.again, saved: tt.saved, base: tt.base, past: c}
		s.correct()
		if math.Abs(s.saved-tt.want) > 1 {
			t.Errorf("%s: burst %v, want %v", name, s.saved, tt.want)
		}
		if s.past != (rise{}) {
			t.Errorf("%s: the rise is still there", name)
		}
	}
}

// The first of many refusals may be learned of before those that were sent
// before it are answered, and so may that of the next window.
func TestWallOfManyInFlight(t *testing.T) {
	a := answer{status: 429, asked: true, retryAfter: time.Minute}
	var w wall
	w.hit(a, 477, 23)
	for good, near := range map[float64]bool{500: false, 906: false, 907: true, 954: true, 1047: true, 1048: false} {
		if w.near(good) != near {
			t.Errorf("%v: near is %v", good, !near)
		}
	}
	w.hit(a, 877, 1000) // 400 more
	if !w.near(877+400+40+80) || w.near(877+400+40+81) {
		t.Errorf("%+v", w)
	}
}

// A rise is looked at up to the send that was refused.
func TestRiseUntilSend(t *testing.T) {
	s := paced{base: 100, trust: 1, climb: 5 * time.Second, sentAt: 10 * time.Second}
	for sent, want := range map[time.Duration]float64{10 * time.Second: 5, 9 * time.Second: 4, time.Second: 0} {
		if got := s.rise(sent).to; got != want {
			t.Errorf("sent at %v: %v s, want %v", sent, got, want)
		}
	}
}

// After a pause the server has saved up what it can.
func TestRateAfterRest(t *testing.T) {
	s := paced{base: 100, trust: 1, noise: mostStep, saved: 20}
	s.mark(mark{at: time.Second})
	s.rested = mark{at: 2 * time.Second}
	c := s.rise(never)
	s.climb = seconds(serve(c, 130, 20, 20))
	s.sentAt = s.rested.at + s.climb
	m := mark{at: s.sentAt, good: 100 * s.climb.Seconds()}
	if got, guess := s.afterRest(s.rate(0), m); math.Abs(got-130) > 3 || guess {
		t.Errorf("got %v, a guess: %v", got, guess)
	}
}

// A window's end is looked for less often than that of an outage.
func TestProbes(t *testing.T) {
	for throttle, want := range map[bool]time.Duration{true: windowProbes, false: maxInterval} {
		s := closed{throttle: throttle, interval: time.Second}
		for range 5 {
			s.wait(20 * time.Second)
		}
		if s.interval != want {
			t.Errorf("throttled %v: %v between probes, want %v", throttle, s.interval, want)
		}
	}
}
