package awsclient_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/store/awsclient"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/storetest"
)

// calls keeps what was reported.
type calls struct {
	mu   sync.Mutex
	list []awsclient.Call
}

func (c *calls) add(call awsclient.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, call)
}

func (c *calls) take() []awsclient.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

func TestCallsAreReported(t *testing.T) {
	var seen calls
	config := storetest.S3(t)
	config.Observe = seen.add
	bucket, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), "uploads/a", strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	wantCall(t, seen.take(), awsclient.Call{Service: "s3", Operation: "PutObject", Result: awsclient.CallDone})
	if _, err := bucket.Head(t.Context(), "uploads/b"); !errors.Is(err, objects.ErrNotFound) {
		t.Fatal(err)
	}
	wantCall(t, seen.take(), awsclient.Call{Service: "s3", Operation: "HeadObject", Result: awsclient.CallRefused})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bucket.Head(ended, "uploads/a"); err == nil {
		t.Fatal("an ended context reads")
	}
	wantCall(t, seen.take(), awsclient.Call{Service: "s3", Operation: "HeadObject", Result: awsclient.CallGivenUp})
}

// TestRetriesAreReported has a queue that is out of order twice, and then for good.
func TestRetriesAreReported(t *testing.T) {
	var seen calls
	failures := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(server.Close)
	q, err := queue.Open(t.Context(), queue.Config{
		URL: server.URL + "/queue", Endpoint: server.URL, AccessKey: "a", SecretKey: "b", Observe: seen.add,
		RetryPause: storetest.RetryPause,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := awsclient.Call{Service: "sqs", Operation: "GetQueueAttributes", Retries: 2, Result: awsclient.CallDone}
	wantCall(t, seen.take(), want)
	failures = 3
	if err := q.Ping(t.Context()); err == nil {
		t.Fatal("a queue that is out of order answers")
	}
	want.Result = awsclient.CallFailed
	wantCall(t, seen.take(), want)
}

func wantCall(t *testing.T, got []awsclient.Call, want awsclient.Call) {
	t.Helper()
	if len(got) != 1 || got[0].Took <= 0 {
		t.Fatalf("calls %+v", got)
	}
	if got[0].Took = 0; got[0] != want {
		t.Errorf("got %+v, want %+v", got[0], want)
	}
}
