package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/servetest"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
	"github.com/retainwise/millrace/testdata/samples"
)

// running is a millrace under test, in this process.
type running struct{ servetest.Process }

// start runs everything on free ports until the test ends.
func start(t *testing.T, change func(*serve.RunConfig)) *running {
	t.Helper()
	return &running{*servetest.Start(t, func(c *serve.RunConfig) {
		c.Samples = samples.Of
		change(c)
	})}
}

// scored holds the fields of a prediction that the tests read.
type scored struct {
	ID       string `json:"prediction_id"`
	Status   string `json:"status"`
	RowCount int64  `json:"row_count"`
	Rows     struct {
		Scored   int64 `json:"scored"`
		Rejected int64 `json:"rejected"`
	} `json:"rows"`
	Model   string            `json:"model"`
	Summary engine.Summary    `json:"summary"`
	Links   map[string]string `json:"links"`
	Error   json.RawMessage   `json:"error"`
}

// upload sends a file and returns its prediction.
func (r *running) upload(t *testing.T, file string) scored {
	t.Helper()
	status, body := r.Do(t, http.MethodPost, "/upload", strings.NewReader(file), "Content-Type", "text/csv")
	if status/100 != 2 {
		t.Fatalf("upload: %d %s", status, body)
	}
	return decodePrediction(t, body)
}

func decodePrediction(t *testing.T, body []byte) scored {
	t.Helper()
	var p scored
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return p
}

// wait polls until a prediction is done.
func (r *running) wait(t *testing.T, id string) scored {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		status, body := r.Do(t, http.MethodGet, "/predictions/"+id, nil)
		if status != http.StatusOK {
			t.Fatalf("prediction: %d %s", status, body)
		}
		switch p := decodePrediction(t, body); p.Status {
		case "queued", "running":
		case "completed":
			return p
		default:
			t.Fatalf("prediction is %s: %s", p.Status, body)
		}
	}
	t.Fatal("prediction is not done after three minutes")
	return scored{}
}

// scoredOffline returns the result of millrace score for a file.
func scoredOffline(t *testing.T, model, file string, flags ...string) string {
	t.Helper()
	in := filepath.Join(t.TempDir(), "in.csv")
	if err := os.WriteFile(in, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, messages := millrace(t, append([]string{"score", "--model", model, in}, flags...)...)
	if status != 0 {
		t.Fatal(messages)
	}
	return out
}

func TestUploadOnEveryStorage(t *testing.T) {
	setups := []struct {
		name   string
		change func(*testing.T, *serve.RunConfig)
	}{
		{"directory and notifications", func(t *testing.T, c *serve.RunConfig) {}},
		{"S3 and notifications", func(t *testing.T, c *serve.RunConfig) { c.S3 = storetest.S3(t) }},
		{"S3 and SQS", func(t *testing.T, c *serve.RunConfig) {
			c.S3 = storetest.S3(t)
			c.Queue = storetest.SQS(t).Config
		}},
		{"a login for requests and one for workers", func(t *testing.T, c *serve.RunConfig) {
			c.DatabaseURL, c.LoaderURL = storetest.Logins(c.DatabaseURL)
		}},
	}
	for _, setup := range setups {
		t.Run(setup.name, func(t *testing.T) {
			r := start(t, func(c *serve.RunConfig) {
				c.DatabaseURL = storetest.Postgres(t)
				setup.change(t, c)
			})
			for model, file := range map[string]string{
				"telecom": sampleFile(t, "telecom_10k.csv"), "saas": sampleFile(t, "saas_sample.csv"),
			} {
				p := r.wait(t, r.upload(t, file).ID)
				rows := int64(strings.Count(strings.TrimSpace(file), "\n"))
				if p.Model != model || p.RowCount != rows || p.Rows.Scored != rows || p.Rows.Rejected != 0 {
					t.Errorf("prediction %+v, want %d rows of %s", p, rows, model)
				}
				status, result := r.Do(t, http.MethodGet, "/predictions/"+p.ID+"/download", nil)
				if status != http.StatusOK || string(result) != scoredOffline(t, model, file) {
					t.Errorf("%s: status %d, or other bytes than the command line makes", model, status)
				}
			}
		})
	}
}

// TestDroppedFileIsScored drops a file into the bucket: it is scored for the user whose folder it is in.
func TestDroppedFileIsScored(t *testing.T) {
	s3, queue := storetest.S3(t), storetest.SQS(t)
	r := start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.S3, c.Queue = storetest.Postgres(t), s3, queue.Config
	})
	objects, err := objects.OpenS3(t.Context(), s3)
	if err != nil {
		t.Fatal(err)
	}
	file := sampleFile(t, "telecom_sample.csv")
	info, err := objects.Put(t.Context(), "inbox/developer/march figures.csv", strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	event := created(s3.Bucket, "inbox/developer/march+figures.csv", info)
	queue.Send(t, event)
	queue.Send(t, event) // messages may come twice
	queue.Send(t, `{"Event":"s3:TestEvent"}`)
	r.wantOne(t, file)
}

// created returns a bucket's event for a new object, whose key is given in the encoding of such events.
func created(bucket, key string, info objects.Info) string {
	return fmt.Sprintf(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},`+
		`"object":{"key":%q,"size":%d,"eTag":%q}}}]}`, bucket, key, info.Bytes, strings.Trim(info.ETag, `"`))
}

