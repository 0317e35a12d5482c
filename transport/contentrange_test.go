package transport

import (
	"fmt"
	"testing"
)

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-499/1234", "bytes 0-499/*", "bytes */10", "bytes 5-4/10", "bytes 0-10/10",
		"bytes=0-4/10", "bytes 0-9223372036854775807/9223372036854775807", "bytes +1-4/10", "bytes 1-4/10 ", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, end, total, err := contentRange([]string{s})
		if err != nil {
			return
		}
		if start < 0 || start > end || end >= total {
			t.Errorf("%q gives %d-%d/%d", s, start, end, total)
		}
		var a, b, c int64
		if _, err := fmt.Sscanf(s, "bytes %d-%d/%d", &a, &b, &c); err != nil || a != start || b != end || c != total {
			t.Errorf("%q gives %d-%d/%d", s, start, end, total)
		}
	})
}

func TestContentRange(t *testing.T) {
	if a, b, c, err := contentRange([]string{"bytes 5-9/10"}); a != 5 || b != 9 || c != 10 || err != nil {
		t.Errorf("got %d-%d/%d, %v", a, b, c, err)
	}
	for _, bad := range []string{"bytes 0-499/*", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "bytes=0-4/10", "bytes 0-4", "bytes 04/10", "bytes +1-4/10", "bytes 1-4/99999999999999999999", "", "items 0-4/10"} {
		if a, b, c, err := contentRange([]string{bad}); err == nil {
			t.Errorf("%q gives %d-%d/%d", bad, a, b, c)
		}
	}
	if _, _, _, err := contentRange(nil); err == nil {
		t.Error("no header gives a range")
	}
}
