package classify

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter returns how long the server asks to wait, counted from now, and
// whether it asks at all. It reads, in this order, Retry-After (RFC 9110,
// section 10.2.3: seconds or any of the three date forms), X-SODA2-Retry-After,
// the RateLimit field, and RateLimit-Reset and X-RateLimit-Reset, which hold
// seconds or a Unix time; these three only where no request is left, and a Reset
// without a Remaining beside it counts as none left. A point in time counts from
// the response's own Date, where there is one, so that a clock that is off does
// no harm. The wait is never negative and at most 292 years; what cannot be read
// (a sign, a fraction, a word) counts as absent, and of two values of one field
// the longer one counts.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if len(h) == 0 {
		return 0, false
	}
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		now = t
	}
	for _, name := range []string{"Retry-After", "X-Soda2-Retry-After"} {
		if d, ok := longest(h[name], func(v string) (time.Duration, bool) { return after(v, now) }); ok {
			return d, true
		}
	}
	if d, ok := longest(h["Ratelimit"], rateLimit); ok {
		return d, true
	}
	return reset(h, now)
}

// longest returns the longest wait that parse finds in the values.
func longest(values []string, parse func(string) (time.Duration, bool)) (most time.Duration, found bool) {
	for _, v := range values {
		if d, ok := parse(strings.TrimSpace(v)); ok {
			most, found = max(most, d), true
		}
	}
	return most, found
}

// after reads a value of Retry-After.
func after(v string, now time.Time) (time.Duration, bool) {
	if d, ok := seconds(v); ok {
		return d, true
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return max(0, t.Sub(now)), true // Sub saturates
}

// seconds reads delay-seconds, 1*DIGIT, whatever their number.
func seconds(v string) (time.Duration, bool) {
	if v == "" || strings.Trim(v, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n > int64(math.MaxInt64/time.Second) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * time.Second, true
}

// rateLimit reads the RateLimit field of draft-ietf-httpapi-ratelimit-headers,
// `"default";r=0;t=30`, and its older form, `limit=9, remaining=0, reset=30`.
func rateLimit(v string) (most time.Duration, found bool) {
	old := make(map[string]string)
	for item := range strings.SplitSeq(v, ",") {
		params := make(map[string]string)
		for i, p := range strings.Split(item, ";") {
			name, val, ok := strings.Cut(strings.TrimSpace(p), "=")
			if !ok {
				continue
			}
			if i == 0 {
				old[name] = val
			}
			params[name] = val
		}
		if d, ok := seconds(params["t"]); ok && params["r"] == "0" {
			most, found = max(most, d), true
		}
	}
	if d, ok := seconds(old["reset"]); ok && old["remaining"] == "0" {
		most, found = max(most, d), true
	}
	return most, found
}

// reset reads the RateLimit-Reset and X-RateLimit-Reset fields, which hold
// seconds or, by their size, a Unix time.
func reset(h http.Header, now time.Time) (time.Duration, bool) {
	const epoch = 1_000_000_000 // no wait lasts 30 years, and no server lives in 2001
	for _, prefix := range []string{"Ratelimit-", "X-Ratelimit-"} {
		v := strings.TrimSpace(h.Get(prefix + "Reset"))
		d, ok := seconds(v)
		if left := h.Get(prefix + "Remaining"); !ok || left != "" && left != "0" {
			continue
		}
		n, _ := strconv.ParseInt(v, 10, 64) // digits, as seconds saw; saturates
		if n >= 100*epoch && n < 100_000*epoch {
			n /= 1000 // it is in milliseconds
		}
		if n >= epoch {
			d = max(0, time.Unix(n, 0).Sub(now))
		}
		return d, true
	}
	return 0, false
}
