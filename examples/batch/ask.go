package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/transport"
)

const (
	tries   = 5
	between = 30 * time.Second // long enough for a copy of the data to come up
	silence = 2 * time.Minute  // in the middle of a body
)

var errSilent = errors.New("the portal fell silent in the middle of an answer")

// An asker is who asks the portal.
type asker struct {
	client *http.Client
	drain  *drain
	heard  *tally
}

// ask asks for url and has read read the answer. It asks again for what only
// shows after the header; all that shows before is the Transport's. No error
// shows a secret.
func (a *asker) ask(ctx context.Context, url string, read func(http.Header, io.Reader) error) error {
	ctx, end := a.drain.begin(ctx)
	defer end()
	for try := 1; ; try++ {
		err := askOnce(ctx, a.client, url, read)
		if !mayPass(err) || try == tries || ctx.Err() != nil {
			return err
		}
		q := ctx.Value(questionKey{})
		a.heard.trouble(q, err.Error(), time.Now().Add(between))
		sleep(ctx, between)
		a.heard.goesOn(q)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// mayPass reports whether err is of an answer that may be a better one when it
// is asked for again.
func mayPass(err error) bool {
	var cut *transport.BodyError
	return errors.Is(err, errStale) || errors.Is(err, errSilent) || errors.As(err, &cut) && !cut.Changed
}

func askOnce(ctx context.Context, client *http.Client, url string, read func(http.Header, io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return plain(err)
	}
	defer resp.Body.Close()
	body := &watched{r: resp.Body, timer: time.AfterFunc(silence, func() { cancel(errSilent) })}
	defer body.timer.Stop()
	err = read(resp.Header, body)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// plain is err without what an http.Client puts before it, if that is said once
// more, and without secrets.
func plain(err error) error {
	err = classify.RedactError(err)
	var outer *url.Error
	if errors.As(err, new(*classify.Error)) && errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// watched is a body whose timer begins again with each read: a Policy bounds the
// time until the header only.
type watched struct {
	r     io.Reader
	timer *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.timer.Reset(silence)
	return n, err
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
