package pace

import (
	"math"
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
		{strings.Repeat("......................x.x.x....", 2), true}, // others take what is left, but not all
		{"xxxxxxxxxxxxxxxxxxxxxxxx", false},                          // all of it
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

// Refusals at the lower ends of climbs raise a doubt if they have driven the
// pace below what went through, or are too many to tell. After trials in vain
// it takes more, and as few as at first if it has sunk and the last was long ago.
func TestDoubtIsDue(t *testing.T) {
	for _, c := range []struct {
		shown  float64
		bad    float64 // of 60 at the lower ends
		cuts   int     // before this one; those far below shown have sunk
		failed int
		ago    time.Duration
		want   bool
	}{
		{20, 10, 11, 0, time.Second, true},
		{13, 10, 11, 0, time.Second, false},
		{13, 20, 11, 0, time.Second, true},
		{20, 10, 11, 1, time.Second, false},
		{20, 10, 11, 1, time.Hour, false},
		{200, 10, 2, 0, time.Second, true},
		{200, 10, 2, 1, time.Minute, false},
		{200, 10, 2, 4, 5 * time.Minute, true},
		{40, 10, 2, 4, 5 * time.Minute, false},
	} {
		now := 2 * time.Hour
		l := newLine(&Pacer{}, quota{})
		l.lock()
		l.paced.begin(l, 10, now)
		l.state = &l.paced
		l.doubt = doubt{failed: c.failed, ended: now - c.ago}
		l.doubt.evidence = evidence{low: share{60, c.bad}, all: share{90, 12}, cuts: c.cuts, odd: c.cuts, shown: c.shown}
		if c.shown > 100 {
			l.doubt.sunk = c.cuts
		}
		l.doubt.cut(l, 10, true, false, now)
		if got := l.doubt.trial > 0; got != c.want {
			t.Errorf("%+v: a trial %v", c, got)
		}
	}
}

// A trial that came no faster than before shows nothing, whatever was rejected.
func TestTrialNotReached(t *testing.T) {
	const trip = 5 * time.Second // which is none of the time that sending took
	for gap, want := range map[time.Duration]bool{200 * time.Millisecond: false, 15 * time.Millisecond: true} {
		now := time.Hour
		l := newLine(&Pacer{}, quota{})
		l.lock()
		l.paced.begin(l, 10, now)
		l.state = &l.paced
		l.doubt.try(l, share{100, 20}, 10, now)
		var flight []Ticket
		for range 1500 {
			now += gap
			seq, _ := l.enter()
			flight = append(flight, Ticket{line: l, seq: seq, pace: 40, at: now})
			if t := flight[0]; t.at+trip <= now {
				flight = flight[1:]
				bad := 0.0
				if t.seq%5 == 0 {
					bad = 1
				}
				l.doubt.settled(l, t, bad, now)
			}
		}
		if own := l.doubt.lasts > 0; own != want || l.doubt.failed != 0 || l.doubt.trial != 0 {
			t.Errorf("one in %v: %+v, its own share believed: want %v", gap, l.doubt, want)
		}
	}
}

// A trial begins with sends at once, as many as queue up. If a limit rejects most
// of them it is over, and nobody was faster for longer than that.
func TestTrialBeginsWithBurst(t *testing.T) {
	const trip = 80 * time.Millisecond
	for _, c := range []struct {
		rejects int // of the burst
		own     float64
		over    bool
	}{{1, 0.1, false}, {4, 0.1, false}, {5, 0.1, true}, {8, 0.1, true}, {6, 0.5, false}, {7, 0.5, true}} {
		now := time.Hour
		l := newLine(&Pacer{}, quota{})
		l.lock()
		s := &l.paced
		s.begin(l, 10, now)
		s.ramp = 0
		l.state = s
		l.doubt.try(l, share{100, 100 * c.own}, 10, now)
		var burst []Ticket
		for end := now + trip; ; {
			if now = max(now, s.turn(l, now)); now >= end {
				break
			}
			burst = append(burst, l.send("", true, now))
		}
		if last := burst[burstSends-1]; last.at > time.Hour+2*slack || last.pace > 20 {
			t.Errorf("the last of the burst came after %v, at a pace of %v/s", last.at-time.Hour, last.pace)
		}
		if len(burst) > burstSends+1 {
			t.Errorf("%d were sent within %v", len(burst), trip)
		}
		for i, sent := range burst[:burstSends] {
			bad := 0.0
			if i >= burstSends-c.rejects {
				bad = 1
			}
			l.doubt.settled(l, sent, bad, now+trip)
		}
		if over := l.doubt.trial == 0; over != c.over || over != (l.doubt.failed == 1) {
			t.Errorf("%+v: over %v, %d failed", c, over, l.doubt.failed)
		}
		if r := s.rate(now); !c.over && l.doubt.rate(l, r) != 40 {
			t.Errorf("%+v: the first round is at %v/s, want 40", c, l.doubt.rate(l, r))
		}
		l.mu.Unlock()
	}
}

// At a slow pace a limit in flight may be to blame, and so no more is in flight
// than two of a burst.
func TestBurstAtSlowPace(t *testing.T) {
	for _, c := range []struct{ base, want float64 }{{1.9, 25}, {2, burstSends / slack.Seconds()}} {
		l := newLine(&Pacer{}, quota{})
		l.lock()
		l.paced.begin(l, c.base, time.Hour)
		l.state = &l.paced
		l.trip.mean = 80 * time.Millisecond
		l.doubt.try(l, share{100, 30}, c.base, time.Hour)
		if got := l.doubt.rate(l, c.base); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("at %v/s: a burst of %v/s, want %v", c.base, got, c.want)
		}
		l.mu.Unlock()
	}
}
