package pace

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A plainQueue does what a queue does by looking at everybody.
type plainQueue []*waiter

func (q plainQueue) sorted(freshFirst bool) plainQueue {
	return slices.SortedFunc(slices.Values(q), func(a, b *waiter) int {
		if a.retry != b.retry {
			if a.retry != freshFirst {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.arrival, b.arrival)
	})
}

func (q plainQueue) next(l *line, freshFirst bool) *waiter {
	for _, w := range q.sorted(freshFirst) {
		if !l.full(w.dataset) {
			return w
		}
	}
	return nil
}

// ahead counts the turns before that of w.
func (q plainQueue) ahead(l *line, w *waiter) (turns int) {
	taken := map[string]int{}
	for _, other := range q.sorted(false) {
		if other == w {
			break
		}
		d := l.datasets[other.dataset]
		if d.limit == 0 || other.dataset == w.dataset || taken[other.dataset] < d.limit-d.inFlight {
			turns++
		}
		taken[other.dataset]++
	}
	return turns
}

// Whatever comes, goes, is cancelled, gets a limit or loses it: the queue
// answers as one does that looks at everybody.
func TestQueueIsAsIfEverybodyWereLookedAt(t *testing.T) {
	names := []string{"aaaa-aaaa", "bbbb-bbbb", "cccc-cccc", "dddd-dddd"}
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 0))
		l := newLine(&Pacer{}, quota{})
		l.lock()
		for _, name := range names {
			l.addDataset(name)
		}
		var plain plainQueue
		drop := func(w *waiter) {
			l.queue.remove(w)
			plain = slices.DeleteFunc(plain, func(o *waiter) bool { return o == w })
		}
		for step := range 1000 {
			d := l.datasets[names[r.IntN(len(names))]]
			switch r.IntN(10) {
			case 0, 1, 2, 3:
				w := &waiter{dataset: names[r.IntN(len(names))], retry: r.IntN(3) == 0}
				l.queue.push(w, l.lane(w.dataset))
				plain = append(plain, w)
				if got, want := l.queue.ahead(w.lane, w.retry)-1, plain.ahead(l, w); got != want {
					t.Fatalf("seed %d, step %d: %d turns ahead, want %d", seed, step, got, want)
				}
			case 4, 5:
				if w := l.queue.next(r.IntN(2) == 0); w != nil {
					drop(w)
					l.datasets[w.dataset].inFlight++
				}
			case 6:
				if len(plain) > 0 {
					drop(plain[r.IntN(len(plain))])
				}
			case 7, 8:
				d.inFlight = max(d.inFlight-1, 0)
			default:
				if r.IntN(20) > 0 {
					break
				}
				if d.limit == 0 {
					l.caps++
					d.limit = 1 + r.IntN(5)
				} else {
					l.caps--
					d.limit = 0
				}
				l.relay()
			}
			for _, freshFirst := range []bool{false, true} {
				if got, want := l.queue.next(freshFirst), plain.next(l, freshFirst); got != want {
					t.Fatalf("seed %d, step %d: not the next", seed, step)
				}
			}
			if !slices.Equal(l.queue.all(), plain.sorted(false)) || l.queue.len != len(plain) {
				t.Fatalf("seed %d, step %d: not the order of turns", seed, step)
			}
		}
	}
}

// Behind the first of a dataset that is at its limit nobody is looked at.
func TestOnlyHeadsAreLookedAt(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	d := l.addDataset("aaaa-aaaa")
	d.limit, d.inFlight, l.caps = 1, 1, 1
	for range 10 {
		l.queue.push(&waiter{dataset: "aaaa-aaaa"}, l.lane("aaaa-aaaa"))
	}
	// Whoever looks at the second finds that it may go.
	l.queue.limited[0].fresh.front.next.dataset = "bbbb-bbbb"
	if w := l.queue.next(false); w != nil {
		t.Errorf("%+v was looked at", w)
	}
	d.inFlight = 0
	if w := l.queue.next(false); w == nil || w.arrival != 1 {
		t.Errorf("next is %+v, want the first", w)
	}
}

// A limit that is learned while its dataset's callers wait holds for them.
func TestLimitLearnedWhileWaiting(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	d := l.addDataset("aaaa-aaaa")
	l.resume = never
	for range 10 {
		l.queue.push(&waiter{dataset: "aaaa-aaaa"}, l.lane("aaaa-aaaa"))
	}
	l.dispatch(0)
	d.limit, l.caps = 3, 1
	l.resume = 0
	l.dispatch(0)
	if d.inFlight != 3 || l.queue.len != 7 {
		t.Errorf("%d in flight and %d waiting, want 3 and 7", d.inFlight, l.queue.len)
	}
}

// A pause refuses who comes too late by exactly his turn, as a newcomer's would
// be reckoned.
func TestPauseRefusesByTheTurn(t *testing.T) {
	l := newLine(&Pacer{}, quota{})
	l.lock()
	l.paced.begin(l, 10, 0)
	l.state, l.resume = &l.paced, 3*time.Second
	names := []string{"aaaa-aaaa", "bbbb-bbbb", "cccc-cccc"}
	for i, name := range names {
		l.addDataset(name).limit = 3 * i
	}
	l.caps = 2
	var all plainQueue
	for i := range 60 {
		w := &waiter{dataset: names[i%len(names)], retry: i%4 == 0}
		l.queue.push(w, l.lane(w.dataset))
		all = append(all, w)
	}
	turn := func(w *waiter) time.Duration { return l.turnBehind(w.lane, all.ahead(l, w), 0) }
	for _, w := range all {
		w.deadline = turn(w)
	}
	if l.refuseAllLate(0); l.queue.len != len(all) {
		t.Fatalf("%d of %d are left who come in time", l.queue.len, len(all))
	}
	for n := len(all); n > 0; n-- { // from the back, as one who goes makes room
		w := all.sorted(false)[n-1]
		w.deadline--
		if l.refuseAllLate(0); w.err == nil || l.queue.len != n-1 {
			t.Fatalf("%d are left, want %d: the last comes too late", l.queue.len, n-1)
		}
	}
}
