package serve_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// begunLongAgo is a server with a prediction that a worker has had in hand for two days.
func begunLongAgo(t *testing.T) (a *testAPI, prediction string) {
	url := storetest.Postgres(t)
	a = startAPI(t, func(_ *api.Config, p *api.Parts) { p.Store = storetest.Open(t, store.Config{URL: url}) })
	prediction = a.upload(telecom)
	if c, err := a.store.Ledger.ClaimPart(t.Context(), "w"); c == nil || err != nil {
		t.Fatalf("claimed %v: %v", c, err)
	}
	storetest.Exec(t, url, `
		UPDATE predictions SET started_at = clock_timestamp() - interval '2 days';
		INSERT INTO service_uptime (up_since, seen_at) VALUES (clock_timestamp() - interval '3 days', clock_timestamp())`)
	return a, prediction
}

// A prediction over its deadline fails with a code of its own, which says for how long it might have run.
func TestC10PredictionTimesOut(t *testing.T) {
	a, id := begunLongAgo(t)
	if err := serve.RunDeadlineOnce(t.Context(), a.store, a.objects, 72*time.Hour, a.metrics); err != nil {
		t.Fatal(err)
	}
	if view := a.get("/predictions/"+id).want(t, http.StatusOK).object(t); view["status"] != "running" {
		t.Errorf("before its deadline it is %v", view["status"])
	}
	if err := serve.RunDeadlineOnce(t.Context(), a.store, a.objects, 24*time.Hour, a.metrics); err != nil {
		t.Fatal(err)
	}
	view := a.get("/predictions/"+id).want(t, http.StatusOK).object(t)
	failure, ok := view["error"].(map[string]any)
	if view["status"] != "failed" || view["done"] != true || !ok || failure["code"] != "ERR-1103" ||
		failure["message"] != "The prediction took longer than allowed." {
		t.Fatalf("%v: %v", view["status"], view["error"])
	}
	if d := failure["details"].(map[string]any); d["limit"] != 86400.0 || d["unit"] != "seconds" {
		t.Errorf("details %v", d)
	}
	a.get("/predictions/"+id+"/download").wantError(t, http.StatusConflict, "ERR-1103")
	a.wantMetrics(`millrace_prediction_duration_seconds_count{result="failed",size_class="10k"} 1`)
}

// silentObjects are out of reach.
type silentObjects struct{ objects.Store }

func (silentObjects) Get(context.Context, string, objects.Range, string) (io.ReadCloser, objects.Info, error) {
	return nil, objects.Info{}, objects.ErrInterrupted
}

// In an outage of the object store nothing is overdue, and the time of running predictions starts again.
func TestC10OutageIsNoTimeout(t *testing.T) {
	a, id := begunLongAgo(t)
	gone := silentObjects{a.objects}
	if err := serve.RunDeadlineOnce(t.Context(), a.store, gone, time.Hour, a.metrics); err == nil {
		t.Error("no word about the object store")
	}
	if view := a.get("/predictions/"+id).want(t, http.StatusOK).object(t); view["status"] != "running" {
		t.Errorf("it is %v", view["status"])
	}
}
