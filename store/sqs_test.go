package store_test

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/storetest"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// notices collects a consumer's notices until it has n of them.
func notices(t *testing.T, q *queue.Queue, n int, handle func(queue.Notice) error) []queue.Notice {
	t.Helper()
	ctx, cancel := contextFor(t, time.Minute)
	defer cancel()
	var got []queue.Notice
	q.Consume(ctx, func(_ context.Context, notice queue.Notice) error {
		if err := handle(notice); err != nil {
			return err
		}
		if got = append(got, notice); len(got) == n {
			cancel()
		}
		return nil
	})
	if len(got) != n {
		t.Fatalf("%d notices of %d", len(got), n)
	}
	return got
}

func send(t *testing.T, q storetest.Queue, body string) {
	t.Helper()
	_, err := q.Client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.URL, MessageBody: &body})
	if err != nil {
		t.Fatal(err)
	}
}

// waiting counts the messages of a queue, seen and unseen.
func waiting(t *testing.T, q storetest.Queue, url string) string {
	t.Helper()
	out, err := q.Client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + " " + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func openQueue(t *testing.T, config queue.Config) *queue.Queue {
	t.Helper()
	config.Wait = time.Second
	q, err := queue.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue_RelayToConsumer(t *testing.T) {
	b := newBench(t, store.Config{PollInterval: 50 * time.Millisecond})
	server := storetest.SQS(t)
	q := openQueue(t, server.Config)
	want := map[uuid.UUID]bool{}
	for range 23 {
		want[b.upload(1).ID] = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { b.Outbox.Relay(ctx, q, b.Ledger.Listen(ctx)) })
	for _, n := range notices(t, q, 23, func(queue.Notice) error { return nil }) {
		if !want[n.Prediction] {
			t.Errorf("%s is unknown, or came twice", n.Prediction)
		}
		delete(want, n.Prediction)
	}
	cancel()
	group.Wait()
	wantEqual(t, "outbox entries", ask[int](b, `SELECT count(*)::int FROM outbox`), 0)
	wantEqual(t, "messages", waiting(t, server, server.URL), "0 0")
}

// A message that is not understood is a notice that says so, and comes once. One whose handling fails comes again, and
// goes to the dead letters if it fails every time.
func TestConsume_KeepsWhatFails(t *testing.T) {
	server := storetest.SQS(t)
	q := openQueue(t, server.Config)
	fails := uuid.MustParse("019a0000-0000-7000-8000-000000000001")
	send(t, server, "what is this?")
	send(t, server, `{"Event":"s3:TestEvent"}`)
	send(t, server, `{"prediction_id":"019a0000-0000-7000-8000-000000000002"}`)
	send(t, server, `{"prediction_id":"`+fails.String()+`"}`)
	failures, unclear := map[uuid.UUID]int{}, 0
	handle := func(n queue.Notice) error {
		unclear += len(n.Unclear)
		if n.Prediction == fails || n.Prediction != uuid.Nil && failures[n.Prediction] == 0 {
			failures[n.Prediction]++
			return errors.New("not now")
		}
		return nil
	}
	notices(t, q, 3, handle)
	// The queue moves the rest to the dead letters after the second time. It looks when it is polled.
	for deadline := time.Now().Add(time.Minute); waiting(t, server, server.DeadURL) != "1 0"; {
		if time.Now().After(deadline) {
			t.Fatalf("dead letters: %s", waiting(t, server, server.DeadURL))
		}
		ctx, cancel := contextFor(t, 1500*time.Millisecond)
		q.Consume(ctx, func(_ context.Context, n queue.Notice) error { return handle(n) })
		cancel()
	}
	wantEqual(t, "messages", waiting(t, server, server.URL), "0 0")
	if unclear != 1 || failures[fails] != 2 || len(failures) != 2 {
		t.Errorf("%d not understood, failures %v", unclear, failures)
	}
}

// stubSQS speaks the JSON protocol and gets wrong what the real server gets right.
type stubSQS struct {
	*httptest.Server
	handlers map[string]func(in map[string]any) (status int, out any)
}

func newStubSQS(t *testing.T) *stubSQS {
	t.Helper()
	s := &stubSQS{handlers: map[string]func(map[string]any) (int, any){}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
		handle := s.handlers[action]
		if handle == nil {
			t.Errorf("unexpected %s", action)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		status, out := handle(in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stubSQS) queue(t *testing.T) *queue.Queue {
	t.Helper()
	return openQueue(t, queue.Config{
		URL: "http://unreachable.invalid/1/q", Endpoint: s.URL, AccessKey: "a", SecretKey: "s",
	})
}

var broken = map[string]any{"__type": "com.amazonaws.sqs#InvalidSecurity", "message": "no"}

// A batch may succeed in part: only what was refused goes out again.
func TestRelay_ResendsRefused(t *testing.T) {
	b := newBench(t, store.Config{})
	for range 4 {
		b.upload(1)
	}
	stub := newStubSQS(t)
	var sent [][]string
	stub.handlers["SendMessageBatch"] = func(in map[string]any) (int, any) {
		if len(sent) == 2 {
			sent = append(sent, nil)
			return 400, broken
		}
		var bodies []string
		var ok, failed []map[string]any
		for i, e := range in["Entries"].([]any) {
			entry := e.(map[string]any)
			body := entry["MessageBody"].(string)
			bodies = append(bodies, body)
			if len(sent) == 0 && i%2 == 1 || len(sent) == 1 && i == 0 {
				failed = append(failed, map[string]any{"Id": entry["Id"], "Code": "InternalError", "SenderFault": false})
			} else {
				ok = append(ok, map[string]any{
					"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": fmt.Sprintf("%x", md5.Sum([]byte(body))),
				})
			}
		}
		sent = append(sent, bodies)
		return 200, map[string]any{"Successful": ok, "Failed": failed}
	}
	q := stub.queue(t)
	for i, want := range []struct {
		sent  int
		fails bool
	}{{2, true}, {1, true}, {0, true}, {1, false}, {0, false}} {
		n, err := store.RelayOnce(t.Context(), b.Outbox, q)
		if n != want.sent || (err != nil) != want.fails {
			t.Errorf("round %d: sent %d, %v", i, n, err)
		}
	}
	if len(sent) != 4 || len(sent[0]) != 4 || len(sent[1]) != 2 || len(sent[3]) != 1 ||
		sent[1][0] != sent[0][1] || sent[1][1] != sent[0][3] || sent[3][0] != sent[1][0] {
		t.Errorf("sent %v", sent)
	}
}

func TestRelay_RetriesAfterErrors(t *testing.T) {
	b := newBench(t, store.Config{PollInterval: 20 * time.Millisecond})
	b.upload(1)
	stub := newStubSQS(t)
	var calls atomic.Int32
	ctx, cancel := contextFor(t, 20*time.Second)
	defer cancel()
	stub.handlers["SendMessageBatch"] = func(in map[string]any) (int, any) {
		if calls.Add(1) == 1 {
			return 400, broken
		}
		cancel()
		body := in["Entries"].([]any)[0].(map[string]any)["MessageBody"].(string)
		return 200, map[string]any{"Failed": []any{}, "Successful": []any{map[string]any{
			"Id": "0", "MessageId": "m", "MD5OfMessageBody": fmt.Sprintf("%x", md5.Sum([]byte(body))),
		}}}
	}
	b.Outbox.Relay(ctx, stub.queue(t), nil)
	wantEqual(t, "calls", calls.Load(), 2)
}

func TestConsume_RetriesAfterErrors(t *testing.T) {
	stub := newStubSQS(t)
	var received, deleted atomic.Int32
	ctx, cancel := contextFor(t, 20*time.Second)
	defer cancel()
	message := map[string]any{"MessageId": "m", "ReceiptHandle": "r", "Body": `{"Event":"s3:TestEvent"}`}
	stub.handlers["ReceiveMessage"] = func(map[string]any) (int, any) {
		if received.Add(1) == 1 {
			return 400, broken
		}
		return 200, map[string]any{"Messages": []any{message}}
	}
	stub.handlers["DeleteMessageBatch"] = func(map[string]any) (int, any) {
		switch deleted.Add(1) {
		case 1:
			return 400, broken
		case 2:
			failed := map[string]any{"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": true}
			return 200, map[string]any{"Successful": []any{}, "Failed": []any{failed}}
		}
		cancel()
		return 200, map[string]any{"Successful": []any{map[string]any{"Id": "0"}}, "Failed": []any{}}
	}
	handled := 0
	stub.queue(t).Consume(ctx, func(context.Context, queue.Notice) error { handled++; return nil })
	if handled != 3 || deleted.Load() != 3 {
		t.Errorf("handled %d, deleted %d", handled, deleted.Load())
	}
}

func TestPingQueue(t *testing.T) {
	stub := newStubSQS(t)
	stub.handlers["GetQueueAttributes"] = func(map[string]any) (int, any) { return 400, broken }
	if err := stub.queue(t).Ping(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "ping queue: ") {
		t.Errorf("%v", err)
	}
	server := storetest.SQS(t)
	if err := openQueue(t, server.Config).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