// wantOne waits for the only prediction and compares its result with millrace score.
func (r *running) wantOne(t *testing.T, file string) {
	t.Helper()
	var list struct {
		Predictions []scored `json:"predictions"`
	}
	for deadline := time.Now().Add(2 * time.Minute); len(list.Predictions) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was enqueued")
		}
		_, body := r.Do(t, http.MethodGet, "/predictions", nil)
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatal(err)
		}
	}
	p := r.wait(t, list.Predictions[0].ID)
	status, result := r.Do(t, http.MethodGet, "/predictions/"+p.ID+"/download", nil)
	if status != http.StatusOK || string(result) != scoredOffline(t, "telecom", file) {
		t.Errorf("status %d, or other bytes than the command line makes", status)
	}
	time.Sleep(time.Second)
	_, body := r.Do(t, http.MethodGet, "/predictions", nil)
	if err := json.Unmarshal(body, &list); err != nil || len(list.Predictions) != 1 {
		t.Errorf("%d predictions of one file (%v)", len(list.Predictions), err)
	}
}

// TestUploadLinkIsCompletedByTheBucket puts a file through an upload link: the bucket's event completes it, without a
// further request.
func TestUploadLinkIsCompletedByTheBucket(t *testing.T) {
	s3, queue := storetest.S3(t), storetest.SQS(t)
	r := start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.S3, c.Queue = storetest.Postgres(t), s3, queue.Config
	})
	objects, err := objects.OpenS3(t.Context(), s3)
	if err != nil {
		t.Fatal(err)
	}
	file := sampleFile(t, "telecom_sample.csv")
	status, body := r.Do(t, http.MethodPost, fmt.Sprintf("/upload-links?filename=march.csv&bytes=%d", len(file)), nil)
	var link struct {
		LinkID  string            `json:"link_id"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(body, &link); err != nil || status != http.StatusCreated {
		t.Fatal(status, string(body), err)
	}
	req, err := http.NewRequest(http.MethodPut, link.URL, strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range link.Headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	key := "direct/" + link.LinkID + ".csv"
	info, err := objects.Head(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	strange := "direct/" + store.NewID().String() + ".csv"
	if _, err := objects.Put(t.Context(), strange, strings.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	event := created(s3.Bucket, key, info)
	queue.Send(t, created("another-bucket", key, info))
	queue.Send(t, created(s3.Bucket, strange, info)) // no link was made for it
	queue.Send(t, event)
	queue.Send(t, event) // messages may come twice
	r.wantOne(t, file)
}

// TestLargeFileIsScoredInParts checks that many parts scored concurrently give one file, in order, with every row once.
func TestLargeFileIsScoredInParts(t *testing.T) {
	r := start(t, func(c *serve.RunConfig) {
		c.DatabaseURL = storetest.Postgres(t)
		c.API.UploadLimits.PartBytes = 128 << 10
		c.API.UploadLimits.ChunkBytes = 32 << 10
		c.Worker.Limits.ChunkBytes = 32 << 10
		c.Worker.Attempts = 3
	})
	file := sampleFile(t, "telecom_10k.csv")
	p := r.wait(t, r.upload(t, file).ID)
	_, result := r.Do(t, http.MethodGet, "/predictions/"+p.ID+"/download", nil)
	if string(result) != scoredOffline(t, "telecom", file) {
		t.Error("other bytes than the command line makes in one piece")
	}
	if p.Rows.Scored != 10_000 {
		t.Errorf("%d rows", p.Rows.Scored)
	}
}

// TestTooManyRejectedRowsFailAnUpload checks that the error budget applies to the whole file, not to each part.
func TestTooManyRejectedRowsFailAnUpload(t *testing.T) {
	r := start(t, func(c *serve.RunConfig) {
		c.DatabaseURL = storetest.Postgres(t)
		c.API.UploadLimits.PartBytes, c.API.UploadLimits.ChunkBytes = 64<<10, 16<<10
		c.Worker.Limits.ChunkBytes = 16 << 10
	})
	var file strings.Builder
	file.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for i := range 5000 {
		tenure := "1"
		if i%50 == 0 {
			tenure = "none"
		}
		fmt.Fprintf(&file, "customer-%05d,%s,29.85,29.85,Month-to-month\n", i, tenure)
	}
	for query, want := range map[string]string{
		"":                            "completed",
		"?max_rejected=100":           "completed",
		"?max_rejected=99":            "failed",
		"?max_rejected_percent=2":     "completed",
		"?max_rejected_percent=1.9":   "failed",
		"?max_rejected=1&explain=all": "failed",
	} {
		status, body := r.Do(t, http.MethodPost, "/upload"+query, strings.NewReader(file.String()),
			"Content-Type", "text/csv", "Prefer", "wait=60")
		p := decodePrediction(t, body)
		if status != http.StatusOK || p.Status != want {
			t.Errorf("%q: %d, %s, want %s: %s", query, status, p.Status, want, body)
		}
		if want == "failed" && !strings.Contains(string(p.Error), "ERR-1107") {
			t.Errorf("%q: error %s", query, p.Error)
		}
	}
}
