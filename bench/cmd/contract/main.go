// Contract puts every contender through the contract suite, each obligation in
// a process of its own, and prints a Markdown table. Run it in bench/:
//
//	go run ./cmd/contract
package main

import (
	"log"
	"os"

	"github.com/sodahttp/sodahttp/bench"
)

func main() {
	log.SetFlags(0)
	m, err := bench.Contract(func(string) {})
	if err != nil {
		log.Fatal(err)
	}
	m.Write(os.Stdout)
}
