// Package contract puts an [http.RoundTripper] through the obligations that
// net/http and RFC 9110 lay on one, and through the faults that retrying
// RoundTrippers are known for.
//
// One function does it. Give it a way to put the RoundTripper on top of
// another; a subtest for each obligation follows:
//
//	func TestContract(t *testing.T) {
//		contract.Test(t, func(base http.RoundTripper) http.RoundTripper {
//			return &transport.Transport{Base: base}
//		})
//	}
//
// A single obligation runs by its name:
//
//	go test -run 'TestContract/closes every response it discards'
//
// Nothing obliges a RoundTripper to retry. One that never does passes, and so
// does a plain [http.Transport]; what is tested of a second attempt holds only
// for those who make one. The comment at each obligation names its source,
// and so does each failure at its end.
//
// All of it happens in memory and, with [testing/synctest], in virtual time, so
// that waits of minutes cost nothing and a RoundTripper that hangs fails
// instead of hanging the test. A goroutine that outlives its obligation by more
// than a minute, with all of its requests cancelled, all responses closed and
// CloseIdleConnections called, fails that obligation and is shown.
//
// RoundTrippers are made inside the bubble that synctest puts around each
// obligation: wrap must not share channels, timers or goroutines between the
// RoundTrippers it makes.
package contract

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wrapper puts the RoundTripper under test on top of base.
type wrapper = func(base http.RoundTripper) http.RoundTripper

// An obligation is one sentence of the contract, the test of it, and where it is
// from, in a few words.
type obligation struct {
	name   string
	test   func(*tester, wrapper)
	source string
}

// obligations lists them all, subject by subject.
func obligations() []obligation {
	return slices.Concat(ofRequests, ofResponses, ofWaiting, ofConnections)
}

// Test runs each obligation as a subtest of t. It calls wrap at least once for
// each, with a base that the RoundTripper must use for everything it sends.
func Test(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper) {
	for _, o := range obligations() {
		t.Run(o.name, func(t *testing.T) {
			bubble(&tester{t, o.source}, func(t *tester) { o.test(t, wrap) })
		})
	}
}

// A tester is a testing.T whose failures end with their source.
type tester struct {
	*testing.T
	source string
}

func (t *tester) Error(args ...any) {
	t.Helper()
	t.T.Error(append(args, "("+t.source+")")...)
}

func (t *tester) Errorf(format string, args ...any) {
	t.Helper()
	t.Error(fmt.Sprintf(format, args...))
}

func (t *tester) Fatal(args ...any) {
	t.Helper()
	t.Error(args...)
	t.FailNow()
}

func (t *tester) Fatalf(format string, args ...any) {
	t.Helper()
	t.Fatal(fmt.Sprintf(format, args...))
}

// bubble runs f in a synctest bubble. Where synctest would panic, because
// goroutines are left behind or all of them are stuck, it fails t and shows them.
func bubble(t *tester, f func(*tester)) {
	var label string
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			if !strings.HasPrefix(r.Error(), "deadlock") {
				panic(r)
			}
			t.Errorf("%v:\n\n%s\n", r, goroutines(label))
		default:
			panic(r)
		}
	}()
	synctest.Test(t.T, func(inner *testing.T) {
		label = bubbleOf()
		inner.Cleanup(settle) // registered first, so it runs after all other cleanups
		f(&tester{inner, t.source})
	})
}

// settle gives whatever still runs in the background a minute to end.
func settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

// bubbleOf returns the name that stack traces give the calling goroutine's
// bubble, such as "synctest bubble 12]".
func bubbleOf() string {
	buf := make([]byte, 256)
	head, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), "\n")
	if i := strings.Index(head, "synctest bubble"); i >= 0 {
		return strings.TrimSuffix(head[i:], ":")
	}
	return "synctest bubble"
}

// goroutines returns the stack traces of the goroutines in a bubble.
func goroutines(label string) string {
	buf := make([]byte, 1<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	return strings.Join(slices.DeleteFunc(stacks, func(s string) bool {
		head, _, _ := strings.Cut(s, "\n")
		return !strings.Contains(head, label)
	}), "\n\n")
}
