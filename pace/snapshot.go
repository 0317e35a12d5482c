package pace

import (
	"cmp"
	"slices"
	"time"
)

// A State is what a Pacer knows about one quota.
type State struct {
	Key      string         // scheme and host
	Tag      uint8          // tells the tokens of one host apart; 0 without a token
	Mode     Mode           // what is believed
	Rate     float64        // learned, per second; 0 if none is
	Datasets map[string]int // learned limits in flight, by dataset; nil if there are none
	Until    time.Time      // nothing is sent before it; zero if there is no pause
	Waiting  int            // callers in the queue
	InFlight int            // sends without an outcome
	Sent     uint64         // sends so far
	Retries  float64        // of transient failures, that the budget allows now
}

// Snapshot returns what is known about every quota, in the order of their keys.
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
	now := l.now()
	s := State{
		Key: Key{quota: l.quota}.String(), Tag: l.quota.tag,
		Mode: l.mode(), Rate: l.state.rate(now), Datasets: l.limits(),
		Waiting: l.queue.len, InFlight: l.inFlight(), Sent: l.sent(),
		Retries: l.budget.left(l.sent(), l.reserve(), now),
	}
	if l.resume > now {
		s.Until = l.date(l.resume)
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
		if d.limit > 0 && !d.broken {
			m[name] = d.limit
		}
	}
	return m
}
