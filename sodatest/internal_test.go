package sodatest

import (
	"regexp"
	"testing"
	"time"
)

// However many data sets are made, the next gets an id of its own.
func TestNextID(t *testing.T) {
	s := NewServer(InMemory())
	defer s.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 11000 {
			id := s.nextID()
			if s.datasets[id] != nil || !regexp.MustCompile(`^[2-9a-z]{4}-[2-9a-z]{4}$`).MatchString(id) {
				t.Errorf("%q is taken, or no 4x4", id)
				return
			}
			s.datasets[id] = newDataset(id, s.start)
			if s.made == 1 { // as if the ids had gone round
				s.made = 0
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("no id")
	}
}
