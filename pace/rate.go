package pace

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// paced is the belief that the server counts requests per second. The pace
// follows a sawtooth around the rate it believes in, base: a step below after
// each reject, then a slow climb to a step above, then faster and faster, until the
// next reject tells more.
type paced struct {
	lim  *rate.Limiter    // where tokens come from
	res  rate.Reservation // the head's token
	slot time.Duration    // when it may be used
	held bool             // whether there is one
	late bool             // and whether it had to be waited for

	base   float64       // the rate believed in, per second
	noise  float64       // between one cut's pace and the next, as a share of it, smoothed
	trust  float64       // how well base has been confirmed, in [minTrust, 1]
	climb  time.Duration // time spent at the pace since the last cut
	began  time.Duration // what it began at
	sentAt time.Duration // the last send, or the end of a pause after it
	ramp   float64       // what is sent per round trip while the pace is new; 0 when over
	pause  time.Duration // the server's Retry-After, as last asked; 0 if it does not ask
	wide   time.Duration // how long base may be held longer; see closed
	wall   wall          // where a window ended

	rest    bool    // there was a pause since the last cut
	rested  mark    // the first send at full pace after it
	cutPace float64 // the pace at the last fresh cut
	again   int     // cuts in a row
	proven  bool    // some pace has held for provenSends
	first   mark    // the first reject of all, which shows what the server had saved up
	before  float64 // good sends before the flight that met it, if that was told to wait: then the limit is no number in flight
	saved   float64 // the burst that this makes
	over    mark    // a reject since which cuts came below base, so that the server has saved up nothing; none if seq is 0
	past    rise    // the one before the last cut that was not one of several
	marks   [16]mark
	marked  int
	begun   bool // the first of the marks is no reject
}

// A mark is a reject: when it was sent and how many good sends were before.
// At that moment the server had nothing left to give.
type mark struct {
	at   time.Duration
	good float64
	seq  uint64
}

const (
	slowest = 0.1 // sends per second: no quota is so small, and a server that refuses at random must not stop us
	fastest = 1e6 // no server takes more, and a rate beyond it overflows

	mostStep  = 0.05 // the pace starts this far below base and climbs as far above: room for the noise of one measurement
	leastStep = 0.02 // and this far if measurements agree: a limit moves a little
	noises    = 3    // mean deviations of a measurement that a step has room for

	minTrust    = 1.0 / 8              // of a base that was never confirmed
	climbSends  = 150                  // sends that a trusted climb takes: one reject in 150 is two thirds of a percent
	leastSends  = 20                   // and one that is not trusted
	minClimb    = 8 * time.Second      // a fast limit is tested no more often than this, scaled by trust
	maxClimb    = 60 * time.Second     // a slow one no less often
	agrees      = 0.06                 // two measurements this close confirm each other
	sinking     = 0.02                 // but not if the second is this much lower: rejects at any pace drive it down
	near        = 1.25                 // two estimates this close are both taken into account
	provenSends = 20                   // a pace that was kept for so many sends has shown that it is near
	minDouble   = time.Second          // past the climb the pace doubles in this time at least,
	doubleSends = 16                   // and in so many sends,
	maxDouble   = 16 * time.Second     // but in this time at most
	pauseShare  = 60                   // if each reject brings a pause, a climb takes so many times as long
	wideClimbs  = 3                    // climbs long it grows no faster if a window was met
	calmer      = 3                    // and past its end the pace grows so many times slower
	meanSends   = 10                   // that make a mean
	blindCut    = 0.5                  // of a pace, as long as none has held
	nothingCut  = 0.25                 // of it, if nothing at all was accepted
	slack       = 5 * time.Millisecond // tokens worth this time may be saved up: timers are late
)

// begin takes base to be the rate.
func (s *paced) begin(l *line, base float64, now time.Duration) {
	s.cutPace = base
	if s.lim == nil {
		s.lim = rate.NewLimiter(rate.Limit(base), 1)
		s.trust = minTrust
		s.saved = -1
		s.before = math.Inf(1)
		s.noise = mostStep
		s.cutPace = 0 // no measurement can agree with a guess
	}
	s.ramp, s.rest = 1, false
	s.marked, s.begun = 0, true
	s.past = rise{}
	s.mark(mark{at: now, good: float64(int64(l.sent() - l.bad)), seq: l.sent()})
	s.over = mark{}
	s.set(l, base, now)
}

