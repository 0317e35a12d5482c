package pace

import "time"

// Turn returns how long a retry of k would have to wait now, as far as is
// known: for the end of a pause, for the next probe, and for those ahead of it.
func (p *Pacer) Turn(k Key) time.Duration {
	l := p.line(k.quota)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	turn := max(now, l.resume)
	if r := l.state.rate(now); r > 0 {
		turn += seconds(float64(l.queue.retries.len) / r)
	}
	return turn - now
}
