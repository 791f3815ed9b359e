package awsclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/awsclient"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
)

// outOfOrder answers with a status as often as it is to, and then as if all were well. It keeps when it was asked.
type outOfOrder struct {
	mu     sync.Mutex
	status int
	left   int
	asked  []time.Time
}

func (o *outOfOrder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, time.Now())
	if o.left--; o.left >= 0 {
		w.WriteHeader(o.status)
		return
	}
	if r.Method == http.MethodPost {
		_, _ = w.Write([]byte(`{}`))
	}
}

// pauses are the times between the attempts.
func (o *outOfOrder) pauses() (list []time.Duration) {
	for i := 1; i < len(o.asked); i++ {
		list = append(list, o.asked[i].Sub(o.asked[i-1]))
	}
	return list
}

// retryLog keeps what is logged of retries.
type retryLog struct {
	bytes.Buffer
	onLine func() // called after each line
}

func (l *retryLog) Write(p []byte) (int, error) {
	defer func() {
		if l.onLine != nil {
			l.onLine()
		}
	}()
	return l.Buffer.Write(p)
}

type retryLine struct{ Msg, Service, Operation, Code, Pause string }

func (l *retryLog) lines(t *testing.T) (list []retryLine) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(l.Bytes())); ; {
		var line retryLine
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("%v: %s", err, l.String())
		}
		list = append(list, line)
	}
}

type callOf func(context.Context, string, time.Duration, *slog.Logger, func(awsclient.Call)) error

// retried is a call of a service that is out of order: with an endpoint, a pause, and where to log and report.
type retried struct {
	call      callOf
	operation string
	service   string
}

const customersFile = "inbox/Müller GmbH customers.csv"

