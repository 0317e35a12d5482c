package pace

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A State is what a Pacer knows about one quota.
type State struct {
	Key      string         // scheme and host
	Tag      uint8          // tells the tokens of one host apart; 0 without a token
	Mode     Mode           // what is believed
	Rate     float64        // the pace now, per second, somewhat below or above the rate that was learned; 0 if none was, or nothing goes through
	Datasets map[string]int // learned limits in flight, by dataset; nil if there are none
	Until    time.Time      // nothing is sent before it; zero if there is no pause
	Waiting  int            // callers in the queue
	InFlight int            // sends without an outcome
	Sent     uint64         // sends so far
	Retries  float64        // of transient failures, that the budget allows now
}

// String describes s in one line.
func (s State) String() string {
	var b strings.Builder
	b.WriteString(s.Key)
	if s.Tag != 0 {
		fmt.Fprintf(&b, " #%d", s.Tag)
	}
	fmt.Fprintf(&b, ": %s", s.Mode)
	if s.Rate > 0 {
		fmt.Fprintf(&b, ", %.3g/s", s.Rate)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Datasets)) {
		fmt.Fprintf(&b, ", %d at once to %s", s.Datasets[name], name)
	}
	if !s.Until.IsZero() {
		fmt.Fprintf(&b, ", until %s", s.Until.Format(time.TimeOnly))
	}
	fmt.Fprintf(&b, ", %d waiting, %d in flight, %d sent, %d retries left", s.Waiting, s.InFlight, s.Sent, int(s.Retries))
	return b.String()
}

// MarshalJSON returns the members "quota", which is the Key, "tag", "mode",
// "rate_per_second", "dataset_in_flight_limits", "until", "waiting",
// "in_flight", "sent" and "retries_left". Of these "tag", "rate_per_second",
// "dataset_in_flight_limits" and "until" are left out where there are none. The
// rate and the retries have three significant digits.
func (s State) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Quota    string         `json:"quota"`
		Tag      uint8          `json:"tag,omitzero"`
		Mode     Mode           `json:"mode"`
		Rate     float64        `json:"rate_per_second,omitzero"`
		Datasets map[string]int `json:"dataset_in_flight_limits,omitempty"`
		Until    time.Time      `json:"until,omitzero"`
		Waiting  int            `json:"waiting"`
		InFlight int            `json:"in_flight"`
		Sent     uint64         `json:"sent"`
		Retries  float64        `json:"retries_left"`
	}{s.Key, s.Tag, s.Mode, rounded(s.Rate), s.Datasets, s.Until, s.Waiting, s.InFlight, s.Sent, rounded(s.Retries)})
}

// rounded returns v with three significant digits.
func rounded(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return v
}

// MarshalText gives what String does.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Snapshot returns what is known about every quota that was asked since, in the
// order of their keys: what UnmarshalJSON took in shows once its quota is used.
func (p *Pacer) Snapshot() []State {
	var states []State
	for l := range p.all {
		states = append(states, l.snapshot())
	}
	slices.SortFunc(states, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Tag, b.Tag))
	})
	return states
}

func (l *line) snapshot() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{
		Key: Key{quota: l.quota}.String(), Tag: l.quota.tag,
		InFlight: l.inFlight(), Sent: l.sent(), Retries: l.reserve(),
	}
	if l.throttle == nil {
		return s
	}
	now := l.now()
	s.Mode, s.Rate, s.Datasets = l.mode(), l.state.rate(now), l.limits()
	s.Waiting, s.Retries = l.queue.len, l.budget.left(s.Sent, l.reserve(), now)
	if l.resume > now {
		s.Until = l.dateNow(l.resume)
	}
	return s
}

// limits returns the learned limits in flight.
func (l *line) limits() map[string]int {
	if l.caps == 0 {
		return nil
	}
	m := map[string]int{}
	for name, d := range l.datasets {
		limit := d.limit
		if d.broken {
			limit = d.before
		}
		if limit > 0 {
			m[name] = limit
		}
	}
	if len(m) == 0 { // all that there are belong to datasets that are set apart
		return nil
	}
	return m
}
