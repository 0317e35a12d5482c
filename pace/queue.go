package pace

import (
	"cmp"
	"slices"
	"time"
)

// A waiter is one caller whose turn has not come.
type waiter struct {
	prev, next *waiter
	list       *list // nil once it has left the queue
	lane       *lane
	arrival    uint64 // its place among all who ever came
	retry      bool
	dataset    string
	deadline   time.Duration // on the line's clock; never if it has none
	ready      chan struct{} // closed when ticket or err is set
	ticket     Ticket
	err        error
}

// A list is a queue of waiters, first in, first out. Any of them can leave.
type list struct {
	front, back *waiter
	len         int
}

func (q *list) push(w *waiter) {
	w.list, w.prev, w.next = q, q.back, nil
	if q.back != nil {
		q.back.next = w
	} else {
		q.front = w
	}
	q.back = w
	q.len++
}

func (q *list) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.front = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.back = w.prev
	}
	w.list, w.prev, w.next = nil, nil, nil
	q.len--
}

// appendTo appends the waiters of q to to.
func (q *list) appendTo(to []*waiter) []*waiter {
	for w := q.front; w != nil; w = w.next {
		to = append(to, w)
	}
	return to
}

// A lane is where the waiters of one dataset with a limit in flight stand, or
// those of all datasets that have none. Retries go before new requests: they
// have waited longer, and a batch that finishes what it began holds fewer
// requests open.
type lane struct {
	dataset        *dataset // nil for those without a limit
	retries, fresh list
}

// room returns how many more of n's dataset may be in flight.
func (n *lane) room() int {
	if n.dataset == nil {
		return flying
	}
	return n.dataset.room()
}

func (n *lane) list(retry bool) *list {
	if retry {
		return &n.retries
	}
	return &n.fresh
}

// A queue is where callers of one quota stand, in one lane for each dataset
// with a limit and in one for all others, so that those who wait for their
// dataset are in nobody's way. Turns are by arrival all the same.
type queue struct {
	free     lane
	limited  []*lane
	caps     int // of the line, when the lanes were laid
	len      int
	arrivals uint64
}

// lane returns the lane of the dataset of that name.
func (l *line) lane(name string) *lane {
	if l.caps == 0 {
		return &l.queue.free
	}
	d := l.datasets[name]
	if d == nil || d.limit == 0 {
		return &l.queue.free
	}
	for _, n := range l.queue.limited {
		if n.dataset == d {
			return n
		}
	}
	n := &lane{dataset: d}
	l.queue.limited = append(l.queue.limited, n)
	return n
}

// relay lays the lanes anew if other datasets have limits than before. That is
// rare, as it takes many rejects to believe in a limit or to give it up.
func (l *line) relay() {
	q := &l.queue
	if q.caps == l.caps {
		return
	}
	all := q.all()
	q.free, q.limited, q.caps = lane{}, nil, l.caps
	for _, w := range all {
		w.lane = l.lane(w.dataset)
		w.lane.list(w.retry).push(w)
	}
}

func (q *queue) push(w *waiter, n *lane) {
	q.arrivals++
	w.arrival, w.lane = q.arrivals, n
	n.list(w.retry).push(w)
	q.len++
}

func (q *queue) remove(w *waiter) {
	w.list.remove(w)
	q.len--
}

// next returns the waiter whose turn is next among those whose dataset has
// room, or nil. New requests go first if freshFirst is set.
func (q *queue) next(freshFirst bool) *waiter {
	if w := q.first(!freshFirst); w != nil {
		return w
	}
	return q.first(freshFirst)
}

func (q *queue) first(retry bool) *waiter {
	first := q.free.list(retry).front
	for _, n := range q.limited {
		if w := n.list(retry).front; w != nil && (first == nil || w.arrival < first.arrival) && n.room() > 0 {
			first = w
		}
	}
	return first
}

// least returns one of those of whom by is least, new requests first, among
// those whose dataset has room, or nil. It looks at all.
func (q *queue) least(by func(*waiter) uint64) (found *waiter) {
	var least uint64
	look := func(n *lane) {
		if n.room() == 0 {
			return
		}
		for _, from := range [...]*waiter{n.fresh.front, n.retries.front} {
			for w := from; w != nil; w = w.next {
				if v := by(w); found == nil || v < least {
					found, least = w, v
				}
			}
		}
	}
	look(&q.free)
	for _, n := range q.limited {
		look(n)
	}
	return found
}

// ahead returns how many turns come before that of a waiter who comes to lane
// n now. Of another dataset that has a limit, those for whom there is no room
// take none that is known of.
func (q *queue) ahead(n *lane, retry bool) int {
	turns := 0
	count := func(m *lane) {
		k := m.retries.len
		if !retry {
			k += m.fresh.len
		}
		if m != n {
			k = min(k, m.room())
		}
		turns += k
	}
	count(&q.free)
	for _, m := range q.limited {
		count(m)
	}
	return turns
}

// all returns every waiter in the order of their turns.
func (q *queue) all() []*waiter {
	all := make([]*waiter, 0, q.len)
	for _, retry := range [...]bool{true, false} {
		from := len(all)
		all = q.free.list(retry).appendTo(all)
		for _, n := range q.limited {
			all = n.list(retry).appendTo(all)
		}
		slices.SortFunc(all[from:], func(a, b *waiter) int { return cmp.Compare(a.arrival, b.arrival) })
	}
	return all
}
