package pace

import "time"

// A waiter is one caller whose turn has not come.
type waiter struct {
	prev, next *waiter
	list       *list // nil once it has left the queue
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

// A queue is where callers of one quota stand. Retries go before new
// requests: they have waited longer, and a batch that finishes what it began
// holds fewer requests open.
type queue struct{ retries, fresh list }

func (q *queue) len() int { return q.retries.len + q.fresh.len }

func (q *queue) push(w *waiter, retry bool) {
	if retry {
		q.retries.push(w)
	} else {
		q.fresh.push(w)
	}
}

// before returns how many stand before the list q.
func (q *queue) before(l *list) int {
	if l == &q.fresh {
		return q.retries.len
	}
	return 0
}

// all yields every waiter in the order of their turns. The waiter at hand may
// be removed.
func (q *queue) all(yield func(*waiter) bool) { each(yield, &q.retries, &q.fresh) }

// freshFirst yields them with new requests before retries. Every second probe
// of a host that lets nothing through is chosen so: the retries may all be of
// one dataset that is broken by itself.
func (q *queue) freshFirst(yield func(*waiter) bool) { each(yield, &q.fresh, &q.retries) }

func each(yield func(*waiter) bool, lists ...*list) {
	for _, l := range lists {
		for w := l.front; w != nil; {
			next := w.next
			if !yield(w) {
				return
			}
			w = next
		}
	}
}
