package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// TestDroppedFile_AnnouncedVersion drops a file and overwrites it before anything notices. Each version is announced as S3,
// SNS and EventBridge do it, the old one last, among messages that nothing can be made of: both are scored, once, and no
// message is left.
func TestDroppedFile_AnnouncedVersion(t *testing.T) {
	s3, queue := storetest.VersionedS3(t), storetest.SQS(t)
	bucket, err := objects.OpenS3(t.Context(), s3)
	if err != nil {
		t.Fatal(err)
	}
	queue.HideFor(t, 20*time.Second) // a busy machine may need more than a second for a message
	const key = "inbox/developer/50% + more (März).csv"
	models := []string{"telecom", "saas"}
	var versions []objects.Info
	for _, model := range models {
		if _, err := bucket.Put(t.Context(), key, strings.NewReader(sampleFile(t, model+"_sample.csv"))); err != nil {
			t.Fatal(err)
		}
		info, err := bucket.Head(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, info)
	}
	for _, body := range []string{
		"no JSON", `{"hello":"world"}`, `{"Event":"s3:TestEvent"}`, asSNS(t, "hello"),
		asS3("inbox%2Fdeveloper%2F", "", s3.Bucket), asS3("inbox%2Fdeveloper%2Fa%00b.csv", "", s3.Bucket),
		asS3("inbox%2Fa.csv", "", s3.Bucket), asS3("inbox%2Fdeveloper%2Fgone.csv", "", s3.Bucket),
		asS3("inbox%2Fdeveloper%2F%zz.csv", "", s3.Bucket), asS3("inbox%2Fdeveloper%2Fa.csv", "", "another-bucket"),
	} {
		queue.Send(t, body)
	}
	for i := len(versions) - 1; i >= 0; i-- {
		s3Form := asS3("inbox/developer/50%25+%2B+more+%28M%C3%A4rz%29.csv", versions[i].Version, s3.Bucket)
		bridge := asEventBridge(t, key, versions[i].Version, s3.Bucket)
		for _, body := range []string{s3Form, asSNS(t, s3Form), bridge, asSNS(t, bridge), s3Form} {
			queue.Send(t, body)
		}
	}
	r := start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.S3, c.Queue = storetest.Postgres(t), s3, queue.Config
	})
	waitEmpty(t, queue)
	status, body := r.Do(t, http.MethodGet, "/predictions", nil)
	var list struct {
		Predictions []scored `json:"predictions"`
	}
	if err := json.Unmarshal(body, &list); err != nil || status != http.StatusOK || len(list.Predictions) != len(models) {
		t.Fatalf("%d predictions of %d versions: %d, %v", len(list.Predictions), len(models), status, err)
	}
	for _, p := range list.Predictions {
		p = r.wait(t, p.ID)
		_, result := r.Do(t, http.MethodGet, "/predictions/"+p.ID+"/download", nil)
		if string(result) != scoredOffline(t, p.Model, sampleFile(t, p.Model+"_sample.csv")) {
			t.Errorf("%s: other bytes than the command line makes", p.Model)
		}
	}
	if list.Predictions[0].Model == list.Predictions[1].Model && list.Predictions[0].Model != "" {
		t.Error("one version was scored twice")
	}
}

// asS3 is a notification of S3, which encodes keys.
func asS3(encodedKey, version, bucket string) string {
	return fmt.Sprintf(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},`+
		`"object":{"key":%q,"versionId":%q}}}]}`, bucket, encodedKey, version)
}

// asEventBridge is an event of EventBridge, which does not.
func asEventBridge(t *testing.T, key, version, bucket string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"source": "aws.s3", "detail-type": "Object Created", "detail": map[string]any{
			"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key, "version-id": version},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// asSNS is a message by way of SNS without raw delivery.
func asSNS(t *testing.T, message string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"Type": "Notification", "Message": message})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// waitEmpty waits until the queue has no message, and expects none among its dead letters.
func waitEmpty(t *testing.T, q storetest.Queue) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); q.Left(t, q.URL) != 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages left", q.Left(t, q.URL))
		}
	}
	if dead := q.Left(t, q.DeadURL); dead != 0 {
		t.Errorf("%d dead letters", dead)
	}
}
