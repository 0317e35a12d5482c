package pace

import (
	"hash/maphash"
	"sync/atomic"
)

// An index is a hash table of lines. Finding one takes no lock, and adding one
// allocates nothing: those of one chain hang on each other.
//
// Whoever adds and drops lines holds the table's lock. Whoever finds may come
// upon a chain that is being changed, and so may find a line that was dropped,
// which is retired by then, or may miss one that is there, and finds it
// under the lock.
type index struct {
	chains []atomic.Pointer[line] // a power of two
}

// leastChains is how many there are at least: most programs talk to few hosts.
const leastChains = 8

// newIndex returns one with room for so many lines.
func newIndex(lines int) *index {
	n := leastChains
	for n < lines {
		n *= 2
	}
	return &index{make([]atomic.Pointer[line], n)}
}

func (x *index) chain(host string, token uint64) *atomic.Pointer[line] {
	hash := maphash.String(seed, host) + token
	return &x.chains[hash&uint64(len(x.chains)-1)]
}

// find returns the line of a quota, or nil.
func (x *index) find(scheme, host string, token uint64) *line {
	for l := x.chain(host, token).Load(); l != nil; l = l.link.Load() {
		if q := &l.quota; q.token == token && q.host == host && q.scheme == scheme {
			return l
		}
	}
	return nil
}

// add adds l, which is in no chain or in one of an index before.
func (x *index) add(l *line) {
	chain := x.chain(l.quota.host, l.quota.token)
	l.link.Store(chain.Load())
	chain.Store(l)
}

// drop takes l out. It keeps its place in the chain for those who are at it.
func (x *index) drop(l *line) {
	at := x.chain(l.quota.host, l.quota.token)
	for at.Load() != l {
		at = &at.Load().link
	}
	at.Store(l.link.Load())
}
