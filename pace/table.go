package pace

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How much is remembered, and how long a server may hold a quota, if nothing
// else is said.
const (
	defaultMaxKeys  = 1 << 14   // 4 MiB of hosts that answer
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
		return min(p.MaxPause, never/2)
	}
	return defaultMaxPause
}

// A table finds the line of a quota without a lock, and forgets lines when
// there are too many. What a new line costs does not depend on how many there
// are: the hands of two clocks look at a few lines each.
type table struct {
	index atomic.Pointer[index]
	mu    sync.Mutex // held to add and forget lines, and for saved
	plain clock      // lines that know no more than a new one would, when last looked at
	wise  clock      // the others, which plain ones do not push out
	saved map[savedKey]savedLine
}

const (
	sweepSteps = 16 // lines looked at for a new one: if one in so many is idle, as many go as come
	hardSteps  = 8  // of them, the last, that do not spare a line because it is in use
	plainShare = 8  // one part in so many of the table, at least, is for plain lines
)

// find returns the line of q, or nil.
func (t *table) find(q quota) *line {
	if x := t.index.Load(); x != nil {
		return x.find(q.scheme, q.host, q.token)
	}
	return nil
}

// line returns the line of q, and makes it if there is none.
func (p *Pacer) line(q quota) *line {
	if l := p.find(q); l != nil {
		return l
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.find(q); l != nil {
		return l // somebody was faster
	}
	p.makeRoom(p.maxKeys())
	l := newLine(p, q)
	p.restore(l)
	p.plain.add(l)
	p.insert(l)
	return l
}

// locked returns the line of q with its lock held, as lock does.
func (p *Pacer) locked(q quota) *line {
	for {
		l := p.line(q)
		l.lock()
		if !l.retired {
			return l
		}
		l.mu.Unlock() // evicted between its look-up and its lock
	}
}

// lineOf returns the line of req, and makes it if there is none. Most hosts are
// spelled as they are in the table, and so the key need not be made for them.
func (p *Pacer) lineOf(req *http.Request) *line {
	if x := p.index.Load(); x != nil {
		if l := x.find(req.URL.Scheme, req.URL.Host, tokenOf(req.Header)); l != nil {
			return l
		}
	}
	return p.line(KeyOf(req).quota)
}

// insert puts l, which is in a clock already, into the index. That grows with
// the number of lines.
func (t *table) insert(l *line) {
	x := t.index.Load()
	if n := t.len(); x == nil || n > len(x.chains) {
		x = newIndex(n)
		for l := range t.each {
			x.add(l)
		}
		t.index.Store(x)
		return
	}
	x.add(l)
}

// len returns how many lines there are.
func (t *table) len() int { return len(t.plain.lines) + len(t.wise.lines) }

// makeRoom forgets idle lines, until there is room for one more or enough were
// looked at. Lines that learned something go only if they are too many by
// themselves: then a host that is met once does not cost what others taught. As
// they may all be in use, every second look is at the others even then.
func (t *table) makeRoom(limit int) {
	for left := sweepSteps; left > 0; left-- {
		if t.len() < limit {
			return
		}
		from := &t.plain
		tooWise := len(t.wise.lines) > limit-max(limit/plainShare, 1) && (left%2 == 0 || left == 1)
		if tooWise || len(from.lines) == 0 {
			from = &t.wise
		}
		t.consider(from, left)
	}
}

// consider looks at the next line of c: it goes, moves to the other clock, or
// stays until the hand comes round again. The fewer looks are left, the less
// it takes to go: first only lines that were not used since the last look do,
// at the very end even one whose pause goes on.
func (t *table) consider(c *clock, left int) {
	l := c.lines[c.hand]
	l.mu.Lock() // until it is out of the table: whoever finds it retired finds it no more
	defer l.mu.Unlock()
	home := &t.plain
	if l.learned() {
		home = &t.wise
	}
	sent := l.sent()
	spare := sent != l.swept && left > hardSteps || l.paused() && left > 1
	l.swept = sent
	switch {
	case c != home:
		c.drop()
		home.add(l)
	case spare || !l.evict():
		c.hand = (c.hand + 1) % len(c.lines)
	default:
		c.drop()
		t.index.Load().drop(l)
	}
}

// learned reports whether l knows more than a new line would.
func (l *line) learned() bool {
	return l.throttle != nil && (l.state != &l.open || l.caps > 0 || l.paused())
}

// paused reads the clock only if there ever was a pause.
func (l *line) paused() bool { return l.throttle != nil && l.resume > 0 && l.resume > l.now() }

// evict retires l if nobody waits or is in flight.
func (l *line) evict() bool {
	waits := l.throttle != nil && l.queue.len > 0
	if waits || !l.retire() {
		return false
	}
	l.retired = true
	if l.throttle != nil {
		l.disarm()
	}
	return true
}

// all yields every line there is when it begins.
func (t *table) all(yield func(*line) bool) {
	t.mu.Lock()
	lines := slices.AppendSeq(make([]*line, 0, t.len()), t.each)
	t.mu.Unlock()
	for _, l := range lines {
		if !yield(l) {
			return
		}
	}
}

// each yields every line. The caller holds t.mu.
func (t *table) each(yield func(*line) bool) {
	for _, c := range [...]*clock{&t.plain, &t.wise} {
		for _, l := range c.lines {
			if !yield(l) {
				return
			}
		}
	}
}

// A clock is lines in a circle, and a hand that goes round.
type clock struct {
	lines []*line
	hand  int
}

func (c *clock) add(l *line) { c.lines = append(c.lines, l) }

// drop takes the line at the hand out. The last one takes its place.
func (c *clock) drop() {
	last := len(c.lines) - 1
	c.lines[c.hand] = c.lines[last]
	c.lines[last] = nil
	c.lines = c.lines[:last]
	if c.hand == last {
		c.hand = 0
	}
}
