package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A Matrix is which contender keeps which obligation of sodatest/contract.
type Matrix struct {
	Obligations []string
	Contenders  []string
	Kept        [][]bool // by obligation and contender
}

// Contract puts every contender through the contract suite, each obligation in
// a process of its own. It has to be called in the folder of this package, and
// calls progress with the name of each obligation.
func Contract(progress func(string)) (*Matrix, error) {
	dir, err := os.MkdirTemp("", "contract")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the suite: %v\n%s", err, out)
	}
	m := new(Matrix)
	if m.Obligations, err = obligations(binary); err != nil {
		return nil, err
	}
	for _, c := range Contenders() {
		m.Contenders = append(m.Contenders, c.Name)
	}
	for _, name := range m.Obligations {
		progress(name)
		var kept []bool
		for _, c := range m.Contenders {
			kept = append(kept, passes(binary, name, c))
		}
		m.Kept = append(m.Kept, kept)
	}
	return m, nil
}

// Failed returns how many obligations each contender fails.
func (m *Matrix) Failed() []int {
	fails := make([]int, len(m.Contenders))
	for _, kept := range m.Kept {
		for i, ok := range kept {
			if !ok {
				fails[i]++
			}
		}
	}
	return fails
}

// Write writes m as a table in Markdown.
func (m *Matrix) Write(w io.Writer) {
	fmt.Fprintf(w, "| obligation | %s |\n|---|%s\n", strings.Join(m.Contenders, " | "), strings.Repeat("---|", len(m.Contenders)))
	for i, name := range m.Obligations {
		fmt.Fprintf(w, "| %s |", strings.ReplaceAll(name, "_", " "))
		for _, ok := range m.Kept[i] {
			if ok {
				fmt.Fprint(w, " ok |")
			} else {
				fmt.Fprint(w, " **fails** |")
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "| **failed, of %d** |", len(m.Obligations))
	for _, n := range m.Failed() {
		fmt.Fprintf(w, " %d |", n)
	}
	fmt.Fprintln(w)
}

// obligations returns the names of the suite's subtests, from a run over the
// plain http.Transport.
func obligations(binary string) (names []string, err error) {
	out, err := exec.Command(binary, "-test.run", "^TestContract$", "-test.v", "-contender", "bare").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("the plain http.Transport fails its own contract: %v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`(?m)^=== RUN   TestContract/([^/\n]+)$`).FindAllSubmatch(out, -1) {
		names = append(names, string(bytes.TrimSpace(m[1])))
	}
	return names, nil
}

func passes(binary, name, contender string) bool {
	run := "^TestContract$/^" + regexp.QuoteMeta(name) + "$"
	return exec.Command(binary, "-test.run", run, "-test.timeout", "60s", "-contender", contender).Run() == nil
}
