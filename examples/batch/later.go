package main

import (
	"errors"
	"time"

	"github.com/sodahttp/sodahttp/classify"
	"github.com/sodahttp/sodahttp/pace"
	"github.com/sodahttp/sodahttp/transport"
)

// A tryLater is the end of a run that another one can continue.
type tryLater struct {
	at  time.Time
	err error
}

func (e *tryLater) Error() string { return e.err.Error() }
func (e *tryLater) Unwrap() error { return e.err }

// errInterrupted is the cause of an end that was asked for.
var errInterrupted = errors.New("stopped by a signal")

const pardon = 15 * time.Minute // where nobody knows when it makes sense

// judge tells whether what ended a run may pass, and says when to try again.
func judge(err error) error {
	var already *tryLater
	var gaveUp *transport.Error
	var late *pace.TooLate
	switch now := time.Now(); {
	case err == nil || errors.As(err, &already):
		return err
	case errors.Is(err, errInterrupted):
		return &tryLater{now, errInterrupted} // whatever it was that could not end
	case mayPass(err):
		return &tryLater{now.Add(pardon), err}
	case errors.As(err, &late):
		return &tryLater{late.Turn, err}
	case errors.As(err, &gaveUp):
		last := gaveUp.History[len(gaveUp.History)-1]
		switch {
		case !last.RetryAt.IsZero():
			return &tryLater{last.RetryAt, err}
		case last.Class != classify.Final:
			return &tryLater{now.Add(pardon), err}
		}
	}
	return err
}
