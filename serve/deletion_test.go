package serve_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/retainwise/millrace/store"
)

func TestDeletePrediction(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	id, other := a.finished(bad)["prediction_id"].(string), a.finished(telecom)["prediction_id"].(string)
	a.do(http.MethodDelete, "/predictions/"+id, nil, as(a.token("other"))).wantError(t, http.StatusNotFound, "ERR-1101")
	a.get("/predictions/"+id).want(t, http.StatusOK)
	for range 2 {
		if r := a.do(http.MethodDelete, "/predictions/"+id, nil).want(t, http.StatusNoContent); len(r.body) != 0 {
			t.Errorf("body %q", r.body)
		}
	}
	for _, path := range []string{"", "/rows", "/download", "/rejects", "/events"} {
		a.get("/predictions/"+id+path).wantError(t, http.StatusNotFound, "ERR-1101")
	}
	a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).wantError(t, http.StatusNotFound, "ERR-1101")
	if n := a.predictions(); n != 1 {
		t.Errorf("%d predictions are listed", n)
	}
	a.sweep()
	for _, key := range a.objectKeys() {
		if strings.Contains(key, id) {
			t.Errorf("left %s", key)
		}
	}
	a.get("/predictions/"+other+"/download").want(t, http.StatusOK)
	a.do(http.MethodDelete, "/predictions/x", nil).wantError(t, http.StatusNotFound, "ERR-1101")
}

func (a *testAPI) sweep() {
	a.t.Helper()
	if err := a.store.Upkeep.SweepDeletions(context.Background(), a.objects); err != nil {
		a.t.Fatal(err)
	}
}

// TestDeletePrediction_WhileRunning deletes a prediction that a worker has in hand. The worker publishes nothing of it.
func TestDeletePrediction_WhileRunning(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	c := a.claim()
	a.do(http.MethodDelete, "/predictions/"+id, nil).want(t, http.StatusNoContent)
	if err := a.store.Ledger.RenewLease(context.Background(), c); err == nil {
		t.Error("the worker still has its lease")
	}
	if err := a.store.Ledger.FailPart(context.Background(), c, store.Failure{Code: "ERR-1500"}); err == nil {
		t.Error("the worker could still write")
	}
	a.sweep()
	if keys := a.objectKeys(); len(keys) != 0 {
		t.Errorf("left %v", keys)
	}
}

func TestIdempotency_DeletedPredictionIsNotReplayed(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom, onceKey("k"))
	a.do(http.MethodDelete, "/predictions/"+id, nil).want(t, http.StatusNoContent)
	a.post("/upload?filename=march.csv", telecom, onceKey("k")).wantError(t, http.StatusNotFound, "ERR-1101")
	if n := a.predictions(); n != 0 {
		t.Errorf("a request that was sent again brought %d back", n)
	}
}

func TestDeleteAccount(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	leaving := as(a.token("leaving"))
	a.finished(telecom, leaving)
	a.finished(telecom)
	a.do(http.MethodDelete, "/account", nil, leaving).want(t, http.StatusNoContent)
	for _, path := range []string{"/predictions", "/keys", "/models"} {
		a.get(path, leaving).wantError(t, http.StatusUnauthorized, "ERR-1201")
	}
	a.post("/upload", telecom, leaving).wantError(t, http.StatusUnauthorized, "ERR-1201")
	a.do(http.MethodDelete, "/account", nil, leaving).wantError(t, http.StatusUnauthorized, "ERR-1201")
	a.sweep()
	if n := len(inputs(a.objectKeys())); n != 1 {
		t.Errorf("%d uploads are left", n)
	}
	if n := a.predictions(); n != 1 {
		t.Errorf("another user has %d predictions", n)
	}
}
