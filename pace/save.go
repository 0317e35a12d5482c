package pace

import (
	"encoding/json"
	"fmt"
	"time"
)

// A saved is what outlives a process: what was learned about each quota that
// ever rejected anything. It names hosts and datasets. A token is in it as one
// byte of hash, which tells the tokens of one program apart and nobody what
// they are.
type saved struct {
	Version int         `json:"version"`
	At      time.Time   `json:"at"`
	Quotas  []savedLine `json:"quotas"`
}

type savedLine struct {
	Scheme   string         `json:"scheme"`
	Host     string         `json:"host"`
	Tag      uint8          `json:"tag,omitempty"`
	Rate     float64        `json:"rate,omitempty"`
	Trust    float64        `json:"trust,omitempty"`
	Burst    float64        `json:"burst,omitempty"`
	Datasets map[string]int `json:"datasets,omitempty"`
	Until    time.Time      `json:"until,omitzero"`
}

type savedKey struct {
	scheme, host string
	tag          uint8
}

const (
	saveVersion = 1
)

// MarshalJSON returns what was learned, for UnmarshalJSON of another run: a
// job that starts again need not hit the wall again. Marshal the pointer: a
// Pacer must not be copied.
func (p *Pacer) MarshalJSON() ([]byte, error) {
	s := saved{Version: saveVersion, At: time.Now()}
	p.mu.Lock() // for both: a quota that is met goes from one to the other
	for l := range p.each {
		if line, ok := l.save(); ok {
			s.Quotas = append(s.Quotas, line)
		}
	}
	for _, line := range p.saved { // restored and not met in this run
		s.Quotas = append(s.Quotas, line)
	}
	p.mu.Unlock()
	return json.Marshal(s)
}

// UnmarshalJSON takes in what another run learned. It holds for quotas that
// this run has not met yet. Nothing in it is trusted further than a first
// guess; a rate begins a little below what was saved.
func (p *Pacer) UnmarshalJSON(data []byte) error {
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("pace: saved state: %w", err)
	}
	if s.Version != saveVersion {
		return fmt.Errorf("pace: saved state has version %d, want %d", s.Version, saveVersion)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saved == nil {
		p.saved = map[savedKey]savedLine{}
	}
	for _, line := range s.Quotas {
		k := savedKey{line.Scheme, line.Host, line.Tag}
		if old := p.saved[k]; old.Rate > 0 && (line.Rate <= 0 || old.Rate < line.Rate) {
			continue // two tokens with one tag: the slower is safe
		}
		if len(p.saved) < p.maxKeys() {
			p.saved[k] = line
		}
	}
	return nil
}

// save returns what was learned, and whether anything was.
func (l *line) save() (savedLine, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.throttle == nil {
		return savedLine{}, false
	}
	s := savedLine{Scheme: l.quota.scheme, Host: l.quota.host, Tag: l.quota.tag, Datasets: l.limits()}
	if l.state != &l.open {
		s.Rate, s.Trust, s.Burst = l.paced.base, l.paced.trust, max(l.paced.saved, 0)
	}
	if l.resume > l.now() {
		s.Until = l.dateNow(l.resume).Round(0)
	}
	return s, s.Rate > 0 || s.Datasets != nil || !s.Until.IsZero()
}

// restore gives l, which nobody knows yet, what was saved about its quota. The
// caller holds p.mu.
func (p *Pacer) restore(l *line) {
	k := savedKey{l.quota.scheme, l.quota.host, l.quota.tag}
	s, ok := p.saved[k]
	if !ok {
		return
	}
	delete(p.saved, k)
	l.lock()
	defer l.mu.Unlock()
	for name, limit := range s.Datasets {
		if d := l.addDataset(name); d != nil && limit > 0 && limit < flying {
			d.limit, d.needed, d.belief = limit, limit, 1
			l.caps++
		}
	}
	if s.Rate > 0 && s.Rate < fastest {
		l.paced.begin(l, max(s.Rate, slowest), 0)
		l.paced.trust = min(max(s.Trust/2, minTrust), 1) // limits may have changed meanwhile
		l.paced.saved = min(max(s.Burst, 0), fastest)
		l.paced.proven = true
		l.state = &l.paced
	}
	if wait := time.Until(s.Until); wait > 0 {
		l.resume = min(wait, p.maxPause())
		l.pausing = true
	}
	if l.caps > 0 || l.state != &l.open || l.resume > 0 {
		l.shut()
	}
}
