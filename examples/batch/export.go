package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// A job is an export under way.
type job struct {
	config *config
	client *http.Client
	parts  *parts
	heard  *tally
	log    io.Writer
}

const restarts = 3 // for -restart: data that changes all the time has no whole

// export makes the file. After asked ends no page is begun, and those under way
// have c.Grace; what is there by then stays for another run.
func (c *config) export(asked context.Context, stdout, stderr io.Writer) (err error) {
	if info, err := os.Stat(c.Out); err == nil && info.IsDir() {
		return fmt.Errorf("-out %s is a folder, and has to be a file", c.Out)
	}
	if c.Resume && c.finished() {
		fmt.Fprintln(stdout, "an earlier run has finished", c.Out)
		return removeDone(c.Out + ".parts" + doneSuffix)
	}
	parts, err := openParts(c.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close()) }()

	heard := newTally()
	pacer := &pace.Pacer{OnEvent: heard.pace}
	keeper := &keeper{path: c.Out + ".pace.json", pacer: pacer}
	if err := keeper.load(); err != nil {
		fmt.Fprintln(stderr, "batch: the pace is learned anew:", err)
	}
	defer every(5*time.Second, func() {
		if err := keeper.save(); err != nil {
			fmt.Fprintln(stderr, "batch: the pace is not kept:", err)
		}
	})()

	j := &job{c, c.client(pacer, heard.event), parts, heard, stderr}
	defer j.client.CloseIdleConnections()
	return judge(j.run(asked, stdout))
}

// run exports, again and again if the data changes and that is wanted.
func (j *job) run(asked context.Context, stdout io.Writer) error {
	ctx, cancel := lingering(asked, j.config.Grace)
	defer cancel()
	defer j.heard.report(stdout)
	for n := 0; ; n++ {
		err := j.once(asked, ctx, stdout)
		var changed *errChanged
		if !errors.As(err, &changed) || !j.config.Restart || n == restarts {
			return err
		}
		fmt.Fprintln(j.log, "batch: beginning anew:", err)
		if err := j.parts.clear(); err != nil {
			return err
		}
	}
}

// lingering returns a context that ends grace after asked does.
func lingering(asked context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(asked))
	context.AfterFunc(asked, func() {
		sleep(ctx, grace)
		cancel(errInterrupted)
	})
	return ctx, func() { cancel(nil) }
}

// once goes on with the export that is in the folder, or begins one.
func (j *job) once(asked, ctx context.Context, stdout io.Writer) error {
	plan, begun, err := j.parts.plan()
	switch {
	case err != nil:
		return err
	case begun && !j.config.Resume:
		return fmt.Errorf("there is an unfinished export in %s: -resume goes on with it; to begin anew, remove that folder", j.parts.dir)
	case begun:
		err = plan.fits(j.config)
	default:
		if plan, err = j.config.newPlan(ctx, j.client); err == nil {
			err = j.parts.begin(plan)
		}
	}
	if err != nil {
		return err
	}
	if err := j.pages(asked, ctx, plan); err != nil {
		return err
	}
	whole := &joiner{plan: plan, parts: j.parts}
	if err := whole.join(ctx, j.config.Out); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "file      %s, %.1f MB, sha256 %x\n", j.config.Out, float64(whole.size)/1e6, whole.sum.Sum(nil))
	return j.parts.finish()
}

// pages gets the pages that are missing.
func (j *job) pages(asked, ctx context.Context, plan plan) error {
	have, err := j.parts.have(plan, j.log)
	if err != nil {
		return err
	}
	var rows int
	var bytes int64
	for n, size := range have {
		rows += plan.rowsOf(n)
		bytes += size
	}
	j.heard.begin(plan.Rows, rows, bytes)
	defer j.heard.watch(j.log)()

	missing := make([]int, 0, plan.pages()-len(have))
	for n := range plan.pages() {
		if _, ok := have[n]; !ok {
			missing = append(missing, n)
		}
	}
	f := &fetcher{config: j.config, client: j.client, plan: plan, parts: j.parts}
	return workers(asked, ctx, j.config.Workers, missing, func(ctx context.Context, n int) error {
		size, err := f.fetch(ctx, n)
		if err == nil {
			j.heard.page(plan.rowsOf(n), size)
		}
		return err
	})
}
