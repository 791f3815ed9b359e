// Package queue sends and receives doorbells by SQS: messages that name a prediction or an object, and may be lost,
// late or repeated.
package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/retainwise/millrace/store/awsclient"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/circuit"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/google/uuid"
)

// Config configures [Open]. Credentials and region come from AWS's usual places unless given.
type Config struct {
	URL                  string
	Endpoint             string // empty: AWS. The host in URL is never dialled.
	Region               string
	AccessKey, SecretKey string
	Wait                 time.Duration        // length of a long poll; default and most 20 s
	Log                  *slog.Logger         // default: nothing is logged
	RetryPause           time.Duration        // before the second attempt at a call, twice as long before the third; default 1 s
	Observe              func(awsclient.Call) // called for every call, from many goroutines; nil disables it
	Circuits             *circuit.Group       // show the queue's breaker; nil: it is not shown
}

// batchMax is how many messages SQS takes or gives at once.
const batchMax = 10

// Queue is an SQS queue of doorbells. Messages may come twice, late and in any order. It is safe for concurrent use.
type Queue struct {
	client *sqs.Client
	config Config
}

// Open prepares a queue. It sends no request yet.
func Open(ctx context.Context, c Config) (*Queue, error) {
	config, err := awsclient.Load(ctx, c.Circuits.NewBreaker(circuit.Queue), awsclient.NewRetryer(c.RetryPause, c.Log),
		awsclient.Access{Endpoint: c.Endpoint, Region: c.Region, AccessKey: c.AccessKey, SecretKey: c.SecretKey})
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	c.Wait = cmp.Or(c.Wait, 20*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	client := sqs.NewFromConfig(config, func(o *sqs.Options) {
		o.HTTPSignerV4 = awsclient.UncachedSigner{}
		o.APIOptions = append(o.APIOptions, awsclient.Observed("sqs", c.Observe))
	})
	return &Queue{client: client, config: c}, nil
}

// Ping returns an error if the queue does not answer.
func (q *Queue) Ping(ctx context.Context) error {
	_, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.config.URL})
	if err != nil {
		return fmt.Errorf("ping queue: %w", err)
	}
	return nil
}

// Consume polls until ctx ends and calls handle for each notice, one at a time. A message is deleted after handle has
// returned nil, so what handle commits is never lost. A message that cannot be parsed is a notice that says so. A message
// whose handling fails stays and comes again until the queue's redrive policy moves it to the dead-letter queue. Errors
// are logged and retried with backoff.
func (q *Queue) Consume(ctx context.Context, handle func(context.Context, Notice) error) {
	for failures := 0; ctx.Err() == nil; {
		wait := q.config.Wait
		if failures > 0 { // a trial of the circuit breaker must not block other calls for a long poll
			wait = min(wait, time.Second)
		}
		messages, err := q.receive(ctx, wait)
		if err == nil {
			failures = 0
			err = q.work(ctx, messages, handle)
		}
		if err != nil && ctx.Err() == nil {
			q.config.Log.Warn("queue", "error", err.Error())
			failures++
			backoff.Pause(ctx, backoff.Jittered(failures, 20*time.Second))
		}
	}
}

func (q *Queue) receive(ctx context.Context, wait time.Duration) ([]types.Message, error) {
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.config.URL, MaxNumberOfMessages: batchMax, WaitTimeSeconds: int32(wait / time.Second),
	})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	return out.Messages, nil
}

// work handles messages and deletes those that were handled.
func (q *Queue) work(ctx context.Context, messages []types.Message, handle func(context.Context, Notice) error) error {
	var done []types.DeleteMessageBatchRequestEntry
	var failed error
	for i, m := range messages {
		if err := handle(ctx, parseNotice(aws.ToString(m.Body))); err != nil {
			failed = fmt.Errorf("message %s: %w", aws.ToString(m.MessageId), err)
			continue
		}
		done = append(done, types.DeleteMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle,
		})
	}
	return errors.Join(failed, q.delete(ctx, done))
}

// delete deletes handled messages, also after ctx has ended, so that they do not come again.
func (q *Queue) delete(ctx context.Context, entries []types.DeleteMessageBatchRequestEntry) error {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
		QueueUrl: &q.config.URL, Entries: entries,
	})
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%d of %d stay, the first for %s", len(out.Failed), len(entries), aws.ToString(out.Failed[0].Code))
	}
	if err != nil {
		return fmt.Errorf("delete messages: %w", err)
	}
	return nil
}

// Send implements store.Sender with one batch, of at most ten.
func (q *Queue) Send(ctx context.Context, predictions []uuid.UUID) (taken []bool, err error) {
	taken = make([]bool, len(predictions))
	entries := make([]types.SendMessageBatchRequestEntry, len(predictions))
	for i, id := range predictions {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(noticeOf(id)),
		}
	}
	out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.config.URL, Entries: entries})
	if err != nil {
		return taken, fmt.Errorf("send messages: %w", err)
	}
	for i := range taken {
		taken[i] = true
	}
	for _, f := range out.Failed {
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i < len(taken) {
			taken[i] = false
		}
	}
	if n := len(out.Failed); n > 0 {
		return taken, fmt.Errorf("send messages: %d of %d refused, the first for %s",
			n, len(predictions), aws.ToString(out.Failed[0].Code))
	}
	return taken, nil
}
