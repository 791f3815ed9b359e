package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

const maxAttempts = 3 // of each call of S3 and SQS

// errNoTime means that the caller's deadline is before the next attempt.
var errNoTime = errors.New("no time for another attempt")

// retryer is AWS's standard retryer with another backoff: one second before the second attempt, two before the third,
// each a quarter longer or shorter. It pauses in GetRetryToken, which has the context: no pause begins that would end
// after the deadline. A call that the breaker refused is not retried.
type retryer struct {
	*retry.Standard
	pause time.Duration // before the second attempt
	log   *slog.Logger
}

// NewRetryer returns a constructor of retryers, as each client has a budget of retries of its own. A zero pause is one
// second, a nil log disables logging.
func NewRetryer(pause time.Duration, log *slog.Logger) func() aws.Retryer {
	pause = cmp.Or(pause, time.Second)
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return func() aws.Retryer {
		standard := retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = maxAttempts })
		return retryer{Standard: standard, pause: pause, log: log}
	}
}

// callKey is the context key of a call's number of retries, an *int.
type callKey struct{}

// GetRetryToken implements [aws.Retryer]. It is called before each attempt but the first.
func (r retryer) GetRetryToken(ctx context.Context, failure error) (func(error) error, error) {
	n := 1
	if retries, ok := ctx.Value(callKey{}).(*int); ok {
		*retries++
		n = *retries
	}
	pause := r.pause << (n - 1)
	pause += time.Duration((rand.Float64() - 0.5) / 2 * float64(pause))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return nil, errNoTime
	}
	release, err := r.Standard.GetRetryToken(ctx, failure)
	if err != nil {
		return nil, err
	}
	r.log.Warn(fmt.Sprintf("Retry %d/%d", n, maxAttempts), "service", awsmiddleware.GetServiceID(ctx),
		"operation", awsmiddleware.GetOperationName(ctx), "code", failureCode(failure),
		"pause", pause.Round(time.Millisecond).String())
	select {
	case <-time.After(pause):
		return release, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// RetryDelay implements [aws.Retryer]. The pause is over when it is called.
func (retryer) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

// failureCode names a failure without its text, which may hold the name of an object.
func failureCode(err error) string {
	var api smithy.APIError
	var response *awshttp.ResponseError
	switch {
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.As(err, &response):
		return fmt.Sprint("HTTP ", response.HTTPStatusCode())
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "no answer"
}
