package pace

import (
	"maps"
	"time"
)

// How much is remembered, and how long a server may hold a quota, if nothing
// else is said.
const (
	defaultMaxKeys  = 1024
	defaultMaxPause = time.Hour // longer than any policy waits, shorter than a mistake lasts
)

func (p *Pacer) maxKeys() int {
	if p.MaxKeys > 0 {
		return p.MaxKeys
	}
	return defaultMaxKeys
}

func (p *Pacer) maxPause() time.Duration {
	if p.MaxPause > 0 {
		return p.MaxPause
	}
	return defaultMaxPause
}

// line returns the line of q.
func (p *Pacer) line(q quota) *line {
	if l := p.latest.Load(); l != nil && l.quota == q {
		return l
	}
	if m := p.lines.Load(); m != nil {
		if l := (*m)[q]; l != nil {
			return l
		}
	}
	return p.addLine(q)
}

// addLine makes the line of q, and room for it.
func (p *Pacer) addLine(q quota) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := map[quota]*line{}
	if m := p.lines.Load(); m != nil {
		if l := (*m)[q]; l != nil {
			return l
		}
		lines = maps.Clone(*m)
	}
	if limit := p.maxKeys(); len(lines) >= limit {
		evict(lines, limit)
	}
	l := newLine(p, q)
	p.restore(l)
	lines[q] = l
	p.lines.Store(&lines)
	p.latest.Store(l)
	return l
}

// evict forgets lines until an eighth of the table is free, so that it is not
// swept for every new line. First those that were not used since the last
// sweep and learned nothing, then the other unused, then whoever is idle now.
func evict(lines map[quota]*line, limit int) {
	target := limit - max(limit/8, 1)
	for pass := range 3 {
		for q, l := range lines {
			if len(lines) <= target {
				return
			}
			sent := l.sent()
			if pass < 2 && sent != l.swept || pass < 1 && l.learned() {
				continue
			}
			if l.evict() {
				delete(lines, q)
			}
		}
	}
	for _, l := range lines {
		l.swept = l.sent()
	}
}

// learned reports whether l knows more than a new line would.
func (l *line) learned() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state != &l.open || l.caps > 0 || l.resume > l.now()
}

// evict retires l if nobody waits or is in flight.
func (l *line) evict() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue.len > 0 || !l.retire() {
		return false
	}
	l.retired = true
	l.disarm()
	return true
}
