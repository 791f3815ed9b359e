package awsclient

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
)

// Call is one call of S3 or SQS with all its attempts.
type Call struct {
	Service   string // s3 or sqs
	Operation string // as in the service's API: PutObject
	Retries   int    // attempts after the first
	Took      time.Duration
	Result    CallResult
}

// CallResult is how a call ended.
type CallResult string

// The results of a call.
const (
	CallDone    CallResult = "done"
	CallRefused CallResult = "refused"  // the service answered with a 4xx: no such object, another version
	CallFailed  CallResult = "failed"   // no answer, or a 5xx
	CallGivenUp CallResult = "given_up" // the caller's context ended
)

// Observed returns an API option that counts the retries of every call of a service and calls observe, from many
// goroutines; nil disables the report.
func Observed(service string, observe func(Call)) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ObserveCalls", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			begin := time.Now()
			out, metadata, err := next.HandleInitialize(context.WithValue(ctx, callKey{}, new(int)), in)
			if observe == nil {
				return out, metadata, err
			}
			call := Call{
				Service: service, Operation: stack.ID(), Took: time.Since(begin),
				Result: callResult(ctx, err),
			}
			if attempts, ok := retry.GetAttemptResults(metadata); ok {
				call.Retries = max(0, len(attempts.Results)-1)
			}
			observe(call)
			return out, metadata, err
		}), middleware.Before)
	}
}

func callResult(ctx context.Context, err error) CallResult {
	var response *awshttp.ResponseError
	switch {
	case err == nil:
		return CallDone
	case ctx.Err() != nil:
		return CallGivenUp
	case errors.As(err, &response) && response.HTTPStatusCode() < http.StatusInternalServerError:
		return CallRefused
	}
	return CallFailed
}
