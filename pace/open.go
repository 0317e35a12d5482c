package pace

import "time"

// open is the belief that there is no limit: nothing was ever rejected. What
// may be in flight grows from a few by one for every answer that comes while
// at least half of it is used, which doubles it in a round trip.
//
// Most of it lives in Pacer.Wait and Pacer.Done, without the lock. What is
// here serves those who have to wait for the growth. As slow answers must not
// hold a host, it doubles too when somebody has waited for a while.
type open struct {
	waits bool          // somebody does
	since time.Duration // when that began, or what is allowed was doubled
	lone  uint64        // the number of the last reject that was forgiven; 0 if none was

	flight uint64        // the number of the last send of the flights that were answered
	before uint64        // and of those before the last of them
	settle time.Duration // until then the answers to its other sends may tell more
}

// firstFlight is what may be in flight at first. A dataset that takes fifteen
// queries at once must not be met by sixty-four.
const firstFlight = 4

// slowAnswer is how long somebody waits for answers before what is allowed
// doubles without them. Most are quicker, and so it leaves a slow start as it is.
const slowAnswer = 500 * time.Millisecond

// settling is the part of a round trip that the first answer of a flight waits
// for the others, before it lets more follow: if there is a limit, one of them
// may say so.
const settling = 1.0 / 8

// loneSends is how close two rejects have to be to say something: a limit that
// begins to reject goes on with that.
const loneSends = 16

// longTrip bounds the round trip that a first guess is made from: answers may
// take long, but rates are per second.
const longTrip = time.Second

func (*open) mode() Mode                  { return Open }
func (*open) rate(time.Duration) float64  { return 0 }
func (*open) turnKnown() time.Duration    { return 0 }
func (s *open) idle(*line, time.Duration) { s.waits = false }

func (s *open) turn(l *line, now time.Duration) time.Duration {
	if l.inFlight() < int(l.allow.Load()) {
		return max(now, s.settle)
	}
	if !s.waits {
		s.waits, s.since = true, now
	}
	if now >= s.since+slowAnswer {
		s.since = now
		l.allow.Store(min(2*l.allow.Load(), flying))
		return now
	}
	return s.since + slowAnswer
}

func (s *open) sent(*line, Ticket, bool) float32 { return 0 }

// accepted is called while somebody waits: what is allowed was all used.
func (s *open) accepted(l *line, t Ticket, now time.Duration) {
	if l.allow.Load() < flying {
		l.allow.Add(1)
	}
	if t.seq > s.flight && l.caps == 0 { // else it is no slow start that makes them wait
		s.before, s.flight = s.flight, l.sent()
		s.settle = now + time.Duration(settling*float64(min(now-t.at, longTrip)))
	}
}

// forgives reports whether a reject may be an accident: a 503 need not be about
// the pace, if no other comes shortly before or after it.
func (s *open) forgives(t Ticket, a answer) bool {
	if a.status == 429 || a.asked {
		return false
	}
	before := s.lone
	s.lone = max(before, t.seq)
	return before == 0 || t.seq > before+loneSends || before > t.seq+loneSends
}

// rejected ends the belief, if it is no accident of a server that has shown no
// limit so far. Half of what was in flight is a safe first guess
// of what goes through in a round trip.
func (s *open) rejected(l *line, t Ticket, a answer, now time.Duration) {
	if l.paced.lim == nil && s.forgives(t, a) {
		return
	}
	l.shut()
	inFlight := max(float64(max(l.inFlight()+1, int(t.n)))/2, 1) // one at a time is no haste
	l.paced.begin(l, inFlight/min(l.trip.mean, longTrip).Seconds(), now)
	*l.paced.cut(), l.paced.begun = mark{at: t.at, good: l.good(t), seq: t.seq}, false
	l.paced.over = *l.paced.cut()
	l.paced.wall.hit(a, l.good(t), l.inFlight())
	if a.asked {
		l.paced.pause, l.paced.before = a.retryAfter, float64(s.before)
		if t.seq > s.flight {
			l.paced.before = float64(s.flight)
		}
		l.paced.skip() // the pause makes climbs long
	}
	l.enterState(&l.paced, now)
	l.hold(a, true, now)
}
