package classify_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/sodahttp/sodahttp/classify"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	const (
		s      = time.Second
		most   = time.Duration(math.MaxInt64)
		absent = time.Duration(-1)
	)
	for _, c := range []struct {
		name   string
		header []string
		want   time.Duration
	}{
		{"nothing", nil, absent},
		{"another header", []string{"Server", "nginx"}, absent},
		{"seconds", []string{"Retry-After", "120"}, 120 * s},
		{"zero", []string{"Retry-After", "0"}, 0},
		{"zeros", []string{"Retry-After", "000"}, 0},
		{"leading zeros", []string{"Retry-After", "0000000000000000000000000007"}, 7 * s},
		{"a minus sign", []string{"Retry-After", "-5"}, absent},
		{"a plus sign", []string{"Retry-After", "+1"}, absent},
		{"blanks around", []string{"Retry-After", " 1 "}, 1 * s},
		{"a fraction", []string{"Retry-After", "1.5"}, absent},
		{"an exponent", []string{"Retry-After", "1e30"}, absent},
		{"hexadecimal", []string{"Retry-After", "0x10"}, absent},
		{"an underscore", []string{"Retry-After", "1_000"}, absent},
		{"a unit", []string{"Retry-After", "5s"}, absent},
		{"other digits", []string{"Retry-After", "١٢"}, absent},
		{"a list", []string{"Retry-After", "1, 2"}, absent},
		{"empty", []string{"Retry-After", ""}, absent},
		{"a word", []string{"Retry-After", "soon"}, absent},
		{"two headers", []string{"Retry-After", "3", "Retry-After", "7"}, 7 * s},
		{"two headers, the longer first", []string{"Retry-After", "7", "Retry-After", "3"}, 7 * s},
		{"two headers, one garbage", []string{"Retry-After", "soon", "Retry-After", "3"}, 3 * s},
		{"seconds and a date", []string{"Retry-After", "3", "Retry-After", "Sun, 01 Mar 2026 12:00:09 GMT"}, 9 * s},
		{"the most that fits", []string{"Retry-After", "9223372036"}, 9223372036 * s},
		{"one more", []string{"Retry-After", "9223372037"}, most},
		{"MaxInt64", []string{"Retry-After", "9223372036854775807"}, most},
		{"more than MaxInt64", []string{"Retry-After", "99999999999999999999"}, most},

		{"an IMF date", []string{"Retry-After", "Sun, 01 Mar 2026 12:01:00 GMT"}, 60 * s},
		{"an RFC 850 date", []string{"Retry-After", "Sunday, 01-Mar-26 12:01:00 GMT"}, 60 * s},
		{"an asctime date", []string{"Retry-After", "Sun Mar  1 12:01:00 2026"}, 60 * s},
		{"a past date", []string{"Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT"}, 0},
		{"a date long past", []string{"Retry-After", "Mon, 01 Jan 0001 00:00:00 GMT"}, 0},
		{"a date in another age", []string{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}, most},
		{"a date that does not exist", []string{"Retry-After", "Mon, 30 Feb 2026 12:00:00 GMT"}, absent},
		{"a date of another form", []string{"Retry-After", "2026-03-01T12:01:00Z"}, absent},
		{"the server's clock is ahead", []string{"Date", "Sun, 01 Mar 2026 13:00:00 GMT", "Retry-After", "Sun, 01 Mar 2026 13:00:30 GMT"}, 30 * s},
		{"the server's clock is behind", []string{"Date", "Sun, 01 Mar 2026 11:00:00 GMT", "Retry-After", "Sun, 01 Mar 2026 11:00:30 GMT"}, 30 * s},
		{"seconds have no clock", []string{"Date", "Sun, 01 Mar 2026 13:00:00 GMT", "Retry-After", "30"}, 30 * s},
		{"a Date of no use", []string{"Date", "today", "Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT"}, 30 * s},

		{"X-SODA2-Retry-After", []string{"X-SODA2-Retry-After", "4"}, 4 * s},
		{"X-SODA2-Retry-After as a date", []string{"X-SODA2-Retry-After", "Sun, 01 Mar 2026 12:00:04 GMT"}, 4 * s},
		{"Retry-After goes first", []string{"X-SODA2-Retry-After", "4", "Retry-After", "2"}, 2 * s},
		{"Retry-After is zero", []string{"X-SODA2-Retry-After", "4", "Retry-After", "0"}, 0},
		{"Retry-After is garbage", []string{"X-SODA2-Retry-After", "4", "Retry-After", "soon"}, 4 * s},
		{"Retry-After before RateLimit", []string{"RateLimit", `"default";r=0;t=30`, "Retry-After", "2"}, 2 * s},

		{"RateLimit", []string{"RateLimit", `"default";r=0;t=30`}, 30 * s},
		{"RateLimit with blanks", []string{"RateLimit", `"default"; r=0; t=30`}, 30 * s},
		{"RateLimit in another order", []string{"RateLimit", `"default";t=30;r=0;pk=:abc=:`}, 30 * s},
		{"RateLimit with some left", []string{"RateLimit", `"default";r=5;t=30`}, absent},
		{"RateLimit without a count", []string{"RateLimit", `"default";t=30`}, absent},
		{"RateLimit without a time", []string{"RateLimit", `"default";r=0`}, absent},
		{"RateLimit with a negative time", []string{"RateLimit", `"default";r=0;t=-30`}, absent},
		{"RateLimit of two policies", []string{"RateLimit", `"minute";r=0;t=30, "day";r=0;t=600`}, 600 * s},
		{"RateLimit of two policies, one used up", []string{"RateLimit", `"minute";r=0;t=30, "day";r=9;t=600`}, 30 * s},
		{"RateLimit twice", []string{"RateLimit", `"minute";r=0;t=30`, "RateLimit", `"day";r=0;t=600`}, 600 * s},
		{"RateLimit with signs in its name", []string{"RateLimit", `"a,b;t=9";r=0;t=5`}, 5 * s},
		{"RateLimit oversize", []string{"RateLimit", `"default";r=0;t=99999999999999999999`}, most},
		{"RateLimit in its older form", []string{"RateLimit", "limit=100, remaining=0, reset=30"}, 30 * s},
		{"the older form with some left", []string{"RateLimit", "limit=100, remaining=1, reset=30"}, absent},
		{"the older form negative", []string{"RateLimit", "limit=100, remaining=0, reset=-30"}, absent},
		{"RateLimit is garbage", []string{"RateLimit", ";;,=,;r=;t"}, absent},
		{"RateLimit is empty", []string{"RateLimit", ""}, absent},

		{"RateLimit-Reset", []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "30"}, 30 * s},
		{"RateLimit-Reset with some left", []string{"RateLimit-Remaining", "3", "RateLimit-Reset", "30"}, absent},
		{"RateLimit before RateLimit-Reset", []string{"RateLimit", `"x";r=0;t=5`, "RateLimit-Reset", "30"}, 5 * s},
		{"X-RateLimit-Reset in seconds", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", " 30 "}, 30 * s},
		{"X-RateLimit-Reset as Unix time", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1772366430"}, 30 * s},
		{"X-RateLimit-Reset as Unix time by the server's clock", []string{"Date", "Sun, 01 Mar 2026 12:00:20 GMT", "X-RateLimit-Reset", "1772366430"}, 10 * s},
		{"X-RateLimit-Reset as past Unix time", []string{"X-RateLimit-Reset", "1000000000"}, 0},
		{"X-RateLimit-Reset just short of a Unix time", []string{"X-RateLimit-Reset", "999999999"}, 999999999 * s},
		{"X-RateLimit-Reset alone", []string{"X-RateLimit-Reset", "30"}, 30 * s},
		{"X-RateLimit-Reset with some left", []string{"X-RateLimit-Remaining", "3", "X-RateLimit-Reset", "30"}, absent},
		{"X-RateLimit-Reset negative", []string{"X-RateLimit-Reset", "-30"}, absent},
		{"X-RateLimit-Reset is garbage", []string{"X-RateLimit-Reset", "tomorrow"}, absent},
		{"both, RateLimit-Reset goes first", []string{"X-RateLimit-Reset", "30", "RateLimit-Reset", "20"}, 20 * s},
		{"both, some left in one", []string{"RateLimit-Reset", "20", "RateLimit-Remaining", "2", "X-RateLimit-Reset", "30", "X-RateLimit-Remaining", "0"}, 30 * s},
	} {
		h := make(http.Header)
		for i := 0; i < len(c.header); i += 2 {
			h.Add(c.header[i], c.header[i+1])
		}
		got, ok := classify.RetryAfter(h, now)
		if ok != (c.want != absent) || ok && got != c.want || !ok && got != 0 {
			t.Errorf("%s: got %v, %v; want %v", c.name, got, ok, c.want)
		}
	}
}