// set starts a new climb around base.
func (s *paced) set(l *line, base float64, now time.Duration) {
	if math.IsNaN(base) || math.IsInf(base, 0) {
		base = s.base // measured in no time at all
	}
	s.base = max(base, slowest)
	s.climb, s.began = 0, 0
	s.sentAt = now
	l.cutAt, l.cutSeq = now, l.sent()
	s.drop(l, now)
	if l.state == s { // else the mode is about to change, which tells the rate too
		l.tell(Event{Kind: RateChanged}, now)
	}
}

func (*paced) mode() Mode { return Paced }

// rate returns the pace at this moment of the climb.
func (s *paced) rate(time.Duration) float64 { return s.rise(never).at(s.climb.Seconds()) }

// step returns how far from base the pace goes: it needs no more room than the
// measurements' noise.
func (s *paced) step() float64 { return min(max(noises*s.noise, leastStep), mostStep) }

// climbTime returns how long the pace takes from below base to above.
func (s *paced) climbTime() time.Duration {
	c := min(max(seconds(climbSends/s.base), minClimb), maxClimb)
	if s.pause > 0 {
		c = max(c, min(pauseShare*s.pause, maxClimb))
	}
	return max(time.Duration(s.trust*float64(c)), seconds(leastSends/s.base), s.wide)
}

// linear returns how long the pace grows evenly: as long as it climbs, and
// longer if a window was met, so as not to burst into a fresh one.
func (s *paced) linear() time.Duration {
	if s.wide > 0 {
		return wideClimbs * s.climbTime()
	}
	return s.climbTime()
}

// doubleTime returns how long the pace takes to double at first once it is past
// the climb, and how long when it has become fast.
func (s *paced) doubleTime() (first, last float64) {
	first = max(minDouble, min(seconds(doubleSends/s.base), maxDouble)).Seconds()
	last = minDouble.Seconds()
	if s.pause > 0 {
		return calmer * first, calmer * last
	}
	return first, last
}

// turn reserves a token for the head, whoever that is when the time comes.
func (s *paced) turn(l *line, now time.Duration) time.Duration {
	if s.held {
		return s.slot
	}
	s.tune(l, now)
	t := l.date(now)
	s.held, s.slot = true, now
	if s.late = !s.lim.AllowN(t, 1); s.late {
		s.res = *s.lim.ReserveN(t, 1)
		s.slot += s.res.DelayFrom(t)
	}
	return s.slot
}

// tune sets the limiter to the pace.
func (s *paced) tune(l *line, now time.Duration) {
	r := l.doubt.rate(l, s.rate(now))
	if s.ramp > 0 {
		if ramp := s.ramp / min(max(l.trip.mean, time.Millisecond), longTrip).Seconds(); ramp < r {
			r = ramp
		} else {
			s.ramp = 0
		}
	}
	if s.wall.near(float64(int64(l.sent() - l.bad))) {
		r = min(r, walking/max(l.trip.mean, time.Millisecond).Seconds())
	}
	t := l.date(now)
	s.lim.SetLimitAt(t, rate.Limit(r))
	if burst := 1 + int(r*slack.Seconds()); burst != s.lim.Burst() {
		s.lim.SetBurstAt(t, burst)
	}
}

// drop gives the head's token back: there is no head, or the pace has changed.
func (s *paced) drop(l *line, now time.Duration) {
	if s.held && s.slot > now {
		s.res.CancelAt(l.date(now))
	}
	s.held = false
}

func (s *paced) turnKnown() time.Duration {
	if s.held {
		return s.slot
	}
	return 0
}

func (s *paced) idle(l *line, now time.Duration) { s.drop(l, now) }

func (s *paced) sent(l *line, t Ticket, waited bool) float32 {
	s.held = false
	if waited && s.late && l.doubt.trial == 0 {
		s.climb += t.at - max(s.sentAt, min(l.resume, t.at))
	}
	if !s.late && t.at-s.sentAt > seconds(1/float64(s.lim.Limit()))+2*slack {
		s.over = mark{} // nobody was there to send
	}
	if l.resume > l.cutAt && (!s.rest || s.ramp > 0) {
		s.rest, s.rested = true, mark{at: t.at, good: l.good(t)}
	}
	s.sentAt = t.at
	if l.good(t)-s.cut().good > provenSends {
		s.proven = true
	}
	if l.doubt.bursts() {
		return float32(s.rate(t.at)) // a burst is no pace
	}
	return float32(s.lim.Limit())
}

