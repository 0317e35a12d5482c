package pace

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// A line is one quota: who is in flight, who waits, and what was learned.
//
// While nothing was ever rejected the gate of its account stands open and
// senders pass with a few atomic operations. As soon as somebody has to wait,
// or something was rejected, the gate is shut and everything goes through the
// lock. The account itself is the same in both cases, so there is nothing to
// hand over.
type line struct {
	account
	allow atomic.Uint32 // how many may be in flight while the gate is open

	quota quota
	pacer *Pacer
	link  atomic.Pointer[line] // in its chain of the index
	born  time.Time            // the zero of the line's clock; read with time.Since, which is monotonic

	mu        sync.Mutex
	retired   bool   // evicted from the table; look the quota up again
	swept     uint64 // the sends counted when the table was last swept
	*throttle        // nil before the lock was first taken with lock
}

// A throttle is what a line needs only after somebody had to wait or something
// failed: many have nothing but hosts that answer.
type throttle struct {
	queue queue
	timer *time.Timer
	armed time.Duration // when timer fires; never if it is not set

	state  state // one of the three below
	open   open
	paced  paced
	closed closed

	bad      uint64            // sends rejected or failed so far
	newest   [elsewhere]uint64 // of those accepted while the gate was shut, the last sent, in order of sending
	trip     trip              // the round trip of rejects
	cutAt    time.Duration     // of the last decrease
	cutSeq   uint64            // what was sent before it is old news
	resume   time.Duration     // nobody is sent before it
	asked    bool              // a Retry-After has been obeyed since the last decrease
	obeyed   time.Duration     // the Retry-After that was
	told     []Event           // to be told when the lock is free
	pausing  bool              // the end of the pause has not been told yet
	run      run
	doubt    doubt
	budget   budget
	datasets map[string]*dataset // that were sent to since the first reject
	caps     int                 // how many of them have a limit
}

// A state is a belief about the server. Its methods are called under the
// line's lock.
type state interface {
	mode() Mode
	// turn returns when the waiter at the head may be sent: now or earlier, a
	// time to come, or never if only an answer can tell.
	turn(l *line, now time.Duration) time.Duration
	// turnKnown returns the earliest time that the head can be sent, as far as
	// is planned already, else 0.
	turnKnown() time.Duration
	// sent says that t was sent, and whether it had to wait. It returns the
	// pace that it was sent at, 0 if there is none.
	sent(l *line, t Ticket, waited bool) float32
	// idle says that the queue is empty.
	idle(l *line, now time.Duration)
	accepted(l *line, t Ticket, now time.Duration)
	rejected(l *line, t Ticket, a answer, now time.Duration)
	// rate returns the learned rate per second, 0 if there is none.
	rate(now time.Duration) float64
}

func newLine(p *Pacer, q quota) *line {
	own := q.scheme + q.host // what these are part of may be long, and have secrets
	q.scheme, q.host = own[:len(q.scheme)], own[len(q.scheme):]
	l := &line{quota: q, pacer: p, born: time.Now()}
	l.allow.Store(firstFlight)
	return l
}

// lock takes the lock of a line that may have somebody wait or something to
// learn, and makes room for that.
func (l *line) lock() {
	l.mu.Lock()
	if l.throttle == nil {
		l.throttle = &throttle{armed: never}
		l.state = &l.open
	}
}

// now reads the line's clock.
func (l *line) now() time.Duration { return time.Since(l.born) }

// date returns the time at which the line's clock reads d, for a limiter, which
// only compares it with others.
func (l *line) date(d time.Duration) time.Time { return l.born.Add(d) }

// dateNow is date for people. It is reckoned from the present: the line's clock
// stands still while the machine sleeps, and does not know when the wall clock
// is set.
func (l *line) dateNow(d time.Duration) time.Time {
	now := time.Now()
	return now.Add(d - now.Sub(l.born))
}

// try sends if the gate is open. If not, t is of no use. It is filled in place,
// as a copy costs about as much as finding the line.
func (l *line) try(t *Ticket) (ok bool) {
	t.at = l.now()
	if t.seq, t.n, ok = l.tryEnter(l.allow.Load()); ok {
		t.line = l
	}
	return ok
}

