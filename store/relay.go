package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Relay sends the letters of the outbox to the queue until ctx ends: at each wake, and every few seconds without one.
func (q *Queue) Relay(ctx context.Context, s *Store, wake <-chan struct{}) {
	for failures := 0; ctx.Err() == nil; {
		sent, err := q.RelayOnce(ctx, s)
		switch {
		case err != nil && ctx.Err() == nil:
			q.config.Log.Warn("outbox", "error", err.Error())
			failures++
			pause(ctx, backoff(failures, 20*time.Second))
		case sent == 0:
			failures = 0
			await(ctx, wake, s.config.PollInterval)
		}
	}
}

// await returns at a wake, or after d.
func await(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case _, open := <-wake:
		if !open {
			pause(ctx, d)
		}
	}
}

// RelayOnce sends at most one batch and says how many messages the queue took. Those that it refused go out again.
func (q *Queue) RelayOnce(ctx context.Context, s *Store) (sent int, err error) {
	letters, err := s.ClaimLetters(ctx, batchMax)
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	taken, err := q.send(ctx, letters)
	var delivered, refused []int64
	for i, l := range letters {
		if taken[i] {
			delivered = append(delivered, l.ID)
		} else {
			refused = append(refused, l.ID)
		}
	}
	after := context.WithoutCancel(ctx)
	if len(delivered) > 0 {
		if err := s.DiscardLetters(after, delivered); err != nil {
			return 0, fmt.Errorf("relay: %w", err)
		}
	}
	if len(refused) > 0 {
		if err := s.ReturnLetters(after, refused); err != nil {
			return len(delivered), fmt.Errorf("relay: %w", err)
		}
	}
	if err != nil {
		return len(delivered), fmt.Errorf("relay: %w", err)
	}
	return len(delivered), nil
}

// send says which letters the queue took. A batch can succeed in part.
func (q *Queue) send(ctx context.Context, letters []Letter) (taken []bool, err error) {
	taken = make([]bool, len(letters))
	entries := make([]types.SendMessageBatchRequestEntry, len(letters))
	for i, l := range letters {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(noticeOf(l.PredictionID)),
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
			n, len(letters), aws.ToString(out.Failed[0].Code))
	}
	return taken, nil
}