func (s *paced) accepted(l *line, t Ticket, _ time.Duration) {
	if s.ramp > 0 && l.isNews(t) {
		s.ramp++
	}
}

func (s *paced) rejected(l *line, t Ticket, a answer, now time.Duration) {
	m := mark{at: t.at, good: l.good(t), seq: t.seq}
	news := l.isNews(t)
	if news {
		guess := false
		if s.wall.hit(a, m.good, l.inFlight()) {
			s.rest = false
			s.set(l, s.base, now) // it says nothing about the pace
		} else {
			guess = s.decrease(l, t, m, now)
		}
		s.pause = 0
		if a.asked {
			s.pause = a.retryAfter
			s.marked, s.begun = 0, false
		}
		if guess {
			s.skip() // the pause is known, which makes climbs long
		}
		s.mark(m)
	} else {
		s.refine(m)
	}
	l.hold(a, news, now)
}

// decrease answers the first reject of a round trip, and reports whether the
// new base is a guess.
func (s *paced) decrease(l *line, t Ticket, m mark, now time.Duration) (guess bool) {
	cur := s.rate(now)
	if t.pace > 0 {
		cur = min(cur, float64(t.pace))
	}
	s.ramp = 0
	if s.first.at == 0 {
		s.first = mark{at: l.cutAt - l.trip.mean/2, good: float64(int64(l.cutSeq - l.bad)), seq: l.cutSeq}
	}
	l.doubt.show(s.rejects(), *s.cut(), l.trip.dev)
	var (
		base  float64
		agree bool
		again = !s.rest && t.at-l.cutAt < max(2*l.trip.mean, seconds(2/cur)) // the last cut was not deep enough
	)
	if again {
		base, guess = s.further(l, cur, m)
	} else {
		s.correct()
		s.narrow()
		if s.rest {
			base, guess = s.afterRest(cur, m)
			s.over = mark{}
		} else {
			base = s.between(cur, m, l.trip.dev)
		}
		s.again = 0
		agree = s.confirm(cur)
	}
	if own := l.doubt.own; own.n > 0 && !again { // what was accepted is all but that
		if took, mean := s.sinceCut(m); took >= meanSends {
			if l.doubt.sure {
				mean /= 1 - own.of()
			}
			base = min(base, max(mean, blindCut*cur))
		}
	}
	s.rest = false
	low := cur < s.base*(1-s.step()/4)
	s.set(l, base, now)
	l.doubt.cut(l, cur, low, agree, now)
	if !again && s.proven {
		l.cutSeq++ // the next send's token was earned at the old pace
	}
	return guess
}

// skip begins at the end of the climb: a guess is not worth a slow one.
func (s *paced) skip() {
	s.climb = s.climbTime()
	s.began = s.climb
}

// narrow holds the base for less long, or no longer if it was too high from the
// first: else this is where a window ends, and a fresh one may begin.
func (s *paced) narrow() {
	if s.climb < s.wide/2 {
		s.wide = 0
	}
	s.wide /= 2
}

// confirm compares the pace at a cut with the one at the cut before, and
// reports whether they agree.
func (s *paced) confirm(cur float64) bool {
	off := math.Abs(cur-s.cutPace) / s.cutPace
	s.noise += (min(off, mostStep) - s.noise) / 2
	agree := off <= agrees
	if agree {
		if s.saved < 0 {
			s.saved = s.burst(s.base)
		}
		s.trust = min(2*s.trust, 1)
	} else {
		s.trust = max(s.trust/2, minTrust)
	}
	sinks := cur < (1-sinking)*s.cutPace
	s.cutPace = cur
	return agree && !sinks
}

