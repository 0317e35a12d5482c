package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// A field is a part of the status line.
type field struct {
	text string
	rank int // of fields, the one with the highest goes first where there is no room
}

// status says in one line of at most that width how far the run is. Without a
// width there is no limit to it.
func (t *tally) status(width int) string {
	quota := t.quota()
	t.mu.Lock()
	defer t.mu.Unlock()
	parts := []field{{"counting the rows", 0}}
	if !t.asking.IsZero() {
		parts = t.progress(quota)
	}
	if t.stopping {
		parts = append(parts, field{"stopping", 1})
	}
	if t.bad != "" {
		parts = append(parts, field{t.why(quota, time.Now()), 1})
	}
	return fit(parts, width)
}

// progress is the status but for what is wrong.
func (t *tally) progress(quota pace.State) []field {
	took := time.Since(t.asking)
	perSecond := float64(t.rows-t.restored) / max(took.Seconds(), 1e-3)
	parts := []field{
		{fmt.Sprintf("%d of %d rows", t.rows, t.total), 0},
		{fmt.Sprintf("%.1f MB", float64(t.bytes)/1e6), 5},
		{fmt.Sprintf("%.0f rows/s", perSecond), 4},
	}
	if quota.Rate > 0 {
		parts = append(parts, field{fmt.Sprintf("pace %.1f requests/s", quota.Rate), 6})
	}
	if quota.Mode == pace.Closed || !quota.Until.IsZero() {
		parts = append(parts, field{"PAUSED", 2})
	}
	if stood := t.stood(); stood > 0 {
		parts = append(parts, field{fmt.Sprintf("paused %.1f s", stood.Seconds()), 7})
	}
	if perSecond > 0 && !t.stopping {
		left := time.Duration(float64(t.total-t.rows) / perSecond * float64(time.Second))
		parts = append(parts, field{"ETA " + left.Round(time.Second).String(), 3})
	}
	return parts
}

// why says what is wrong, since when, and when the next attempt is.
func (t *tally) why(quota pace.State, now time.Time) string {
	since := "no answer since " + t.badSince.Format(time.TimeOnly)
	if t.stopping {
		return since + ": " + t.bad
	}
	next := time.Time{}
	for _, at := range t.next {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if next.Before(quota.Until) {
		next = quota.Until
	}
	again := "trying now"
	if left := next.Sub(now).Round(time.Second); left > 0 {
		again = fmt.Sprintf("next in %v", left)
	}
	return fmt.Sprintf("%s, %s: %s", since, again, t.bad)
}

// fit joins fields to a line that is no wider than that, without those that
// matter least if it has to be. What is left of a line that is still too long is
// its beginning.
func fit(parts []field, width int) string {
	for {
		var texts []string
		least := 0
		for i, p := range parts {
			texts = append(texts, p.text)
			if p.rank > parts[least].rank {
				least = i
			}
		}
		line := []rune(strings.Join(texts, ", "))
		switch {
		case width <= 0 || len(line) <= width:
			return string(line)
		case parts[least].rank <= 1:
			return string(line[:width-1]) + "…"
		}
		parts = slices.Delete(parts, least, least+1)
	}
}
