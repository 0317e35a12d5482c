package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sodahttp/sodahttp/pace"
)

// A job is an export under way.
type job struct {
	config *config
	portal *asker
	parts  *parts
	heard  *tally
	log    *display
}

const restarts = 3 // for -restart: data that changes all the time has no whole

// export makes the file. After asked ends no page is begun, those that wait are
// given up, and those that are with the portal have c.Grace; what is there by
// then stays for another run.
func (c *config) export(asked context.Context, stdout, stderr io.Writer) (err error) {
	if c.Out, err = resolve(c.Out); err != nil {
		return err
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

	log := newDisplay(stderr)
	pacer := new(pace.Pacer)
	heard := newTally(pacer, c.Portal)
	pacer.OnEvent = heard.pace
	keeper := &keeper{path: c.Out + ".pace.json", pacer: pacer}
	if err := keeper.load(); err != nil {
		fmt.Fprintln(log, "batch: the pace is learned anew:", err)
	}
	defer every(5*time.Second, func() {
		if !heard.counted() {
			return // and may never be: there is nothing to begin the next run with
		}
		if err := keeper.save(); err != nil {
			fmt.Fprintln(log, "batch: the pace is not kept:", err)
		}
	})()

	drain := new(drain)
	portal := &asker{c.client(drain, pacer, heard.event), drain, heard}
	defer portal.client.CloseIdleConnections()
	return judge((&job{c, portal, parts, heard, log}).run(asked, stdout))
}

// run exports, again and again if the data changes and that is wanted.
func (j *job) run(asked context.Context, stdout io.Writer) error {
	ctx, cancel := j.lingering(asked)
	defer cancel()
	whole, err := j.untilWhole(asked, ctx)
	j.heard.report(stdout)
	if err == nil {
		fmt.Fprintf(stdout, "file      %s, %.1f MB, sha256 %x\n", j.config.Out, float64(whole.size)/1e6, whole.sum.Sum(nil))
	}
	return err
}

func (j *job) untilWhole(asked, ctx context.Context) (*joiner, error) {
	begun, err := j.begun()
	if err != nil {
		return nil, err
	}
	defer j.log.watch(j.heard)()
	for n := 0; ; n++ {
		whole, err := j.once(asked, ctx, begun)
		var changed *errChanged
		if !errors.As(err, &changed) || !j.config.Restart || n == restarts {
			return whole, err
		}
		fmt.Fprintln(j.log, "batch: beginning anew:", err)
		if err := j.parts.clear(); err != nil {
			return nil, err
		}
		begun = false
	}
}

// begun reports whether there is an export in the folder to go on with. One that
// is there has to be the one that is asked for.
func (j *job) begun() (bool, error) {
	switch begun, err := j.parts.begun(); {
	case err != nil || !begun:
		return false, err
	case !j.config.Resume:
		return false, fmt.Errorf("there is an unfinished export in %s: -resume goes on with it; to begin anew, remove that folder", j.parts.dir)
	}
	return true, j.parts.of.fits(j.config)
}

// lingering returns a context that ends when asked has ended and what is with
// the portal then has had its grace.
func (j *job) lingering(asked context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(asked))
	context.AfterFunc(asked, func() {
		if ctx.Err() != nil {
			return // it is over
		}
		j.portal.drain.stop(func(n int) {
			j.heard.stop()
			switch {
			case n == 0:
				fmt.Fprintln(j.log, "batch: stopping; Ctrl-C again kills")
			case !j.heard.counted():
				fmt.Fprintf(j.log, "batch: stopping: waiting for the count, %v at most; Ctrl-C again kills\n", j.config.Grace)
			case n == 1:
				fmt.Fprintf(j.log, "batch: stopping: waiting for 1 page, %v at most; Ctrl-C again kills\n", j.config.Grace)
			default:
				fmt.Fprintf(j.log, "batch: stopping: waiting for %d pages, %v at most; Ctrl-C again kills\n", n, j.config.Grace)
			}
		})
		sleep(ctx, j.config.Grace)
		cancel(errInterrupted)
	})
	return ctx, func() { cancel(nil) }
}

// once goes on with the export that is in the folder, or begins one.
func (j *job) once(asked, ctx context.Context, begun bool) (*joiner, error) {
	if !begun {
		plan, err := j.config.newPlan(ctx, j.portal)
		if err == nil {
			err = j.parts.begin(plan)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := j.pages(asked, ctx); err != nil {
		return nil, err
	}
	whole := &joiner{parts: j.parts}
	if err := whole.join(ctx, j.config.Out); err != nil {
		return nil, err
	}
	return whole, j.parts.finish()
}

// pages gets the pages that are missing.
func (j *job) pages(asked, ctx context.Context) error {
	have, err := j.parts.have(j.log)
	if err != nil {
		return err
	}
	plan := j.parts.of
	var rows int
	var bytes int64
	for n, size := range have {
		rows += plan.rowsOf(n)
		bytes += size
	}
	j.heard.begin(plan.Rows, rows, bytes)

	missing := make([]int, 0, plan.pages()-len(have))
	for n := range plan.pages() {
		if _, ok := have[n]; !ok {
			missing = append(missing, n)
		}
	}
	f := &fetcher{config: j.config, portal: j.portal, parts: j.parts}
	return workers(asked, ctx, j.config.Workers, missing, func(ctx context.Context, n int) error {
		size, err := f.fetch(ctx, n)
		if err == nil {
			j.heard.page(plan.rowsOf(n), size)
		}
		return err
	})
}
