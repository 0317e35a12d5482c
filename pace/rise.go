package pace

import (
	"math"
	"time"
)

// A rise is how the pace grows after a cut: evenly from a step below the base to
// a step above it, then faster and faster. Where it was when a reject came tells
// the server's rate, if it is known what the server can save up.
type rise struct {
	base  float64
	step  float64 // as a share of base
	whole float64 // seconds from the lowest to a step above base
	even  float64 // seconds that the pace grows as evenly as that
	first float64 // seconds of the first doubling after them
	last  float64 // and of those that follow when the pace has become fast
	from  float64 // seconds that it began after the lowest
	to    float64 // and that it had come to
}

// at returns the pace after so many seconds.
func (c rise) at(up float64) float64 {
	r := c.base * (1 - c.step + 2*c.step*min(up, c.even)/c.whole)
	if up > c.even {
		r *= math.Exp2(c.doublings((up - c.even) / c.first))
	}
	return min(r, fastest)
}

// doublings returns how often the pace has doubled after so many doubling times:
// slowly at first, since the rate may be near, from half of one on evenly, and
// after it has doubled once in so many sends, which come ever faster.
func (c rise) doublings(past float64) float64 {
	switch {
	case past < 0.5:
		return past * past
	case past < 1.25:
		return past - 0.25
	}
	past -= 1.25
	left := 1 - math.Ln2*past // of the time that a doubling takes
	if least := c.last / c.first; left < least {
		even := past - (1-least)/math.Ln2 // since the growth became even
		return 1 - math.Log2(least) + even/least
	}
	return 1 - math.Log2(left)
}

// riseSteps is how finely a rise is looked at.
const riseSteps = 64

// paces returns the pace in the middles of equal parts of the rise, and how
// many seconds each takes.
func (c rise) paces() (paces [riseSteps]float64, dt float64) {
	dt = max(c.to-c.from, leastTime.Seconds()) / riseSteps
	for i := range paces {
		paces[i] = c.at(c.from + (float64(i)+0.5)*dt)
	}
	return paces, dt
}

// passed returns the rate of a server that can save up burst, had saved up so
// much of it when the rise began, and has nothing left at its end. That is the
// mean pace, if nothing that was saved up has been lost, and the last pace, if
// nothing can be saved up.
func (c rise) passed(saved, burst float64) float64 {
	paces, dt := c.paces()
	mean := 0.0
	for _, r := range paces {
		mean += r / riseSteps
	}
	low, high := max(mean-saved/(dt*riseSteps), 0), c.at(c.to)
	for range 24 {
		rate := (low + high) / 2
		left := saved
		for _, r := range paces {
			left = min(left+(rate-r)*dt, burst)
		}
		if left > 0 {
			high = rate
		} else {
			low = rate
		}
	}
	return high
}

// eaten returns what the pace took of the savings of a server of that rate.
func (c rise) eaten(rate float64) float64 {
	paces, dt := c.paces()
	sum := 0.0
	for _, r := range paces {
		sum += max(r-rate, 0) * dt
	}
	return sum
}

// rise returns how the pace has grown since the last cut, until a send that
// was sent at some time.
func (s *paced) rise(sent time.Duration) rise {
	first, last := s.doubleTime()
	c := rise{
		base: s.base, step: s.step(),
		whole: s.climbTime().Seconds(), even: s.linear().Seconds(),
		first: first, last: last, from: s.began.Seconds(),
	}
	c.to = max(s.climb-max(s.sentAt-sent, 0), s.began).Seconds()
	return c
}
