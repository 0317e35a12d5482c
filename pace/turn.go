package pace

import "time"

// Turn returns how long a retry of k would have to wait now, as far as is
// known: for the end of a pause, for the next probe, and for those ahead of it.
func (p *Pacer) Turn(k Key) time.Duration {
	if p.Off {
		return 0
	}
	l := p.locked(k.quota)
	defer l.mu.Unlock()
	now := l.now()
	n := l.lane(k.dataset)
	return l.turnBehind(n, l.queue.ahead(n, true), now) - now
}

// turnBehind returns when a waiter in lane n with so many ahead of it would be
// sent, as far as is known.
func (l *line) turnBehind(n *lane, ahead int, now time.Duration) time.Duration {
	turn := max(now, l.resume, l.state.turnKnown())
	if d := n.dataset; d != nil && d.held {
		turn = max(turn, d.wakes)
	}
	if r := l.state.rate(now); r > 0 {
		turn += seconds(float64(ahead) / r)
	}
	return turn
}
