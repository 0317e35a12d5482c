package pace

import (
	"strings"
	"testing"
	"time"
)

// Rejects that come evenly are a server's own; in bunches they are a limit's.
func TestBunched(t *testing.T) {
	for _, c := range []struct {
		outcomes string // x is a reject
		want     bool
	}{
		{"...x...x...x...x...x...x...x...x", false},
		{".............xxx..............xxx", true},
		{"xxxxxxxxxxxxxxxxxxxxxxxx", false}, // all of it
		{"x.x..xx.xx.x..x.x.xx.x..x..xx.x.", false},
		{"..........................xx....", false},                         // once is chance
		{strings.Repeat("x", 16) + strings.Repeat(".........x", 60), false}, // long ago
	} {
		var e evidence
		for _, o := range c.outcomes {
			bad := 0.0
			if o == 'x' {
				bad = 1
			}
			e.answered(10, 10, bad)
		}
		if got := e.bunched(); got != c.want {
			t.Errorf("%s: %v, want %v", c.outcomes, got, c.want)
		}
	}
}

// What went through between any two rejects is the least that a limit can be,
// less what a late answer may hide.
func TestShow(t *testing.T) {
	at := func(s, good float64) mark { return mark{at: seconds(s), good: good} }
	for _, c := range []struct {
		rejects []mark
		dev     time.Duration
		want    float64
	}{
		{[]mark{at(1, 0), at(2, 11)}, 0, 10},
		{[]mark{at(1, 0), at(2, 11)}, 500 * time.Millisecond, 5},
		{[]mark{at(1, 0), at(1.5, 9), at(2, 21)}, 0, 22},
		{[]mark{at(1, 0), at(2, 4)}, 0, 0}, // too few
		{[]mark{at(1, 0)}, 0, 0},
	} {
		var e evidence
		e.show(c.rejects, c.rejects[len(c.rejects)-1], c.dev)
		if e.shown != c.want {
			t.Errorf("%v: shown %v, want %v", c.rejects, e.shown, c.want)
		}
	}
}

// Cuts far below what went through add up, whether they agree or not; a limit
// that shows itself takes them back.
func TestSank(t *testing.T) {
	e := evidence{shown: 100}
	for i := range 100 {
		bad := 0.0
		if i%4 == 0 {
			bad = 1
		}
		e.answered(15, 10, bad)
	}
	for range 3 {
		e.cut(15, false, true)
	}
	if !e.sank(3) || e.sank(4) || e.all.of() != 0.25 {
		t.Errorf("after three cuts: %+v", e)
	}
	if e.cut(50, false, true); e.sank(1) {
		t.Errorf("after a limit showed itself: %+v", e)
	}
	if e.cut(21, false, false); e.sank(1) {
		t.Errorf("after a cut that contradicts nothing: %+v", e)
	}
}
