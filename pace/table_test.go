package pace

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

func hostKey(i int) Key {
	return Key{quota: quota{scheme: "https", host: fmt.Sprintf("h%d.example", i)}}
}

// busy makes n quotas with a request in flight each.
func busy(t testing.TB, p *Pacer, n int) (tickets []Ticket) {
	t.Helper()
	for i := range n {
		ticket, err := p.Wait(t.Context(), hostKey(i), false)
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	return tickets
}

func (p *Pacer) has(k Key) bool { return p.find(k.quota) != nil }

// What a new quota costs does not grow with the number of those there are, all
// in flight, far beyond MaxKeys: neither what is allocated nor how many others
// are looked at.
func TestNewKeyIsNotDearerAmongMany(t *testing.T) {
	const news = 100
	cost := func(n int) (bytes uint64) {
		p := Pacer{MaxKeys: 64}
		busy(t, &p, n)
		keys := make([]Key, news)
		for i := range keys {
			keys[i] = hostKey(n + i)
		}
		for l := range p.all {
			l.swept = math.MaxUint64 // not looked at
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, k := range keys {
			p.Wait(t.Context(), k, false)
		}
		runtime.ReadMemStats(&after)
		looked := 0
		for l := range p.all {
			if l.swept == l.sent() {
				looked++
			}
		}
		if most := news * sweepSteps; looked > most {
			t.Errorf("with %d keys in flight, %d lines are looked at for %d new ones, want at most %d", n, looked, news, most)
		}
		return (after.TotalAlloc - before.TotalAlloc) / news
	}
	few, many := cost(100), cost(10_000)
	if many > 2*few {
		t.Errorf("a new key allocates %d bytes among 10,000 in flight, %d among 100", many, few)
	}
}

// Nor does a known one allocate, whichever it is.
func TestKnownKeysDoNotAllocate(t *testing.T) {
	var p Pacer
	busy(t, &p, 1000)
	keys, i := make([]Key, 999), 0 // the last has a short cut
	for i := range keys {
		keys[i] = hostKey(i)
	}
	if n := testing.AllocsPerRun(2*len(keys), func() {
		ticket, _ := p.Wait(t.Context(), keys[i%len(keys)], false)
		p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// When the busy ones are done, the table shrinks back.
func TestTableShrinks(t *testing.T) {
	p := Pacer{MaxKeys: 64}
	for _, ticket := range busy(t, &p, 2000) {
		p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
	}
	for i := range 1000 {
		ticket, _ := p.Wait(t.Context(), hostKey(5000+i), false)
		p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
	}
	n := 0
	for range p.all {
		n++
	}
	if n > 64 || n != len(p.plain.lines)+len(p.wise.lines) {
		t.Errorf("%d keys are kept, %d and %d in the clocks; want at most 64", n, len(p.plain.lines), len(p.wise.lines))
	}
}

// Hosts that are met once, in flight or not, push out none that have learned
// something. Nor, as long as others are idle, the one that is in use.
func TestPassersByPushNobodyOut(t *testing.T) {
	for name, flying := range map[string]bool{"idle": false, "in flight": true} {
		t.Run(name, func(t *testing.T) {
			p := Pacer{MaxKeys: 64}
			for i := range 40 { // side by side in the table
				ticket, _ := p.Wait(t.Context(), hostKey(i), false)
				p.Done(ticket, classify.Outcome{Class: classify.Throttled, Status: 429}, 0, false)
			}
			for i := range 5000 {
				ticket, _ := p.Wait(t.Context(), hostKey(1000+i), false)
				if flying {
					continue
				}
				p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
				ticket, _ = p.Wait(t.Context(), hostKey(999), false)
				if l := p.find(hostKey(999).quota); l.sent() != uint64(i+1) {
					t.Fatalf("the host in use was forgotten after %d others", i)
				}
				p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
			}
			for i := range 40 {
				if !p.has(hostKey(i)) {
					t.Errorf("what %v had learned was forgotten", hostKey(i))
				}
			}
		})
	}
}

// A quota with nobody in flight stays while somebody waits for the end of its
// pause, even if all others are in use.
func TestLineStaysWhileSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pacer{MaxKeys: 1}
		ticket, _ := p.Wait(t.Context(), hostKey(0), false)
		p.Done(ticket, classify.Outcome{Class: classify.Throttled, Status: 429}, time.Minute, true)
		l := ticket.line
		var wg sync.WaitGroup
		wg.Go(func() {
			ticket, err := p.Wait(t.Context(), hostKey(0), false)
			if err != nil || ticket.line != l {
				t.Errorf("%v, and whether it is the line: %v", err, ticket.line == l)
			}
		})
		synctest.Wait()
		for i := range 1000 {
			p.Wait(t.Context(), hostKey(1+i), false)
		}
		if p.find(hostKey(0).quota) != l {
			t.Error("it was forgotten")
		}
		wg.Wait()
	})
}

// Not even those that learned something stay when they are too many, but a
// pause that goes on does not end by that as long as others can go.
func TestLearnedKeysAreBounded(t *testing.T) {
	p := Pacer{MaxKeys: 64}
	p.Wait(t.Context(), hostKey(999), false) // in flight, and has learned nothing
	asked := classify.Outcome{Class: classify.Throttled, Status: 429}
	for i := range 3 {
		ticket, _ := p.Wait(t.Context(), hostKey(i), false)
		p.Done(ticket, asked, p.maxPause(), true)
	}
	for i := range 5000 {
		ticket, _ := p.Wait(t.Context(), hostKey(1000+i), false)
		p.Done(ticket, asked, 0, false)
	}
	if n := len(p.plain.lines) + len(p.wise.lines); n > 64 {
		t.Errorf("%d keys are kept, want at most 64", n)
	}
	for i := range 3 {
		if !p.has(hostKey(i)) {
			t.Errorf("the pause of %v was forgotten", hostKey(i))
		}
	}
}

// While a request is in flight, its quota has the line that it was counted in
// and no other, however many quotas come and go.
func TestLineStaysWhileInFlight(t *testing.T) {
	p := Pacer{MaxKeys: 2}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				k := hostKey((g + i) % 5)
				ticket, err := p.Wait(t.Context(), k, false)
				if err != nil {
					t.Error(err)
				}
				runtime.Gosched()
				if p.find(k.quota) != ticket.line {
					t.Errorf("%v has another line", k)
				}
				p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
			}
		})
	}
	wg.Wait()
}
