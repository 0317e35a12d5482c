package contract_test

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sodahttp/sodahttp/sodatest/contract"
)

// Base itself, most of the time an http.Transport, is a RoundTripper.
func TestPlain(t *testing.T) {
	contract.Test(t, func(base http.RoundTripper) http.RoundTripper { return base })
}

// One that retries, and does it well.
func TestRetrier(t *testing.T) {
	contract.Test(t, func(base http.RoundTripper) http.RoundTripper { return newRetrier(base) })
}

// inside is set in the process that TestBroken starts, where TestFaults runs.
const inside = "CONTRACT_TEST_FAULTS"

// TestFaults puts each broken RoundTripper through the contract, and fails.
func TestFaults(t *testing.T) {
	if os.Getenv(inside) == "" {
		t.Skip("TestBroken runs it")
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			contract.Test(t, f.wrap)
		})
	}
}

// TestBroken sees every obligation fail, and each broken RoundTripper fail the
// obligations that it breaks and no others.
func TestBroken(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFaults$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1", "GORACE=report_bugs=0") // some of them race; the contract is to find it
	out, _ := cmd.CombinedOutput()
	failed := outcomes(string(out), "FAIL")
	seen := map[string]bool{}
	for _, f := range faults {
		if !slices.Equal(failed[f.name], sorted(f.breaks)) {
			t.Errorf("%s: fails %q, want %q", f.name, failed[f.name], sorted(f.breaks))
		}
		for _, name := range failed[f.name] {
			seen[name] = true
		}
	}
	for _, line := range regexp.MustCompile(`(?m)^ +\w+\.go:\d+: .*`).FindAllString(string(out), -1) {
		if !regexp.MustCompile(`: deadlock|\(([^()]|\(\))+\)$`).MatchString(line) {
			t.Errorf("a failure ends without its source: %s", line)
		}
	}
	all := outcomes(string(out), "PASS|FAIL")[faults[0].name]
	if len(all) == 0 {
		t.Fatalf("nothing ran:\n%s", out)
	}
	for _, name := range all {
		if !seen[name] {
			t.Errorf("no broken RoundTripper fails %q", name)
		}
	}
}

// outcomes returns the names of the obligations with that result for each fault.
func outcomes(log, result string) map[string][]string {
	by := map[string][]string{}
	line := regexp.MustCompile(`--- (?:` + result + `): TestFaults/([^/\s]+)/(\S+) \(`)
	for _, m := range line.FindAllStringSubmatch(log, -1) {
		fault := strings.ReplaceAll(m[1], "_", " ")
		by[fault] = append(by[fault], strings.ReplaceAll(m[2], "_", " "))
	}
	for _, names := range by {
		slices.Sort(names)
	}
	return by
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
