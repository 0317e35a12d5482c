package main

import (
	"context"
	"errors"
	"io"
	"net/http"
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

// ask asks for url and has read read the answer. It asks again for what only
// shows after the header; all that shows before is the Transport's. No error
// shows a secret.
func ask(ctx context.Context, client *http.Client, url string, read func(http.Header, io.Reader) error) error {
	for try := 1; ; try++ {
		err := askOnce(ctx, client, url, read)
		if !mayPass(err) || try == tries || ctx.Err() != nil {
			return err
		}
		sleep(ctx, between)
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
		return classify.RedactError(err)
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
