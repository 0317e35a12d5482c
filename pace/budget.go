package pace

import "time"

// A budget is what retries of transient failures may add to the load of a
// quota. It refills with what is sent, whatever the mode, and a little with
// time, so that a quota with nothing but retries left is not stuck.
type budget struct {
	spent   float64       // below the reserve
	counted uint64        // sends credited so far
	at      time.Duration // time credited so far
}

const (
	budgetShare   = 0.2 // of a retry for every send
	budgetReserve = 10  // retries saved up: enough for one worker's bad minute
	budgetTime    = 10  // retries per second that come by time alone: what a small client sends overloads nobody
)

// Retry takes one retry of a transient failure from the budget of k's quota.
// It returns false if there is none left: then a caller that can wait should
// ask again later, and any other should take its last answer for final.
// Throttling costs no budget.
func (p *Pacer) Retry(k Key) bool {
	if p.Off {
		return true
	}
	l := p.locked(k.quota)
	defer l.mu.Unlock()
	return l.budget.take(l.sent(), l.reserve(), l.now())
}

// reserve is how many retries can be saved up. What is in flight on one
// connection is lost with it, and each may be sent once more: half of what may
// be in flight has been.
func (l *line) reserve() float64 { return max(budgetReserve, float64(l.allow.Load()/2)) }

// take takes one retry, if there is one.
func (b *budget) take(sent uint64, reserve float64, now time.Duration) bool {
	b.refill(sent, now)
	if b.spent > reserve-1 {
		return false
	}
	b.spent++
	b.counted++ // the retry's own send earns nothing
	return true
}

// left returns how many retries there are.
func (b budget) left(sent uint64, reserve float64, now time.Duration) float64 {
	b.refill(sent, now)
	return max(0, reserve-b.spent)
}

// refill credits what was sent and the time that went by.
func (b *budget) refill(sent uint64, now time.Duration) {
	b.spent -= budgetTime * (now - b.at).Seconds()
	b.at = now
	if sent > b.counted {
		b.spent -= budgetShare * float64(sent-b.counted)
		b.counted = sent
	}
	b.spent = max(b.spent, 0)
}