// between returns the base after a climb: the rate that the pace has passed on
// it. What was accepted since the last cut cannot be more than that; and if the
// cuts since some reject all came below base, the pace has been too fast ever
// since, and what was accepted in all that time is no less.
func (s *paced) between(cur float64, m mark, dev time.Duration) float64 {
	_, mean := s.sinceCut(m)
	s.past = s.rise(m.at)
	base := s.past.passed(0, s.burst(cur))
	if cur >= s.base || s.pause > 0 || s.over.seq == 0 {
		s.over = m
	} else if apart := m.at - s.over.at - 2*dev; apart > 0 {
		base = min(base, max((m.good-s.over.good+1)/apart.Seconds(), blindCut*cur))
	}
	return min(max(base, mean), cur)
}

// sinceCut returns what was accepted between the last cut and m, and how much of
// it in a second.
func (s *paced) sinceCut(m mark) (took, mean float64) {
	took = m.good - s.cut().good
	return took, took / (m.at - s.cut().at).Seconds()
}

// burst returns what the server can save up, as far as its first answers show.
// It takes r for the server's rate until one was confirmed. What that makes
// more than was sent is lost: nobody saves up more than he can.
func (s *paced) burst(r float64) float64 {
	if s.saved >= 0 {
		return s.saved
	}
	return max(s.first.good-min(r*s.first.at.Seconds(), s.before)-1, 0)
}

// correct takes the burst for larger if more cuts than one were needed after
// the last rise: it is what that has eaten.
func (s *paced) correct() {
	if p := s.past; p.base > 0 && s.again > 0 && s.saved >= 0 && p.base <= s.base {
		s.saved = max(s.saved, p.eaten(s.base))
	}
	s.past = rise{}
}

// afterRest returns the base after the first reject since a pause, in which
// the server saved up what it can: the rate that the pace has passed, which is
// between what was accepted since the reject before and the present pace. Soon
// after the pause only these bounds are known.
func (s *paced) afterRest(cur float64, m mark) (base float64, guess bool) {
	least := min(max(m.good-s.cut().good, 1)/(m.at-s.cut().at).Seconds(), cur)
	burst := s.burst((least + cur) / 2)
	took := m.good - s.rested.good
	if s.rested.at < s.cut().at || cur > near*least && took < burst+provenSends {
		return math.Sqrt(least * cur), cur > 2*least
	}
	base = min(max(s.rise(m.at).passed(burst, burst), least), cur)
	if base < near*s.base && s.base < near*base {
		base = math.Sqrt(base * s.base)
	}
	return base, false
}

// further returns the base after a cut that was not deep enough: what the
// rejects since have measured, or else deeper each time.
func (s *paced) further(l *line, cur float64, m mark) (base float64, guess bool) {
	if s.wide > 0 && m.good <= s.cut().good {
		return s.base, false // a window has ended, and its rate is known
	}
	s.again++
	f := max(1-mostStep*float64(int(1)<<min(s.again, 5)), blindCut)
	if !s.proven {
		f = blindCut
		if m.good <= s.cut().good {
			f = nothingCut
		}
	}
	bound := math.Inf(1)
	for _, old := range s.marks[:min(s.marked, len(s.marks))] {
		if apart := m.at - old.at - 2*l.trip.dev; apart >= l.trip.mean/4 {
			bound = min(bound, (m.good-old.good+1)/apart.Seconds())
		}
	}
	if bound < f*cur {
		return f * cur, !s.proven
	}
	return min(cur, bound), false
}

// mark remembers the reject that led to a cut.
func (s *paced) mark(m mark) {
	s.marks[s.marked%len(s.marks)] = m
	s.marked++
}

// rejects returns the marks that are rejects, in no order.
func (s *paced) rejects() []mark {
	marks := s.marks[:min(s.marked, len(s.marks))]
	if s.begun && s.marked <= len(s.marks) {
		return marks[1:]
	}
	return marks
}

// cut returns the last mark.
func (s *paced) cut() *mark { return &s.marks[(s.marked-1)%len(s.marks)] }

// refine corrects the marks by another reject of the same round trip, which
// may come out of order.
func (s *paced) refine(m mark) {
	if m.seq <= s.first.seq {
		s.first.good--
	}
	for i := range s.marks {
		if m.seq < s.marks[i].seq {
			s.marks[i].good--
		}
	}
	if m.seq < s.over.seq {
		s.over.good--
	}
	if last := s.cut(); m.seq > last.seq {
		*last = m
	}
}
