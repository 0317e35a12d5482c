package pace

import "sync/atomic"

// An account counts the sends of one quota: how many were begun and how many
// are in flight. It is one word, so that a sender on the fast path and a
// sender under the line's lock read and write the same numbers, and so that
// shutting the gate and counting a send cannot pass each other.
//
//	63 ............ 25 | 24    | 23 ....... 0
//	sends begun        | gate  | in flight
type account struct {
	word atomic.Uint64
	_    [56]byte // a cache line of its own: its neighbours are only read
}

const (
	flying    = 1<<24 - 1 // the bits that count requests in flight
	gate      = 1 << 24   // set: nobody enters but under the line's lock
	oneSend   = 1 << 25   // one more send begun
	sendShift = 25
)

// tryEnter counts a send if the gate is open and fewer than allow are in
// flight. It returns the send's number, from 1, and how many are in flight
// with it.
func (a *account) tryEnter(allow uint32) (seq uint64, n int32, ok bool) {
	for {
		w := a.word.Load()
		if w&gate != 0 || w&flying >= uint64(allow) {
			return 0, 0, false
		}
		if a.word.CompareAndSwap(w, w+oneSend+1) {
			return w>>sendShift + 1, int32(w&flying) + 1, true
		}
	}
}

// enter counts a send whatever the gate says. The caller holds the lock.
func (a *account) enter() (seq uint64, n int) {
	w := a.word.Add(oneSend + 1)
	return w >> sendShift, int(w & flying)
}

// leave counts one less in flight, and reports whether the gate is shut, so
// that somebody under the lock may be waiting for just this.
func (a *account) leave() (shut bool) {
	return a.word.Add(^uint64(0))&gate != 0
}

// shut closes the gate. Whoever leaves from now on sees it; whoever left
// before is no longer in the count that inFlight returns next.
func (a *account) shut() { a.word.Or(gate) }

// reopen opens the gate.
func (a *account) reopen() { a.word.And(^uint64(gate)) }

// retire shuts the gate for good if nobody is in flight.
func (a *account) retire() bool {
	w := a.word.Load()
	return w&flying == 0 && a.word.CompareAndSwap(w, w|gate)
}

func (a *account) inFlight() int { return int(a.word.Load() & flying) }
func (a *account) sent() uint64  { return a.word.Load() >> sendShift }
