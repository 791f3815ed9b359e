package serve_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func TestExpiredResults(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Retain = 90 * 24 * time.Hour })
	a.work()
	view := a.finished(telecom)
	finished, err := time.Parse(time.RFC3339, view["finished_at"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if want := finished.Add(90 * 24 * time.Hour).Format("2006-01-02T15:04:05.000Z"); view["expires_at"] != want {
		t.Errorf("expires at %v, want %s", view["expires_at"], want)
	}
	time.Sleep(2 * time.Millisecond)
	if n, err := a.store.Upkeep.Expire(context.Background(), time.Millisecond); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	links := view["links"].(map[string]any)
	for _, name := range []string{"download", "rejects", "rows"} {
		a.get(links[name].(string)).wantError(t, http.StatusGone, "ERR-1108")
	}
	gone := a.get(links["self"].(string)).want(t, http.StatusOK).object(t)
	if gone["status"] != "completed" || gone["summary"] != nil || gone["expires_at"] == view["expires_at"] {
		t.Errorf("%v", gone)
	}
	a.sweep()
	if keys := a.objectKeys(); len(keys) != 0 {
		t.Errorf("left %v", keys)
	}
}

// A dropped file whose event got lost is scored all the same, once.
func TestInbox_RecoversLostEvents(t *testing.T) {
	a := startAPI(t, nil)
	for _, key := range []string{"inbox/owner/march.csv", "inbox/nobody's.csv", "inbox/owner/empty.csv"} {
		text := telecom
		if strings.Contains(key, "empty") {
			text = ""
		}
		if _, err := a.objects.Put(t.Context(), key, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := serve.ScanInbox(t.Context(), a.store, a.objects, a.log); err != nil {
			t.Fatal(err)
		}
	}
	a.work()
	list := a.get("/predictions").want(t, http.StatusOK).object(t)["predictions"].([]any)
	if len(list) != 1 {
		t.Fatalf("%d predictions", len(list))
	}
	if view := a.ended(list[0].(map[string]any)["prediction_id"].(string)); view["status"] != "completed" {
		t.Errorf("%v", view)
	}
	if !strings.Contains(a.log.String(), `"reason":"no_user"`) {
		t.Error("the file outside of the folders is not in the log")
	}
}

// Customers' ids are in the summary and in the rows, nowhere else, and after the expiry of the results in no table.
func TestRetention_DeletesCustomerIDs(t *testing.T) {
	url := storetest.Postgres(t)
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Store = storetest.Open(t, store.Config{URL: url}) })
	a.work()
	a.finished(strings.ReplaceAll(telecom, "A-", "CANARYID-"))
	places := storetest.Find(t, url, "CANARYID")
	for _, place := range places {
		if place != "predictions.summary" && place != "dump" && !strings.HasPrefix(place, "prediction_blocks") {
			t.Errorf("%s has an id", place)
		}
	}
	if !slices.Contains(places, "predictions.summary") {
		t.Errorf("only %q have an id", places)
	}
	time.Sleep(2 * time.Millisecond)
	if n, err := a.store.Upkeep.Expire(context.Background(), time.Millisecond); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got := storetest.Find(t, url, "CANARYID"); len(got) > 0 {
		t.Errorf("%q have an id", got)
	}
}

// The upkeep gives up a model that nothing has named for a day, with its archive, and leaves one that a prediction names.
func TestUpkeep_GivesUpModels(t *testing.T) {
	url := storetest.Postgres(t)
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Store = storetest.Open(t, store.Config{URL: url}) })
	id := a.upload(telecom)
	a.post("/upload?model=saas&column_check=warn", telecom).want(t, http.StatusOK)
	a.do(http.MethodDelete, "/predictions/"+id, nil).want(t, http.StatusNoContent)
	keys := storetest.Keys(t, a.objects, objects.ModelsPrefix)
	if len(keys) != 2 {
		t.Fatalf("stored %v", keys)
	}
	for _, key := range keys {
		a.age(key, 25*time.Hour)
	}
	storetest.Exec(t, url, `UPDATE models SET unnamed_since = clock_timestamp() - interval '25 hours'`)
	whileRunning(t, func(ctx context.Context) { serve.Upkeep(ctx, a.store, a.objects, 0, a.log) }, func() bool {
		return len(storetest.Keys(t, a.objects, objects.ModelsPrefix)) < 2
	})
	left := storetest.Keys(t, a.objects, objects.ModelsPrefix)
	if digest := a.model("saas").SHA256(); len(left) != 1 || !strings.HasPrefix(left[0], objects.ModelsPrefix+digest+"/") {
		t.Errorf("left %v, want the archive of %s", left, digest)
	}
}
