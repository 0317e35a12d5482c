package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// header is the head of the page: what was run, on what.
func header(r *run, parts, loadBefore string) string {
	var b strings.Builder
	command := "go run ./cmd/compare"
	if r.quick {
		command += " -quick"
	}
	if parts != "" {
		command += " -parts '" + parts + "'"
	}
	fmt.Fprintf(&b, "# Benchmarks\n\n"+
		"What this library and others come to on the same work, in one run. Written by `%s` in `bench/`, which took %v.\n\n",
		command, time.Since(r.start).Round(time.Second))
	fmt.Fprintf(&b, "- %s; %s, %d cores, %s/%s, %s\n", r.start.Format("2 January 2006"), processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprintf(&b, "- load average before and after: %s and %s; others may use the machine, so everything on the clock is done in turns\n", loadBefore, load())
	fmt.Fprintf(&b, "- %s\n\n", versions())
	b.WriteString(intro)
	return b.String()
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(strings.TrimSpace(name), ": \t")
		}
	}
	return "unknown processor"
}

func load() string {
	avg, _ := os.ReadFile("/proc/loadavg")
	one, _, ok := strings.Cut(string(avg), " ")
	if !ok {
		return "unknown"
	}
	return one
}

// compared are the modules whose versions matter.
var compared = []string{
	"github.com/PuerkitoBio/rehttp", "github.com/hashicorp/go-retryablehttp", "github.com/failsafe-go/failsafe-go",
	"resty.dev/v3", "github.com/gojek/heimdall/v7", "github.com/cenkalti/backoff/v4", "golang.org/x/time", "gonum.org/v1/plot",
}

func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "versions unknown"
	}
	found := map[string]string{}
	for _, d := range info.Deps {
		found[d.Path] = d.Version
	}
	var all []string
	for _, m := range compared {
		all = append(all, m+" "+found[m])
	}
	return "this tree beside " + strings.Join(all, ", ")
}
