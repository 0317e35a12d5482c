package pace_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/sodahttp/sodahttp/pace"
)

// A caller that gives up leaves the limiter as it was.
func ExampleQueue() {
	var q pace.Queue
	limiter := rate.NewLimiter(rate.Every(time.Hour), 1)
	fmt.Println(q.Wait(context.Background(), limiter)) // takes the only token

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := q.Wait(ctx, limiter) // returns at once
	fmt.Println(errors.Is(err, context.DeadlineExceeded), limiter.Tokens() >= 0)
	// Output:
	// <nil>
	// true true
}

func ExampleCause() {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("the job was called off"))

	err := pace.Cause(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.Canceled), errors.Is(err, context.Cause(ctx)))
	// Output:
	// context canceled: the job was called off
	// true true
}
