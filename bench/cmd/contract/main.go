// Contract puts every contender through the contract suite, each obligation in
// a process of its own, and prints a Markdown table. Run it in bench/:
//
//	go run ./cmd/contract
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sodahttp/sodahttp/bench"
)

func main() {
	log.SetFlags(0)
	dir, err := os.MkdirTemp("", "contract")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		log.Fatalf("building the suite: %v\n%s", err, out)
	}
	names := obligations(binary)
	contenders := bench.Contenders()
	fails := make([]int, len(contenders))
	fmt.Print("| obligation |")
	for _, c := range contenders {
		fmt.Printf(" %s |", c.Name)
	}
	fmt.Println("\n|---|" + strings.Repeat("---|", len(contenders)))
	for _, name := range names {
		fmt.Printf("| %s |", strings.ReplaceAll(name, "_", " "))
		for i, c := range contenders {
			if passes(binary, name, c.Name) {
				fmt.Print(" ok |")
			} else {
				fails[i]++
				fmt.Print(" **fails** |")
			}
		}
		fmt.Println()
	}
	fmt.Printf("| **failed, of %d** |", len(names))
	for _, n := range fails {
		fmt.Printf(" %d |", n)
	}
	fmt.Println()
}

// obligations returns the names of the suite's subtests, from a run over the
// plain http.Transport.
func obligations(binary string) (names []string) {
	out, err := exec.Command(binary, "-test.run", "^TestContract$", "-test.v", "-contender", "bare").CombinedOutput()
	if err != nil {
		log.Fatalf("the plain http.Transport fails its own contract: %v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`(?m)^=== RUN   TestContract/([^/\n]+)$`).FindAllSubmatch(out, -1) {
		names = append(names, string(bytes.TrimSpace(m[1])))
	}
	return names
}

func passes(binary, name, contender string) bool {
	run := "^TestContract$/^" + regexp.QuoteMeta(name) + "$"
	return exec.Command(binary, "-test.run", run, "-test.timeout", "60s", "-contender", contender).Run() == nil
}