// wait is the part of Wait that takes the lock. Only there is the clock read:
// whoever has been held up before it must not be sent in the past.
func (l *line) wait(ctx context.Context, dataset string, retry bool) (Ticket, error) {
	if ctx.Err() != nil {
		return Ticket{}, context.Cause(ctx)
	}
	l.lock()
	if l.retired {
		l.mu.Unlock()
		return Ticket{}, errRetired
	}
	l.shut()
	now := l.now()
	if t, ok := l.pass(dataset, now); ok {
		told := false
		defer func() {
			if !told { // OnEvent has panicked
				l.pacer.Abandon(t)
			}
		}()
		l.unlock()
		told = true
		return t, nil
	}
	w := &waiter{dataset: dataset, retry: retry, deadline: never}
	if at, ok := ctx.Deadline(); ok {
		w.deadline = now + min(time.Until(at), never-now)
	}
	l.queue.push(w, l.lane(dataset))
	l.dispatch(now)
	if w.list != nil {
		l.refuseLate(w, l.queue.ahead(w.lane, retry)-1, now)
	}
	waits := w.list != nil
	if waits {
		w.ready = make(chan struct{})
	}
	told := false
	defer func() {
		if !told { // OnEvent has panicked
			l.cancel(ctx, w)
		}
	}()
	l.unlock()
	if waits {
		select {
		case <-w.ready:
			l.catchUp()
		case <-ctx.Done():
			told = true
			return Ticket{}, l.cancel(ctx, w)
		}
	}
	told = true
	return w.ticket, w.err
}

// catchUp tells what a timer left to be told.
func (l *line) catchUp() {
	if l.pacer.OnEvent != nil {
		l.mu.Lock()
		l.unlock()
	}
}

// pass lets a caller send at once if nobody who may go is before him and his
// turn is now.
func (l *line) pass(dataset string, now time.Duration) (t Ticket, ok bool) {
	if l.queue.next(false) != nil || l.full(dataset) || now < l.resume || l.state.turn(l, now) > now {
		return Ticket{}, false
	}
	t = l.send(dataset, false, now)
	l.dispatch(now)
	return t, true
}

// cancel takes w out of the queue. If its turn came meanwhile it is given back.
func (l *line) cancel(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	defer l.unlock()
	now := l.now()
	if w.list != nil {
		l.queue.remove(w)
	} else if w.err == nil {
		l.leave()
		l.learn(w.ticket, unknown, answer{}, now)
	}
	l.dispatch(now)
	return context.Cause(ctx)
}

// dispatch sends everybody whose turn has come and sets the timer for the
// next. It is called whenever something has changed. For a line that was evicted
// nobody waits, and its gate stays shut.
func (l *line) dispatch(now time.Duration) {
	if l.retired {
		return
	}
	if now >= l.resume {
		l.endPause()
	}
	l.relay()
	for w := l.next(now); w != nil; w = l.next(now) {
		at := l.resume
		if at <= now {
			at = l.state.turn(l, now)
		}
		if at > now {
			l.arm(at, now)
			return
		}
		l.grant(w, now)
	}
	l.disarm()
	if l.queue.len == 0 {
		l.state.idle(l, now)
		if l.state == &l.open && l.caps == 0 && now >= l.resume {
			l.reopen()
		}
	}
}

// next returns the waiter whose turn is next, or nil if there is none that may
// be sent before an answer comes. All retries may be of one dataset that is
// broken by itself: so every second probe is of the dataset that was probed the
// longest ago, and every second turn is of a new request if the first retry's
// dataset has refused the last two of its requests.
func (l *line) next(now time.Duration) *waiter {
	if l.state == &l.closed {
		if l.closed.probes%2 == 0 || max(l.resume, l.closed.turn(l, now)) > now {
			return l.queue.next(false)
		}
		return l.queue.least(func(w *waiter) uint64 {
			if d := l.datasets[w.dataset]; d != nil {
				return d.sent
			}
			return 0
		})
	}
	if l.sent()%2 == 1 && len(l.datasets) > 1 {
		if w := l.queue.free.retries.front; w != nil {
			d := l.datasets[w.dataset]
			return l.queue.next(d != nil && d.row >= 2)
		}
	}
	return l.queue.next(false)
}

