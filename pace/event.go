package pace

import (
	"fmt"
	"strings"
	"time"
)

// A Mode is what a Pacer believes about a quota.
type Mode uint8

const (
	Open        Mode = iota // there is no limit: nothing was ever rejected
	Paced                   // so many requests per second
	Closed                  // nothing goes through at all
	Concurrency             // so many requests at once to a dataset
)

// String returns the name of m in lower case.
func (m Mode) String() string {
	return [...]string{"open", "paced", "closed", "concurrency", "unknown"}[min(m, 4)]
}

// An EventKind says what happened.
type EventKind uint8

const (
	ModeChanged EventKind = iota // Mode is new
	RateChanged                  // Rate is new
	PauseBegun                   // nobody is sent before Until
	PauseEnded                   // and now they are
)

// String returns the name of k, such as "pause begun".
func (k EventKind) String() string {
	return [...]string{"mode changed", "rate changed", "pause begun", "pause ended", "unknown"}[min(k, 4)]
}

// An Event is a change in what is known about a quota.
type Event struct {
	Kind  EventKind
	Time  time.Time
	Key   string // scheme and host
	Mode  Mode
	Rate  float64   // as in State: the pace now, per second
	Until time.Time // the end of the pause; zero if there is none
}

// tell reports e, with what else is known.
func (l *line) tell(e Event, now time.Duration) {
	if l.pacer.OnEvent == nil {
		return
	}
	e.Time, e.Key, e.Mode, e.Rate = l.dateNow(now), Key{quota: l.quota}.String(), l.mode(), l.state.rate(now)
	l.told = append(l.told, e)
}

// unlock tells what has happened, once the lock is no longer held: whatever
// OnEvent does, it does not do it to other callers.
func (l *line) unlock() {
	told := l.told
	l.told = nil
	l.mu.Unlock()
	for _, e := range told {
		l.pacer.OnEvent(e)
	}
}

// String describes e in one line.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s", e.Key, e.Kind, e.Mode)
	if e.Rate > 0 {
		fmt.Fprintf(&b, ", %.3g/s", e.Rate)
	}
	if !e.Until.IsZero() {
		fmt.Fprintf(&b, ", until %s", e.Until.Format(time.TimeOnly))
	}
	return b.String()
}

// mode returns what is believed about l.
func (l *line) mode() Mode {
	if m := l.state.mode(); m != Open || l.caps == 0 {
		return m
	}
	return Concurrency
}
