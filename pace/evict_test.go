package pace

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// waitForLock returns when n goroutines that run the named function wait for a
// mutex, or when over says so.
func waitForLock(n int, function string, over func() bool) {
	buf := make([]byte, 1<<20)
	for !over() {
		waiting := 0
		for _, stack := range bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
			if bytes.Contains(stack, []byte("[sync.Mutex.Lock")) && bytes.Contains(stack, []byte(function)) {
				waiting++
			}
		}
		if waiting >= n {
			return
		}
		runtime.Gosched()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A reject counts as in flight until it has been learned from, so that its
// quota cannot be forgotten in between, and the pause with it.
func TestPauseOutlivesEviction(t *testing.T) {
	p := Pacer{MaxKeys: 1}
	ticket, _ := p.Wait(t.Context(), hostKey(0), false)
	l, done := ticket.line, make(chan struct{})
	l.mu.Lock()
	go func() {
		defer close(done)
		p.Done(ticket, tooMany, time.Hour, true)
	}()
	waitForLock(1, "TestPauseOutlivesEviction", func() bool { return isClosed(done) })
	if l.evict() {
		t.Error("the quota is forgotten while an answer waits for its lock")
	}
	l.mu.Unlock()
	<-done
	if turn := p.Turn(hostKey(0)); turn == 0 {
		t.Error("the pause that was asked for is lost")
	}
}

// A line that was forgotten while somebody was about to take its lock lets
// nobody through: they would be counted where nobody looks.
func TestRetiredLineStaysShut(t *testing.T) {
	for name, late := range map[string]func(l *line, t Ticket){
		"an answer":         func(l *line, t Ticket) { l.done(t, accepted, answer{}) },
		"a ticket returned": func(l *line, t Ticket) { l.done(t, unknown, answer{}) },
		"who was refused":   func(l *line, t Ticket) { l.cancel(context.Background(), &waiter{err: &TooLate{}}) },
	} {
		p := Pacer{MaxKeys: 1}
		ticket, _ := p.Wait(t.Context(), hostKey(0), false)
		l := ticket.line
		l.lock()
		l.shut()
		l.mu.Unlock()
		l.leave() // as Done does before it takes the lock
		p.Wait(t.Context(), hostKey(1), false)
		if !l.retired {
			t.Fatal("it is not forgotten")
		}
		late(l, ticket)
		if l.try(new(Ticket)) {
			t.Errorf("%s opens it again", name)
		}
	}
}

// Turn and Retry ask the line that a quota has, not one that was forgotten
// while they waited for its lock.
func TestTurnAndRetryOfAnEvictedLine(t *testing.T) {
	for name, ask := range map[string]func(p *Pacer, k Key) bool{
		"Turn":  func(p *Pacer, k Key) bool { return p.Turn(k) > time.Minute },
		"Retry": func(p *Pacer, k Key) bool { return !p.Retry(k) },
	} {
		var p Pacer
		k := hostKey(0)
		old, done := p.line(k.quota), make(chan struct{})
		old.mu.Lock()
		var right bool
		go func() {
			defer close(done)
			right = ask(&p, k)
		}()
		waitForLock(1, "TestTurnAndRetryOfAnEvictedLine", func() bool { return isClosed(done) })
		old.evict()
		p.plain.drop()
		p.index.Load().drop(old)
		l := p.line(k.quota) // whose pause is an hour, and whose budget is spent
		l.lock()
		l.resume, l.budget = time.Hour, budget{spent: 1e6}
		l.mu.Unlock()
		old.mu.Unlock()
		if <-done; !right {
			t.Errorf("%s asked a line that was forgotten", name)
		}
	}
}

// What was restored is saved again, also if its quota is met at that moment.
func TestSaveWhileQuotasAreMet(t *testing.T) {
	var p Pacer
	first := p.line(hostKey(1).quota)
	restored := fmt.Sprintf(`{"version":1,"quotas":[{"scheme":"https","host":%q,"rate":10,"trust":1}]}`, hostKey(0).host)
	if err := json.Unmarshal([]byte(restored), &p); err != nil {
		t.Fatal(err)
	}
	first.mu.Lock()
	var state []byte
	saved, met := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(saved)
		state, _ = json.Marshal(&p)
	}()
	waitForLock(1, "TestSaveWhileQuotasAreMet", func() bool { return isClosed(saved) })
	go func() {
		defer close(met)
		p.Wait(t.Context(), hostKey(0), false)
	}()
	waitForLock(2, "TestSaveWhileQuotasAreMet", func() bool { return isClosed(met) })
	first.mu.Unlock()
	<-saved
	<-met
	if !strings.Contains(string(state), hostKey(0).host) {
		t.Errorf("%s lacks what was restored", state)
	}
}

// Quotas that have learned something and cannot go, being in flight, do not
// make room for any number of others.
func TestBusyLearnedKeysDoNotUnboundOthers(t *testing.T) {
	for _, limit := range []int{1, 64} {
		p := Pacer{MaxKeys: limit}
		busy := limit - limit/plainShare + 1
		for i := range busy {
			ticket, _ := p.Wait(t.Context(), hostKey(i), false)
			p.Done(ticket, tooMany, 0, false)
			if _, err := p.Wait(t.Context(), hostKey(i), true); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2000 {
			ticket, _ := p.Wait(t.Context(), hostKey(1000+i), false)
			p.Done(ticket, served, 0, false)
		}
		if n, most := p.len(), max(limit, busy+1); n > most {
			t.Errorf("%d keys are kept with %d busy, want at most %d", n, busy, most)
		}
	}
}

// The name of a dataset that is remembered is not a piece of the URL, which may
// be long, and have secrets.
func TestDatasetIsNoPieceOfTheURL(t *testing.T) {
	var p Pacer
	req, err := http.NewRequest(http.MethodGet, "https://a.test/resource/abcd-1234.json?$$app_token=secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []bool{false, true} {
		ticket, err := p.WaitFor(t.Context(), req, o)
		if err != nil {
			t.Fatal(err)
		}
		p.Done(ticket, tooMany, 0, false)
	}
	datasets := p.find(KeyOf(req).quota).datasets
	if len(datasets) != 1 {
		t.Fatalf("%d datasets, want 1", len(datasets))
	}
	path := uintptr(unsafe.Pointer(unsafe.StringData(req.URL.Path)))
	for name := range datasets {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(name))); at-path < uintptr(len(req.URL.Path)) {
			t.Errorf("%s is byte %d of the URL's path", name, at-path)
		}
	}
}