func retriedCalls(t *testing.T) map[string]retried {
	return map[string]retried{
		"object store": {func(
			ctx context.Context, endpoint string, pause time.Duration, log *slog.Logger, observe func(awsclient.Call),
		) error {
			o, err := objects.OpenS3(ctx, objects.S3Config{
				Bucket: "b", Endpoint: endpoint, AccessKey: "a", SecretKey: "s", Checksums: objects.ChecksumsWhenRequired,
				RetryPause: pause, Log: log, Observe: observe,
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = o.Put(ctx, customersFile, strings.NewReader("customerID\nMüller\n"))
			return err
		}, "PutObject", "S3"},
		"queue": {func(
			ctx context.Context, endpoint string, pause time.Duration, log *slog.Logger, observe func(awsclient.Call),
		) error {
			q, err := queue.Open(ctx, queue.Config{
				URL: endpoint + "/Müller", Endpoint: endpoint, AccessKey: "a", SecretKey: "s",
				RetryPause: pause, Log: log, Observe: observe,
			})
			if err != nil {
				t.Fatal(err)
			}
			return q.Ping(ctx)
		}, "GetQueueAttributes", "SQS"},
	}
}

// TestB13ThreeAttempts wants three attempts with pauses of which the second is twice the first, a line for each retry
// that has nothing of a customer's, and a count.
func TestB13ThreeAttempts(t *testing.T) {
	const pause = 40 * time.Millisecond
	for name, c := range retriedCalls(t) {
		for _, failures := range []int{0, 1, 2, 3, 9} {
			server := &outOfOrder{status: http.StatusServiceUnavailable, left: failures}
			endpoint := httptest.NewServer(server)
			var log retryLog
			var seen calls
			err := c.call(t.Context(), endpoint.URL, pause, slog.New(slog.NewJSONHandler(&log, nil)), seen.add)
			endpoint.Close()
			if (err == nil) != (failures < 3) || err != nil && !store.Unavailable(err) {
				t.Errorf("%s, %d failures: %v", name, failures, err)
			}
			retries := min(failures, 2)
			if got := seen.take(); len(got) != 1 || got[0].Retries != retries || got[0].Operation != c.operation {
				t.Errorf("%s, %d failures: reported %+v", name, failures, got)
			}
			pauses := server.pauses()
			if len(pauses) != retries || retries > 0 && pauses[0] < pause*3/4 || retries > 1 && pauses[1] < 2*pause*3/4 {
				t.Errorf("%s, %d failures: %v between the attempts", name, failures, pauses)
			}
			wantRetryLines(t, c, &log, retries, pause)
		}
	}
}

func wantRetryLines(t *testing.T, c retried, log *retryLog, retries int, pause time.Duration) {
	t.Helper()
	lines := log.lines(t)
	if len(lines) != retries || strings.Contains(log.String(), "ller") || strings.Contains(log.String(), "inbox") {
		t.Errorf("%d lines, want %d without a name: %s", len(lines), retries, log)
	}
	for i, line := range lines {
		took, err := time.ParseDuration(line.Pause)
		usual := pause << i
		if err != nil || took < usual*3/4-time.Millisecond || took > usual*5/4+time.Millisecond {
			t.Errorf("pause %d: %s", i+1, line.Pause)
		}
		line.Pause = ""
		message := []string{"Retry 1/3", "Retry 2/3"}[i]
		want := retryLine{Msg: message, Service: c.service, Operation: c.operation, Code: line.Code}
		if line != want || line.Code == "" || len(line.Code) > 40 {
			t.Errorf("%+v", line)
		}
	}
}

// TestB13PausesAreASecond cancels what pauses for as long as it does by default.
func TestB13PausesAreASecond(t *testing.T) {
	for _, c := range retriedCalls(t) {
		server := &outOfOrder{status: http.StatusInternalServerError, left: 9}
		endpoint := httptest.NewServer(server)
		patience, cancel := context.WithCancel(t.Context())
		log := retryLog{onLine: cancel}
		err := c.call(patience, endpoint.URL, 0, slog.New(slog.NewJSONHandler(&log, nil)), nil)
		endpoint.Close()
		if !errors.Is(err, context.Canceled) || len(server.asked) != 1 {
			t.Errorf("%d attempts: %v", len(server.asked), err)
		}
		wantRetryLines(t, c, &log, 1, time.Second)
	}
}

// TestB13JitterDiffers wants no two callers to come back at the same moment.
func TestB13JitterDiffers(t *testing.T) {
	c := retriedCalls(t)["queue"]
	endpoint := httptest.NewServer(&outOfOrder{status: http.StatusInternalServerError, left: 100})
	defer endpoint.Close()
	var pauses []string
	for range 8 {
		patience, cancel := context.WithCancel(t.Context())
		log := retryLog{onLine: cancel}
		_ = c.call(patience, endpoint.URL, time.Hour, slog.New(slog.NewJSONHandler(&log, nil)), nil)
		pauses = append(pauses, log.lines(t)[0].Pause)
	}
	slices.Sort(pauses)
	if len(slices.Compact(pauses)) < 2 {
		t.Errorf("all pause for %s", pauses[0])
	}
}

// TestB13NoPauseBehindTheDeadline has a caller whose time is up before the pause would be over: the failure is its
// answer, at once.
func TestB13NoPauseBehindTheDeadline(t *testing.T) {
	for name, c := range retriedCalls(t) {
		server := &outOfOrder{status: http.StatusServiceUnavailable, left: 9}
		endpoint := httptest.NewServer(server)
		defer endpoint.Close()
		patience, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var log retryLog
		var seen calls
		err := c.call(patience, endpoint.URL, time.Hour, slog.New(slog.NewJSONHandler(&log, nil)), seen.add)
		if err == nil || patience.Err() != nil || !store.Unavailable(err) || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s: %v, and then %v", name, err, patience.Err())
		}
		if got := seen.take(); len(got) != 1 || got[0].Retries != 0 || got[0].Result != awsclient.CallFailed || log.Len() > 0 {
			t.Errorf("%s: %+v, %s", name, got, &log)
		}
		wantEqual(t, name, len(server.asked), 1)
	}
}

// TestB13BreakerEndsRetries has a server that is gone: from the fifth failure on nothing is tried again for a second.
func TestB13BreakerEndsRetries(t *testing.T) {
	var seen calls
	o, err := objects.OpenS3(t.Context(), objects.S3Config{
		Bucket: "b", Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "s", Checksums: objects.ChecksumsWhenRequired,
		RetryPause: time.Millisecond, Observe: seen.add,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := o.Head(t.Context(), "a/b"); err == nil || !store.Unavailable(err) {
			t.Fatal(err)
		}
		if got := seen.take(); len(got) != 1 || (got[0].Retries == 2) != (i < 2) {
			t.Errorf("call %d: %+v", i+1, got)
		}
	}
}
