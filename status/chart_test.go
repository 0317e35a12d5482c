package status

import (
	"sync"
	"testing"
	"time"
)

func total(all [steps]float64) (sum float64) {
	for _, v := range all {
		sum += v
	}
	return sum
}

// TestChartForgets: what is older than ten minutes is not shown, and a clock
// that is set back does not stop the chart.
func TestChartForgets(t *testing.T) {
	var c chart
	at := time.Unix(1_700_000_000, 0)
	for _, later := range []time.Duration{0, time.Hour, -10 * time.Hour, 0, 20 * 365 * 24 * time.Hour, -80 * 365 * 24 * time.Hour} {
		now := at.Add(later)
		c.sent(now, true)
		c.waited(now.Add(-time.Hour), now)
		s := c.series(now.Add(step), nil)
		if got := [...]float64{total(s.Sends), total(s.Again), s.Sends[steps-2]}; got != [...]float64{.1, .1, .1} {
			t.Errorf("%v later the sends are %v", later, got)
		}
		if w := total(s.Held); w < steps-2 || w > steps { // the first steps are outside of the picture, and the last has just begun
			t.Errorf("%v later %v waited in all", later, w)
		}
		if s = c.series(now.Add((steps+1)*step), nil); total(s.Sends)+total(s.Held) != 0 {
			t.Errorf("ten minutes later there is %+v", s)
		}
	}
	c.sent(at.Add(time.Hour), false)
	c.waited(at.Add(time.Hour).Add(-(steps+1)*step), at.Add(time.Hour).Add(-steps*step)) // too long ago
	if s := c.series(at.Add(time.Hour+step), nil); total(s.Sends) != .1 {
		t.Errorf("what came too late has wiped out %+v", s)
	}
}

// TestChartShowsTheRunningStep: its numbers are of the time that is over, and
// one request at its beginning is no high rate.
func TestChartShowsTheRunningStep(t *testing.T) {
	var c chart
	at := time.Unix(1_700_000_000, 0)
	c.sent(at, false)
	c.sent(at, true)
	c.waited(at.Add(-5*time.Second), at)
	for _, row := range []struct{ later, sends, again, waiting float64 }{{.01, 2, 1, 1}, {1, 2, 1, 1}, {4, .5, .25, 1}, {9, 2. / 9, 1. / 9, 1}} {
		now := at.Add(time.Duration(row.later * 1e9))
		s := c.series(now, []time.Time{at})
		if s.Last != row.later || !s.End.Equal(at.Add(step)) {
			t.Errorf("%v s later the last step is of %v s, to %v", row.later, s.Last, s.End)
		}
		if got := [...]float64{s.Sends[steps-1], s.Again[steps-1], s.Held[steps-1]}; got != [...]float64{row.sends, row.again, row.waiting} || s.Held[steps-2] != .5 {
			t.Errorf("%v s later it has %v, and the one before %v waiting", row.later, got, s.Held[steps-2])
		}
	}
}

func TestChartCountsAll(t *testing.T) {
	var c chart
	var workers sync.WaitGroup
	at := time.Unix(1_700_000_000, 0)
	for range 4 {
		workers.Go(func() {
			for i := range 10_000 {
				now := at.Add(time.Duration(i) * 10 * time.Millisecond)
				c.sent(now, i%2 == 0)
				c.waited(now.Add(-time.Millisecond), now)
			}
		})
	}
	workers.Wait()
	s := c.series(at.Add(2*time.Minute), nil)
	if n := total(s.Sends) * step.Seconds(); n < 39_999.9 || n > 40_000.1 {
		t.Errorf("%v of 40,000 sends were counted", n)
	}
	if n := total(s.Again) * step.Seconds(); n < 19_999.9 || n > 20_000.1 {
		t.Errorf("%v of 20,000 repeats were counted", n)
	}
	if w := total(s.Held) * step.Seconds(); w < 39.99 || w > 40.01 {
		t.Errorf("%v of 40 s of waiting were counted", w)
	}
}
