package bench

import (
	"flag"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest/contract"
)

var contender = flag.String("contender", "sodahttp", "whom TestContract puts through the contract suite")

// TestContract runs the suite over one contender. A goroutine that is left
// behind ends the process, so obligations of rivals are run one at a time:
//
//	go test -run 'TestContract/leaves_redirects' -contender rehttp .
func TestContract(t *testing.T) {
	for _, c := range Contenders() {
		if c.Name == *contender {
			contract.Test(t, c.Wrap)
			return
		}
	}
	t.Fatalf("no contender is called %q", *contender)
}
