package test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/retainwise/millrace/store/storetest"
)

// TestB26ServeByLeaves compares serve --scorer leaves with score --scorer leaves, byte by byte.
func TestB26ServeByLeaves(t *testing.T) {
	c := startChild(t, "--data-dir", t.TempDir(), "--database-url", storetest.Postgres(t), "--scorer", "leaves")
	for _, model := range []string{"telecom", "saas"} {
		file := sampleFile(t, model+"_sample.csv")
		id := c.upload(t, file).ID
		c.wait(t, id)
		_, result := c.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil)
		want := scoredOffline(t, model, file, "--scorer", "leaves")
		if string(result) != want {
			t.Errorf("%s: by leaves %.300s, want %.300s", model, result, want)
		}
		if status, scored := c.Do(t, http.MethodPost, "/score", strings.NewReader(file), "Content-Type", "text/csv"); status !=
			http.StatusOK || string(scored) != want {
			t.Errorf("%s: a request: %d %.300s, want %.300s", model, status, scored, want)
		}
	}
	if status := c.end(syscall.SIGTERM); status != 0 {
		t.Errorf("ended with status %d", status)
	}
}
