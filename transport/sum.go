package transport

import "hash/maphash"

// A sum is a running hash of what was delivered. It takes blocks where they
// lie, which is several times as fast as a maphash.Hash on long bodies. Their
// length is where maphash.Bytes is fastest, by half as fast again as on long ones.
type sum struct {
	seed maphash.Seed
	all  uint64 // of the whole blocks so far
	n    int    // bytes of part
	part [128]byte
}

func newSum(seed maphash.Seed) *sum { return &sum{seed: seed} }

// Write adds p. It never fails.
func (s *sum) Write(p []byte) (int, error) {
	all := len(p)
	if s.n > 0 {
		k := copy(s.part[s.n:], p)
		if s.n, p = s.n+k, p[k:]; s.n < len(s.part) {
			return all, nil
		}
		s.block(s.part[:])
	}
	for len(p) >= len(s.part) {
		s.block(p[:len(s.part)])
		p = p[len(s.part):]
	}
	s.n = copy(s.part[:], p)
	return all, nil
}

func (s *sum) block(b []byte) { s.all = mix(s.all, maphash.Bytes(s.seed, b)) }

// value returns the hash of all that was written.
func (s *sum) value() uint64 { return mix(s.all, maphash.Bytes(s.seed, s.part[:s.n])) }

// mix makes the order of the blocks count.
func mix(all, next uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: its bits are well spread
	return (all ^ next) * odd
}
