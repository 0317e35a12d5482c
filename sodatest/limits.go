package sodatest

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

// models is how a server misbehaves besides its script.
type models struct {
	outages  []outage
	every    []every
	seen     int // requests so far, what Every counts
	limits   []limit
	inFlight map[string]int // requests that are being answered, by data set
	perSet   int            // how many of them; 0 means no limit
	throttle Reply
	tokens   []string // valid ones; nil means all are
}

type outage struct {
	after, length time.Duration
	reply         Reply
}

type every struct {
	n     int
	reply Reply
}

// A limit tells whether a request at now may pass. Only when all limits agree is
// it called once more with take, so that a refused request uses up nothing.
type limit func(now time.Time, take bool) bool

func newModels() models {
	return models{inFlight: map[string]int{}, throttle: Fault("too-many-requests")}
}

// TokenBucket lets bursts of burst requests pass, and perSecond requests a second
// in the long run. Beyond it the answer is a 429, or what [Throttle] says. The
// whole server has one bucket, which is full at the start. A refused request
// takes nothing out of it.
func TokenBucket(perSecond float64, burst int) Option {
	return func(s *Server) {
		tokens, last := float64(burst), s.start
		s.faults.limits = append(s.faults.limits, func(now time.Time, take bool) bool {
			tokens = min(float64(burst), tokens+perSecond*now.Sub(last).Seconds())
			last = now
			// Rates like 3/s have no exact float: a token that lacks a billionth
			// of itself is a token, or a caller on time would be refused.
			ok := tokens >= 1-1e-9
			if ok && take {
				tokens--
			}
			return ok
		})
	}
}

// FixedWindow lets n requests pass in each window, counted from the server's
// start. Beyond it the answer is a 429, or what [Throttle] says. The whole
// server has one window. A refused request does not count.
func FixedWindow(n int, window time.Duration) Option {
	return func(s *Server) {
		var used int
		var current time.Duration
		s.faults.limits = append(s.faults.limits, func(now time.Time, take bool) bool {
			if w := now.Sub(s.start).Truncate(max(window, 1)); w != current {
				current, used = w, 0
			}
			ok := used < n
			if ok && take {
				used++
			}
			return ok
		})
	}
}

// Concurrency lets n requests for the same data set (the 4x4 id in the path) be
// answered at the same time, as Socrata lets 15. Beyond it the answer is a 429,
// or what [Throttle] says. A request counts from its arrival until its answer
// begins. The default is no limit.
func Concurrency(n int) Option { return func(s *Server) { s.faults.perSet = n } }

// Throttle sets what [TokenBucket], [FixedWindow] and [Concurrency] answer: a 429
// with a RetryAfter, or a 503 in disguise. The default is
// Fault("too-many-requests"), without Retry-After, as Socrata's is.
func Throttle(r Reply) Option { return func(s *Server) { s.faults.throttle = r } }

// Outage gives r to every request that arrives in the time from start+after until
// length later. It comes before [Every] and before the limits, which do not
// count such a request.
func Outage(after, length time.Duration, r Reply) Option {
	return func(s *Server) { s.faults.outages = append(s.faults.outages, outage{after, length, r}) }
}

// Every gives r to every n-th request, counting all requests that arrive.
func Every(n int, r Reply) Option {
	return func(s *Server) { s.faults.every = append(s.faults.every, every{max(n, 1), r}) }
}

// Latency delays each answer, scripted ones and refusals too, by what f returns.
// f is called once for each request, never by two at once.
func Latency(f func() time.Duration) Option { return func(s *Server) { s.latency = f } }

// Token makes valid the only app tokens there are. A request with another one, in
// the X-App-Token header or the $$app_token parameter, gets Socrata's 403
// "Invalid app_token specified"; one without a token, or with an empty one,
// passes. By default every token is valid.
func Token(valid ...string) Option {
	return func(s *Server) { s.faults.tokens = append(s.faults.tokens, valid...) }
}

// arrive records the request and decides what it gets, all at one instant, so
// that script and models follow the order of Requests. The function it returns
// ends the request's place among those in flight; it may be called twice.
func (s *Server) arrive(r *http.Request) (*Request, Reply, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.record(r)
	s.faults.seen++
	reply := Reply{}
	if len(s.script) > 0 {
		reply, s.script = s.script[0], s.script[1:]
	}
	if reply.own() {
		reply = reply.over(s.faults.decide(r, rec.Time, rec.Time.Sub(s.start)))
	}
	id := datasetID(r.URL.Path)
	if !reply.own() || id == "" {
		return rec, reply, func() {}
	}
	s.faults.inFlight[id]++
	var left bool
	return rec, reply, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !left {
			left = true
			s.faults.inFlight[id]--
		}
	}
}

// decide returns what the models make of a request: the empty Reply if they let
// it pass. Replies that keep the server's own answer add up.
func (m *models) decide(r *http.Request, now time.Time, age time.Duration) Reply {
	reply := Reply{}
	for _, o := range m.outages {
		if reply.own() && age >= o.after && age-o.after < o.length {
			reply = reply.over(o.reply)
		}
	}
	for _, e := range m.every {
		if reply.own() && m.seen%e.n == 0 {
			reply = reply.over(e.reply)
		}
	}
	if reply.own() && !m.pass(datasetID(r.URL.Path), now) {
		reply = reply.over(m.throttle)
	}
	if reply.own() && m.tokens != nil {
		if token := appToken(r); token != "" && !slices.Contains(m.tokens, token) {
			reply = reply.over(Reply{Status: http.StatusForbidden, Code: "permission_denied", Message: "Invalid app_token specified"})
		}
	}
	return reply
}

// pass tells whether all limits let a request for the data set pass, and counts it.
func (m *models) pass(id string, now time.Time) bool {
	if m.perSet > 0 && id != "" && m.inFlight[id] >= m.perSet {
		return false
	}
	for _, l := range m.limits {
		if !l(now, false) {
			return false
		}
	}
	for _, l := range m.limits {
		l(now, true)
	}
	return true
}

// appToken returns the token of r, or "".
func appToken(r *http.Request) string {
	if t := r.Header.Get("X-App-Token"); t != "" {
		return t
	}
	return r.URL.Query().Get("$$app_token")
}

var fourByFour = regexp.MustCompile(`/([a-z0-9]{4}-[a-z0-9]{4})(?:[./]|$)`)

// datasetID returns the 4x4 id in path, or "".
func datasetID(path string) string {
	if m := fourByFour.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return ""
}
