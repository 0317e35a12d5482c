package pace

import (
	"math/rand/v2"
	"time"
)

// closed is the belief that nothing at all goes through: the host is down, or
// a window's allowance is used up. One probe at a time finds out when that
// ends; everybody else waits.
type closed struct {
	at       time.Duration // since when
	probing  bool          // a probe is in flight
	probe    uint64        // its number
	probed   time.Duration // when it was sent
	refused  time.Duration // when the last was sent that was refused
	probes   int           // so far
	silent   int           // probes in a row that another had to follow before they were answered
	next     time.Duration // when the next goes
	interval time.Duration
	throttle bool          // it was 429 that closed it
	window   time.Duration // the last that was seen, as far as it shows; 0 if none was
	reopened [3]mark       // the last re-openings
	times    int
}

const (
	downRun       = 4                       // rejects in a row, with nothing good between
	downSends     = 4                       // that span what would have been so many sends
	maxInterval   = 2 * time.Second         // between probes: full speed comes back within 3 s
	windowProbes  = 3500 * time.Millisecond // if it was 429 that closed it: a window is no outage, and ends when it ends
	windowShare   = 0.04                    // of the time that 429s have closed it already: a window that long is not over in a moment
	patience      = 10 * time.Second        // with a probe that is not answered: it may be a long export; half as much with the next
	probeJitter   = 0.15                    // so that many processes do not probe in step
	shortClose    = 3 * time.Second         // a pause by 429 that is shorter does not show a window
	fewSends      = 50                      // between re-openings: too few to show a rate
	almost        = 0.7                     // of the pace before is kept then
	longestWindow = 90 * time.Second        // that the pace is held for, so as not to burst into a fresh one
	leastTime     = time.Millisecond        // that a rate is measured over
)

// A run is rejects and failures in a row, in the order of sending.
type run struct {
	n        int
	first    uint64        // the number of the first
	good     float64       // good sends before it
	at, to   time.Duration // when the first and the last were sent
	pace     float64       // the fastest of them
	fromOpen bool          // nothing had been rejected before it
}

// accepted ends the run if t was sent after it began.
func (r *run) accepted(t Ticket) {
	if t.seq > r.first {
		r.n = 0
	}
}

// bad takes a reject into account, before it is counted in bad.
func (r *run) bad(t Ticket, bad uint64) {
	good := float64(int64(t.seq - bad))
	if r.n == 0 || good > r.good {
		*r = run{first: t.seq, good: good, at: t.at, to: t.at, fromOpen: t.pace == 0}
	}
	r.n++
	r.pace = max(r.pace, float64(t.pace))
	r.to = max(r.to, t.at)
}

// isDown reports whether the run is too long to be a matter of pace.
func (l *line) isDown(t Ticket, a answer, now time.Duration) bool {
	if l.run.n < l.doubt.downRun() || !l.isNews(t) {
		return false
	}
	r := max(l.state.rate(now), l.run.pace)
	return r == 0 && a.status != 429 || (l.run.to-l.run.at).Seconds()*r >= downSends
}

// close begins to probe.
func (l *line) close(a answer, now time.Duration) {
	s := &l.closed
	s.at, s.probing, s.silent = now, false, 0
	s.throttle = a.status == 429
	s.refused = l.run.to
	s.interval = max(l.trip.mean, 10*time.Millisecond)
	if r := l.state.rate(now); r > 0 {
		s.interval = max(s.interval, seconds(1/r))
	}
	s.interval = min(s.interval, maxInterval)
	s.wait(now)
	l.cutAt, l.cutSeq = now, l.sent()
	l.enterState(s, now)
	l.hold(a, true, now)
}

// wait sets the time of the next probe.
func (s *closed) wait(now time.Duration) {
	s.next = now + time.Duration(float64(s.interval)*(1+probeJitter*(2*rand.Float64()-1)))
	longest := maxInterval
	if s.throttle {
		longest = max(windowProbes, time.Duration(windowShare*float64(now-s.at)))
	}
	s.interval = min(2*s.interval, longest)
}

func (*closed) mode() Mode                 { return Closed }
func (*closed) rate(time.Duration) float64 { return 0 }
func (s *closed) turnKnown() time.Duration { return s.next }
func (*closed) idle(*line, time.Duration)  {}

func (s *closed) turn(_ *line, now time.Duration) time.Duration {
	if s.probing {
		return max(s.next, s.probed+max(patience>>min(s.silent, 8), maxInterval))
	}
	return s.next
}

func (s *closed) sent(_ *line, t Ticket, _ bool) float32 {
	if s.probing {
		s.silent++ // a host that is down answers at once, or not at all
	}
	s.probing, s.probe, s.probed = true, t.seq, t.at
	s.probes++
	return 0
}

// returned is called for whatever comes back. After a probe, the next one
// waits, even if nothing was learned from it.
func (s *closed) returned(t Ticket, now time.Duration) {
	if s.probing && t.seq == s.probe {
		s.probing = false
		s.wait(now)
	}
}

// rejected obeys the answer to a probe.
func (s *closed) rejected(l *line, t Ticket, a answer, now time.Duration) {
	if l.isNews(t) {
		l.hold(a, true, now)
		s.throttle = a.status == 429
		s.refused = max(s.refused, t.at)
	}
}

// accepted opens again, unless t is old news.
func (s *closed) accepted(l *line, t Ticket, now time.Duration) {
	if t.seq <= l.run.first {
		return
	}
	s.probing = false
	if !s.throttle && l.run.fromOpen {
		l.allow.Store(firstFlight)
		l.cutAt, l.cutSeq = now, l.sent()
		l.run = run{}
		l.enterState(&l.open, now)
		return
	}
	good := float64(int64(l.sent() - l.bad))
	opened := s.opened(l, t, now)
	base, wide := s.estimate(l, good, opened)
	s.reopened[s.times%len(s.reopened)] = mark{at: opened, good: good}
	s.times++
	l.run = run{}
	l.paced.begin(l, base, now)
	l.paced.wide = wide
	l.enterState(&l.paced, now)
}

// opened returns when the server began to let sends through again. A window
// opened after the last that was refused and what that asked for, and before t,
// which was accepted: as likely early as late.
func (s *closed) opened(l *line, t Ticket, now time.Duration) time.Duration {
	if s.throttle && now-s.at > shortClose {
		after := max(s.refused, l.resume)
		return after + max(t.at-after, 0)/2
	}
	return now
}

// estimate returns the rate to go on with, and how long to keep it: what was
// let through since an earlier re-opening, over the time since.
func (s *closed) estimate(l *line, good float64, now time.Duration) (base float64, wide time.Duration) {
	before := l.paced.base
	base = good / max(now, leastTime).Seconds()
	last, whole := mark{}, mark{}
	for _, m := range s.reopened[:min(s.times, len(s.reopened))] {
		if m.at > last.at {
			last = m
		}
		if good-m.good < fewSends {
			continue // it was open for a stray request only
		}
		base = max(base, (good-m.good)/max(now-m.at, leastTime).Seconds())
		if m.at > whole.at {
			whole = m
		}
	}
	base = max(base, 1/max(l.run.to-l.run.at, time.Second).Seconds())
	if !s.throttle {
		return max(base, before), 0
	}
	if good-last.good < fewSends && l.paced.proven {
		return max(base, almost*before), 0
	}
	if now-s.at > shortClose {
		s.window = min(now-whole.at, longestWindow)
	}
	return base, s.window
}
