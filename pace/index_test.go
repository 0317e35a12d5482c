package pace

import (
	"math/rand/v2"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"unsafe"

	"github.com/sodahttp/sodahttp/classify"
)

// Whatever is added and dropped, an index finds what a map has.
func TestIndexIsAMap(t *testing.T) {
	var p Pacer
	r := rand.New(rand.NewPCG(1, 2))
	x, want := newIndex(1), map[int]*line{}
	for range 1000 {
		i := r.IntN(50)
		if l := want[i]; l != nil {
			x.drop(l)
			delete(want, i)
		} else {
			want[i] = newLine(&p, hostKey(i).quota)
			x.add(want[i])
		}
		for i := range 50 {
			q := hostKey(i).quota
			if got := x.find(q.scheme, q.host, q.token); got != want[i] {
				t.Fatalf("%v: %p, want %p", q, got, want[i])
			}
		}
	}
	q := hostKey(0).quota
	x.add(newLine(&p, q))
	next := q.token + uint64(len(x.chains)) // in the same chain
	if x.find("http", q.host, q.token) != nil || x.find(q.scheme, q.host, next) != nil {
		t.Error("a line is found by half of its quota")
	}
}

// While the table grows, nobody makes a second line for a quota.
func TestEachQuotaHasOneLine(t *testing.T) {
	const hosts, senders = 2000, 8
	var (
		p  Pacer
		wg sync.WaitGroup
	)
	for range senders {
		wg.Go(func() {
			for i := range hosts {
				ticket, err := p.Wait(t.Context(), hostKey(i), false)
				if err != nil {
					t.Error(err)
				}
				p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
			}
		})
	}
	wg.Wait()
	n := 0
	for l := range p.all {
		if n++; l.sent() != senders {
			t.Errorf("%v was sent %d, want %d", l.quota.host, l.sent(), senders)
		}
	}
	if n != hosts {
		t.Errorf("%d lines, want %d", n, hosts)
	}
}

// A new quota costs its line and its name, and another goes for it.
func TestNewKeyAllocatesTwice(t *testing.T) {
	p, i := Pacer{MaxKeys: 64}, 0
	var keys []Key
	for i := range 1300 {
		keys = append(keys, hostKey(i))
	}
	send := func() {
		ticket, _ := p.Wait(t.Context(), keys[i], false)
		p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
		i++
	}
	for range 200 {
		send()
	}
	if n := testing.AllocsPerRun(1000, send); n != 2 {
		t.Errorf("%v allocations, want 2", n)
	}
}

// A quota that was always answered at once is small, holds nothing of a URL,
// and looks like any other.
func TestQuietLineIsSmall(t *testing.T) {
	var p Pacer
	req, err := http.NewRequest("GET", "https://a.test/?$$app_token=secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ticket, ok := p.Try(req)
		if !ok {
			t.Fatal("it has to wait")
		}
		p.Done(ticket, classify.Outcome{Status: 200}, 0, false)
	}
	l := p.find(KeyOf(req).quota)
	if size := unsafe.Sizeof(*l); size > 192 || l.throttle != nil {
		t.Errorf("%d bytes, and %v", size, l.throttle)
	}
	for _, s := range [][2]string{{l.quota.scheme, req.URL.Scheme}, {l.quota.host, req.URL.Host}} {
		if s[0] != s[1] || unsafe.StringData(s[0]) == unsafe.StringData(s[1]) {
			t.Errorf("%q is a part of the URL or is not %q", s[0], s[1])
		}
	}
	want := []State{{Key: "https://a.test", Sent: 3, Retries: budgetReserve}}
	if got := p.Snapshot(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, ok := l.save(); ok {
		t.Errorf("%+v is saved", got)
	}
}
