package test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// ready waits until the answer of /ready has a status, and returns the answer.
func (r *running) ready(t *testing.T, want int) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if status, body := r.Do(t, http.MethodGet, "/ready", nil); status == want {
			return string(body)
		}
	}
	t.Fatalf("/ready is never %d", want)
	return ""
}

// scrape returns the metrics.
func (r *running) scrape(t *testing.T) string {
	t.Helper()
	resp, err := http.Get(r.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestObjectStoreAndQueueOutage takes the object store and the queue down, one after the other, under load: accepted
// files are scored, others are refused with a retryable code, no attempt is charged, and all work resumes afterwards.
func TestObjectStoreAndQueueOutage(t *testing.T) {
	database, bucket, queue := storetest.Postgres(t), storetest.S3(t), storetest.SQS(t)
	ours := bucket
	toBucket, endpoint := storetest.NewProxy(t, bucket.Endpoint)
	bucket.Endpoint = endpoint
	toQueue, endpoint := storetest.NewProxy(t, queue.Endpoint)
	r := start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.S3, c.Queue = database, bucket, queue.Config
		c.Queue.Endpoint = endpoint
		c.API.UploadLimits.PartBytes, c.API.UploadLimits.ChunkBytes = 128<<10, 32<<10
	})
	file := sampleFile(t, "telecom_10k.csv")
	r.ready(t, http.StatusOK)
	ids := []string{r.upload(t, file).ID, r.upload(t, file).ID}
	toBucket.Cut()
	if body := r.ready(t, http.StatusServiceUnavailable); !strings.Contains(body, `"object_store":"unavailable"`) {
		t.Errorf("ready: %s", body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.API+"/upload", strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	req.Header.Set("Content-Type", "text/csv")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("an upload without an object store: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	opened := `millrace_circuit_opens_total{dependency="object_store"} `
	if text := r.scrape(t); !strings.Contains(text, opened) || strings.Contains(text, opened+"0\n") ||
		!strings.Contains(text, `millrace_circuit_state{dependency="queue"} 0`) {
		t.Error("the metrics do not show the circuit breakers")
	}
	toQueue.Cut()
	if err := toBucket.Restore(); err != nil {
		t.Fatal(err)
	}
	if body := r.ready(t, http.StatusOK); !strings.Contains(body, `"status":"degraded"`) ||
		!strings.Contains(body, `"queue":"unavailable"`) {
		t.Errorf("ready: %s", body)
	}
	ids = append(ids, r.upload(t, file).ID) // the queue only wakes workers: PostgreSQL has the work
	for _, id := range ids {
		r.wait(t, id)
	}
	objects, err := objects.OpenS3(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	info, err := objects.Put(t.Context(), "inbox/developer/dropped.csv", strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	queue.Send(t, created(ours.Bucket, "inbox/developer/dropped.csv", info))
	if err := toQueue.Restore(); err != nil {
		t.Fatal(err)
	}
	const scored = `SELECT count(*) FROM predictions WHERE status = 'completed'`
	for end := time.Now().Add(time.Minute); askNumber(t, database, scored) < 4; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the message that waited was never answered")
		}
	}
	want := scoredOffline(t, "telecom", file)
	for _, id := range ids {
		if _, result := r.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil); string(result) != want {
			t.Errorf("%s: other bytes than the command line makes", id)
		}
	}
	if n := askNumber(t, database, `SELECT count(*) FROM prediction_failures`); n != 0 {
		t.Errorf("%d failures", n)
	}
	if n := askNumber(t, database, `SELECT max(attempts) FROM prediction_parts`); n != 1 {
		t.Errorf("%d attempts at a part", n)
	}
}