// grant lets w send.
func (l *line) grant(w *waiter, now time.Duration) {
	l.queue.remove(w)
	w.ticket = l.send(w.dataset, w.ready != nil, now)
	if w.ready != nil {
		close(w.ready)
	}
}

// send counts a send, and says whether it had to wait.
func (l *line) send(dataset string, waited bool, now time.Duration) Ticket {
	seq, n := l.enter()
	t := Ticket{line: l, seq: seq, at: now, n: int32(n)}
	t.pace = l.state.sent(l, t, waited)
	l.track(dataset, &t)
	return t
}

// done is the part of Done that takes the lock, of a send that is no longer in
// flight. What was forgotten meanwhile has nothing to learn from an answer that
// asks for nothing.
func (l *line) done(t Ticket, what meaning, a answer) {
	l.lock()
	defer l.unlock()
	if !l.retired {
		l.settle(t, what, a)
	}
}

// doneInFlight is done for a send that counts as in flight until the lock is
// held: so its line cannot be forgotten before, and what the answer asks for
// with it.
func (l *line) doneInFlight(t Ticket, what meaning, a answer) {
	l.lock()
	defer l.unlock()
	l.leave()
	l.settle(t, what, a)
}

// settle learns from an outcome and sends whoever may be sent after it.
func (l *line) settle(t Ticket, what meaning, a answer) {
	now := l.now()
	l.learn(t, what, a, now)
	l.dispatch(now)
}

// learn takes an outcome into account. The send is no longer in flight.
func (l *line) learn(t Ticket, what meaning, a answer, now time.Duration) {
	l.uncount(t)
	l.closed.returned(t, now)
	switch what {
	case accepted:
		l.accept(t)
		l.doubt.settled(l, t, 0, now)
		if t.cap != nil {
			t.cap.row = 0
			if t.cap.broken {
				l.rejoin(t.cap, now)
			} else {
				t.cap.passed(t)
			}
		}
		l.run.accepted(t)
		l.state.accepted(l, t, now)
	case rejected, down:
		if what == rejected && (l.ownFault(t, a, now) || l.isLate(t, a, now)) {
			l.bad++
			return
		}
		l.run.bad(t, l.bad)
		if what == rejected {
			l.doubt.settled(l, t, 1, now)
		}
		l.refuse(t, what, a, now)
		l.bad++
	}
}

// accept remembers the number of an accepted send if it is among the last sent.
func (l *line) accept(t Ticket) {
	if t.seq <= l.newest[0] {
		return
	}
	l.newest[0] = t.seq
	slices.Sort(l.newest[:])
}

// slowReject is how long a server that refuses for want of capacity may take to
// say so: a limiter answers before any work is done. Who takes longer has
// tried, and failed.
const slowReject = 5 * time.Second

// isLate reports whether a reject came too late to be about the pace. What it
// asks for is obeyed all the same.
func (l *line) isLate(t Ticket, a answer, now time.Duration) bool {
	late := now-t.at > slowReject
	if late {
		l.shut() // until dispatch finds nothing to wait for
		l.hold(a, l.isNews(t), now)
	}
	return late
}

// refuse answers a reject or a failure. The first that explains it wins: the
// host is down, the dataset is full, the rate is too high.
func (l *line) refuse(t Ticket, what meaning, a answer, now time.Duration) {
	if what == rejected {
		l.trip.observe(now - t.at)
	}
	switch {
	case l.state == &l.closed:
		l.closed.rejected(l, t, a, now)
	case l.isDown(t, a, now):
		l.close(a, now)
	case what == down:
	case l.doubt.excuses(t):
		l.hold(a, l.isNews(t), now)
	case l.blames(t, now):
		l.hold(a, true, now)
	default:
		l.state.rejected(l, t, a, now)
	}
}

