// Get prints five rows of a data set: the README's program.
package main

import (
	"io"
	"log"
	"net/http"
	"os"

	"github.com/sodahttp/sodahttp/transport"
)

func main() {
	client := &http.Client{Transport: &transport.Transport{}}
	resp, err := client.Get("https://data.cityofnewyork.us/resource/uczf-rk3c.json?$limit=5")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		log.Fatal(err)
	}
}
