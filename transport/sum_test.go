package transport

import (
	"bytes"
	"hash/maphash"
	"math/rand/v2"
	"testing"
)

func TestSum(t *testing.T) {
	data := make([]byte, 50_000)
	rand.NewChaCha8([32]byte{2}).Read(data)
	seed := maphash.MakeSeed()
	of := func(b []byte, sizes ...int) uint64 {
		s := newSum(seed)
		for len(b) > 0 {
			n := min(sizes[rand.IntN(len(sizes))], len(b))
			s.Write(b[:n])
			b = b[n:]
		}
		return s.value()
	}
	want := of(data, len(data))
	for range 20 {
		if got := of(data, 1, 7, 120, 127, 128, 129, 1000); got != want {
			t.Fatal("the hash depends on how the bytes come")
		}
	}
	for _, other := range [][]byte{data[:len(data)-1], append(bytes.Clone(data), 0), append(bytes.Clone(data[4096:]), data[:4096]...)} {
		if of(other, 4096) == want {
			t.Error("other bytes have the same hash")
		}
	}
	changed := bytes.Clone(data)
	changed[40_000] ^= 1
	if of(changed, 4096) == want {
		t.Error("a changed bit has the same hash")
	}
}