// good returns how many of the sends before t were not refused, as far as is
// known: what is still unanswered counts as good, since refusals come back
// first. The difference of two of them is what the server accepted between.
func (l *line) good(t Ticket) float64 { return float64(int64(t.seq - l.bad)) }

// isNews reports whether t was sent after the last decrease. What was sent
// before says nothing that the decrease did not answer.
func (l *line) isNews(t Ticket) bool { return t.seq > l.cutSeq }

// hold obeys a Retry-After: nobody is sent before it is over.
func (l *line) hold(a answer, news bool, now time.Duration) {
	if news {
		l.asked = false
	}
	if !a.asked || a.retryAfter <= 0 || l.asked && a.retryAfter <= l.obeyed {
		return // the same word again, a little later
	}
	l.asked, l.obeyed = true, a.retryAfter
	if until := now + l.pauseOf(a); until > l.resume {
		l.resume = until
		l.pausing = true
		l.tell(Event{Kind: PauseBegun, Until: l.dateNow(until)}, now)
		l.refuseAllLate(now)
	}
}

// outagePause is the longest that a Retry-After of a 503 holds a quota: it may
// be about one dataset, or a guess, where that of a 429 is about the quota.
const outagePause = time.Minute

// pauseOf returns how long an answer that asks for a pause is obeyed.
func (l *line) pauseOf(a answer) time.Duration {
	pause := min(a.retryAfter, l.pacer.maxPause())
	if a.status != 429 {
		pause = min(pause, outagePause)
	}
	return pause
}

func (l *line) endPause() {
	if l.pausing {
		l.pausing = false
		l.tell(Event{Kind: PauseEnded}, l.now())
	}
}

// enterState changes the belief about the server.
func (l *line) enterState(s state, now time.Duration) {
	l.state.idle(l, now)
	l.doubt.trial = 0 // it was about the pace
	l.state = s
	l.shut()
	l.tell(Event{Kind: ModeChanged}, now)
}

// arm sets the timer.
func (l *line) arm(at, now time.Duration) {
	if at == never {
		l.disarm()
		return
	}
	if at == l.armed {
		return
	}
	l.armed = at
	if l.timer == nil {
		l.timer = time.AfterFunc(at-now, l.fire)
	} else {
		l.timer.Reset(at - now)
	}
}

func (l *line) disarm() {
	if l.armed != never {
		l.armed = never
		l.timer.Stop()
	}
}

// fire is what the timer does. What there is to tell is left to those it sends,
// or to whoever comes next.
func (l *line) fire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = never
	l.dispatch(l.now())
}

// refuseAllLate refuses everybody whose turn would come after his deadline.
func (l *line) refuseAllLate(now time.Duration) {
	l.relay()
	turns, stay := 0, map[*lane]int{}
	for _, w := range l.queue.all() {
		k, room := stay[w.lane], w.lane.room()
		if l.refuseLate(w, turns+max(k-room, 0), now) {
			continue
		}
		if stay[w.lane]++; k < room {
			turns++
		}
	}
}

// refuseLate refuses w if its turn, with so many ahead of it, would come after
// its deadline.
func (l *line) refuseLate(w *waiter, ahead int, now time.Duration) bool {
	turn := l.turnBehind(w.lane, ahead, now)
	if turn <= w.deadline {
		return false
	}
	l.queue.remove(w)
	w.err = &TooLate{Wait: turn - now, Turn: l.dateNow(turn)}
	if w.ready != nil {
		close(w.ready)
	}
	return true
}

// seconds returns s seconds as a Duration, never overflowing.
func seconds(s float64) time.Duration {
	if s >= math.MaxInt64/1e9 {
		return never
	}
	return time.Duration(s * 1e9)
}

// A trip is a smoothed round trip and its mean deviation.
type trip struct{ mean, dev time.Duration }

// observe takes one round trip into account, with the weights of RFC 6298.
func (r *trip) observe(d time.Duration) {
	if r.mean == 0 {
		r.mean, r.dev = max(d, 1), d/2
		return
	}
	off := d - r.mean
	r.mean += off / 8
	r.dev += (max(off, -off) - r.dev) / 4
}
