package sim

import (
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Limit decides about requests. It knows only virtual time. Its methods are
// called under the server's lock.
type Limit interface {
	// Admit decides about a request that arrives at t (since the start).
	// If it is refused, after is when to come back.
	Admit(t time.Duration) (ok bool, after time.Duration)
	// Capacity is what it could accept in the first d.
	Capacity(d time.Duration) float64
}

// A Bucket is a token bucket that begins full.
type Bucket struct {
	Rate, Burst float64
	tokens      float64
	at          time.Duration
	begun       bool
}

func (b *Bucket) Admit(t time.Duration) (bool, time.Duration) {
	if !b.begun {
		b.begun, b.tokens = true, b.Burst
	}
	b.tokens = min(b.Burst, b.tokens+(t-b.at).Seconds()*b.Rate)
	b.at = t
	if b.tokens >= 1-1e-9 {
		b.tokens--
		return true, 0
	}
	return false, time.Duration((1 - b.tokens) / b.Rate * 1e9)
}

func (b *Bucket) Capacity(d time.Duration) float64 { return b.Burst + b.Rate*d.Seconds() }

// A Window lets N requests through in each period.
type Window struct {
	N      int
	Period time.Duration
	index  int64
	used   int
}

func (w *Window) Admit(t time.Duration) (bool, time.Duration) {
	if i := int64(t / w.Period); i != w.index {
		w.index, w.used = i, 0
	}
	if w.used < w.N {
		w.used++
		return true, 0
	}
	return false, time.Duration(w.index+1)*w.Period - t
}

func (w *Window) Capacity(d time.Duration) float64 {
	return float64(w.N) * math.Ceil(d.Seconds()/w.Period.Seconds())
}

// A Log lets N requests through in any period.
type Log struct {
	N      int
	Period time.Duration
	times  []time.Duration
}

func (l *Log) Admit(t time.Duration) (bool, time.Duration) {
	for len(l.times) > 0 && l.times[0] <= t-l.Period {
		l.times = l.times[1:]
	}
	if len(l.times) < l.N {
		l.times = append(l.times, t)
		return true, 0
	}
	return false, l.times[0] + l.Period - t
}

func (l *Log) Capacity(d time.Duration) float64 {
	return float64(l.N) * math.Ceil(d.Seconds()/l.Period.Seconds())
}

// A Steps changes the rate of a bucket from phase to phase.
type Steps struct {
	Bucket
	Phase time.Duration
	Rates []float64
}

func (s *Steps) Admit(t time.Duration) (bool, time.Duration) {
	s.Bucket.Rate = s.Rates[min(int(t/s.Phase), len(s.Rates)-1)]
	return s.Bucket.Admit(t)
}

func (s *Steps) Capacity(d time.Duration) float64 {
	sum := s.Burst
	for _, r := range s.Rates {
		sum += r * min(s.Phase, max(d, 0)).Seconds()
		d -= s.Phase
	}
	return sum
}

// An Outage refuses everything between two times.
type Outage struct{ From, To time.Duration }

func (o *Outage) Admit(t time.Duration) (bool, time.Duration) { return t < o.From || t >= o.To, 0 }
func (o *Outage) Capacity(time.Duration) float64              { return math.Inf(1) }

// Unlimited refuses nothing.
type Unlimited struct{}

func (Unlimited) Admit(time.Duration) (bool, time.Duration) { return true, 0 }
func (Unlimited) Capacity(time.Duration) float64            { return math.Inf(1) }

// A Flaky refuses some requests whatever the pace, before its Limit sees them.
type Flaky struct {
	Limit
	Share float64 // of requests refused
	rnd   *random
}

func (f *Flaky) Admit(t time.Duration) (bool, time.Duration) {
	if f.rnd.float() < f.Share {
		return false, 0
	}
	return f.Limit.Admit(t)
}

// A Slots is a dataset that takes N queries at once, each of which takes its
// time. Others, if any, are queries of other people: that many at once on
// average, in a random stream.
type Slots struct {
	N       int
	Service func(*random) time.Duration
	Mean    time.Duration // of Service
	Others  float64
	used    int
	theirs  time.Duration // slot time taken by others
}

// Refused is the status of a Server that is not even there to refuse.
const Refused = -1

// A Server is a stub Base: a limit, a latency and a status for refusals.
type Server struct {
	Limit   Limit
	Slots   *Slots // instead of Limit
	Latency Latency
	Status  int  // of refusals; 0 means 429
	Hint    bool // whether they carry Retry-After, in whole seconds
	MinHint time.Duration

	rnd      *random
	start    time.Time
	end      time.Duration // decisions from then on are not counted
	mu       sync.Mutex
	sends    []time.Duration // when each was decided
	refused  []time.Duration
	accepted int
}

// NewServer returns a Server to be used by itself, which starts now.
func NewServer(l Limit, lat Latency, seed uint64) *Server {
	return &Server{Limit: l, Latency: lat, rnd: newRandom(seed), start: time.Now(), end: math.MaxInt64}
}

// RoundTrip is one request: there, decided, served, and back.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	if n, ok := req.Context().Value(countKey{}).(*int); ok {
		*n++
	}
	if err := sleep(req, s.Latency.before(s.rnd)); err != nil {
		return nil, err
	}
	ok, after := s.decide()
	if !ok {
		sleep(req, s.Latency.back(s.rnd))
		if s.Status == Refused {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		return s.refusal(req, after), nil
	}
	if s.Slots != nil {
		sleep(req, s.Slots.Service(s.rnd))
		s.mu.Lock()
		s.Slots.used--
		s.mu.Unlock()
	}
	sleep(req, s.Latency.behind(s.rnd)+s.Latency.back(s.rnd))
	return reply(req, 200), nil
}

