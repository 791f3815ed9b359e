package serve_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store/objects"
)

// A result that something else deleted is gone for good: that is another answer than to try again later, and is counted.
func TestDownload_ResultObjectMissing(t *testing.T) {
	a, faults := startBehindFaults(t)
	a.work()
	id := a.finished(bad)["prediction_id"].(string)
	base := "/predictions/" + id
	paths := []string{base + "/download", base + "/rejects", base + "/rows?explain=true"}
	for _, path := range paths {
		a.get(path).want(t, http.StatusOK)
	}
	faults.All(http.StatusNotFound, "NoSuchBucket") // an answer to HEAD looks the same
	for _, path := range paths {
		a.get(path).wantError(t, http.StatusServiceUnavailable, "ERR-1502")
	}
	faults.Answer(func(r *http.Request) (int, string) { // the result, but not the mark
		if strings.Contains(r.URL.Path, id) {
			return http.StatusForbidden, "InvalidObjectState"
		}
		return 0, ""
	})
	for _, path := range paths {
		a.get(path).wantError(t, http.StatusInternalServerError, "ERR-1506")
	}
	faults.Answer(nil)
	if err := objects.DeletePrefix(t.Context(), a.objects, objects.Deleted, "results/"+id); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if e := a.get(path).wantError(t, http.StatusGone, "ERR-1110"); e.Retryable {
			t.Errorf("%s: to be tried again", path)
		}
	}
	a.get(base+"/rows").want(t, http.StatusOK)
	a.wantMetrics(`millrace_objects_gone_total{kind="result"} 3`)
}

func TestWorker_UploadObjectMissing(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	if err := objects.DeletePrefix(t.Context(), a.objects, objects.Deleted, "uploads/"); err != nil {
		t.Fatal(err)
	}
	a.work()
	view := a.ended(id)
	if failure, _ := view["error"].(map[string]any); view["status"] != "failed" || failure["code"] != "ERR-1110" {
		t.Errorf("%v", view)
	}
	a.get("/predictions/"+id+"/download").wantError(t, http.StatusGone, "ERR-1110")
	a.wantMetrics(`millrace_objects_gone_total{kind="upload"} 1`)
}

// forgetful loses what parts have left when it is about to be joined, some times.
type forgetful struct {
	objects.Store
	times atomic.Int32
}

func (o *forgetful) Compose(ctx context.Context, dst string, parts []objects.Source) (objects.Info, error) {
	if o.times.Add(-1) >= 0 {
		if err := o.Delete(ctx, objects.Deleted, parts[len(parts)-1].Key); err != nil {
			return objects.Info{}, err
		}
	}
	return o.Store.Compose(ctx, dst, parts)
}

// A prediction whose part objects are missing at the last step is scored from scratch, for a limited number of times.
func TestWorker_RestartsWhenPartObjectsAreMissing(t *testing.T) {
	file := telecom + strings.Repeat("A-4,40,20.1,804,Two year\nA-5,x,20.1,804,Two year\n", 2000)
	for name, c := range map[string]struct {
		times int32
		end   string
	}{"once": {1, "completed"}, "three times": {3, "completed"}, "always": {1 << 30, "failed"}} {
		t.Run(name, func(t *testing.T) {
			a := startAPI(t, func(c *api.Config, _ *api.Parts) {
				c.UploadLimits = ingest.Limits{PartBytes: 16 << 10, ChunkBytes: 2 << 10}
			})
			objects := &forgetful{Store: a.objects}
			a.workWith(objects)
			whole := a.upload(file)
			if view := a.ended(whole); view["status"] != "completed" {
				t.Fatal(view)
			}
			want := a.get("/predictions/"+whole+"/download").want(t, http.StatusOK).body
			objects.times.Store(c.times)
			id := a.upload(file)
			view := a.ended(id)
			if view["status"] != c.end {
				t.Fatal(view)
			}
			if c.end == "completed" {
				if got := a.get("/predictions/"+id+"/download").want(t, http.StatusOK).body; !bytes.Equal(got, want) {
					t.Error("another result")
				}
			} else if failure, _ := view["error"].(map[string]any); failure["code"] != "ERR-1110" {
				t.Errorf("%v", view)
			}
			attempts, err := a.store.Upkeep.Attempts(t.Context(), uuid.MustParse(id))
			if err != nil || len(attempts) != int(min(c.times, 4)) || attempts[0].Failure.Code != "ERR-1110" {
				t.Errorf("%+v, %v", attempts, err)
			}
		})
	}
}
