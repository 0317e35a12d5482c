package sim

import (
	"testing"
	"time"
)

// A client that tries once: everything that was refused has failed, and a
// second has what was sent in it.
func TestPortalCounts(t *testing.T) {
	p := Portal{Tokens: 3, Programs: 2, Callers: 4, Requests: 5, Rate: 10, Burst: 10, Spread: time.Millisecond}
	f := p.Run(t, Bare, 1)
	if f.Sent != p.All() || f.Refused == 0 || f.Failed != f.Refused {
		t.Errorf("of %d requests %d were sent, %d refused, %d failed", p.All(), f.Sent, f.Refused, f.Failed)
	}
	if sum := f.PerSecond[0].Accepted + f.PerSecond[0].Refused; sum != f.Sent || f.Peak != sum {
		t.Errorf("%d in the first second, at most %d, of %d", sum, f.Peak, f.Sent)
	}
	if len(f.Jobs) != p.Tokens || f.Jobs[0] != 5*80*time.Millisecond {
		t.Errorf("jobs took %v", f.Jobs)
	}
}

// The loop never fails where it may try on, and each token has its quota.
func TestPortalQuotas(t *testing.T) {
	p := Portal{Tokens: 2, Programs: 1, Callers: 10, Requests: 10, Rate: 10, Burst: 10, Spread: time.Second}
	f := p.Run(t, Clients[len(Clients)-1], 1)
	if f.Failed != 0 || f.Sent-f.Refused != p.All() {
		t.Errorf("%d failed, %d of %d accepted", f.Failed, f.Sent-f.Refused, p.All())
	}
	if least := time.Duration((100 - p.Burst) / p.Rate * 1e9); f.Jobs[0] < least {
		t.Errorf("a job took %v, less than its quota allows, %v", f.Jobs[0], least)
	}
}
