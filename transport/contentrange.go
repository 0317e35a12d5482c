package transport

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// contentRange reads "bytes 5-9/10" (RFC 9110, section 14.4). A range without a
// total is no use for proving that a body is whole, and counts as an error, as
// does anything else.
func contentRange(values []string) (start, end, total int64, err error) {
	bad := fmt.Errorf("sodahttp: cannot use Content-Range %q", values)
	if len(values) != 1 {
		return 0, 0, 0, bad
	}
	span, size, ok := strings.Cut(strings.TrimPrefix(values[0], "bytes "), "/")
	first, last, dash := strings.Cut(span, "-")
	if !ok || !dash || !strings.HasPrefix(values[0], "bytes ") {
		return 0, 0, 0, bad
	}
	for i, s := range []string{first, last, size} {
		n, perr := strconv.ParseInt(s, 10, 64)
		if perr != nil || strings.Trim(s, "0123456789") != "" {
			return 0, 0, 0, bad
		}
		*[]*int64{&start, &end, &total}[i] = n
	}
	if start > end || end >= total {
		return 0, 0, 0, bad
	}
	return start, end, total, nil
}

// length returns how long the body of a 200 is to be, or -1. A Content-Length of
// 0 with a body is a Base's that did not set it.
func length(resp *http.Response) int64 {
	if resp.ContentLength == 0 || resp.Uncompressed {
		return -1
	}
	return resp.ContentLength
}