func (s *Server) decide() (ok bool, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := time.Since(s.start)
	if s.Slots != nil {
		if ok = s.Slots.used < s.Slots.N; ok {
			s.Slots.used++
		}
	} else {
		ok, after = s.Limit.Admit(t)
	}
	if t < s.end {
		s.sends = append(s.sends, t)
		if ok {
			s.accepted++
		} else {
			s.refused = append(s.refused, t)
		}
	}
	return ok, after
}

func (s *Server) refusal(req *http.Request, after time.Duration) *http.Response {
	status := s.Status
	if status == 0 {
		status = http.StatusTooManyRequests
	}
	resp := reply(req, status)
	if s.Hint {
		resp.Header.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(max(after, s.MinHint).Seconds())))))
	}
	return resp
}

func reply(req *http.Request, status int) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req,
	}
}

func sleep(req *http.Request, d time.Duration) error {
	if req.Context().Done() == nil || d <= 0 {
		time.Sleep(d)
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-req.Context().Done():
		return req.Context().Err()
	}
}

// others lets other people use the slots until the run ends.
func (s *Server) others() {
	if s.Slots == nil || s.Slots.Others == 0 {
		return
	}
	for time.Since(s.start) < s.end {
		time.Sleep(time.Duration(s.rnd.exp() * float64(s.Slots.Mean) / s.Slots.Others))
		s.mu.Lock()
		free := s.Slots.used < s.Slots.N
		d := s.Slots.Service(s.rnd)
		if free {
			s.Slots.used++
			s.Slots.theirs += d
		}
		s.mu.Unlock()
		if free {
			time.AfterFunc(d, func() { s.mu.Lock(); s.Slots.used--; s.mu.Unlock() })
		}
	}
}

// capacity is what the server could have accepted from us, if we had asked for
// demand in all, evenly.
func (s *Server) capacity(demand float64) float64 {
	if st, ok := s.Limit.(*Steps); ok {
		sum := 0.0
		for _, r := range st.Rates {
			sum += min(r*st.Phase.Seconds(), demand*st.Phase.Seconds()/s.end.Seconds())
		}
		return sum
	}
	if o, ok := s.Limit.(*Outage); ok {
		return demand * (1 - (o.To-o.From).Seconds()/s.end.Seconds())
	}
	if f, ok := s.Limit.(*Flaky); ok {
		demand *= 1 - f.Share
	}
	return min(demand, s.limited())
}

func (s *Server) limited() float64 {
	if s.Slots == nil {
		return s.Limit.Capacity(s.end)
	}
	free := float64(s.Slots.N)*s.end.Seconds() - s.Slots.theirs.Seconds()
	return free / s.Slots.Mean.Seconds()
}
