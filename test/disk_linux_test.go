package test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/cluster"
	"github.com/retainwise/millrace/store/storetest"
)

// TestDatabaseDiskFull fills the disk of PostgreSQL: uploads are refused with a retryable code or wait, no attempt is
// charged, and with free space everything resumes without a restart.
func TestDatabaseDiskFull(t *testing.T) {
	dir := storetest.SmallDisk(t, "200m")
	own, err := cluster.Start(t.Context(), cluster.Config{Dir: filepath.Join(dir, "postgres")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r := start(t, func(c *serve.RunConfig) { c.DatabaseURL = own.URL() })
	file := sampleFile(t, "telecom_10k.csv")
	var ids []string
	for range 2 {
		ids = append(ids, r.wait(t, r.upload(t, file).ID).ID)
	}
	makeRoom := storetest.FillDisk(t, dir)
	full := 0
	for end := time.Now().Add(time.Minute); full == 0 && time.Now().Before(end); {
		status, body := r.Do(t, http.MethodPost, "/upload", strings.NewReader(file), "Content-Type", "text/csv")
		switch {
		case status/100 == 2:
			ids = append(ids, decodePrediction(t, body).ID)
		case status == http.StatusServiceUnavailable && strings.Contains(string(body), "ERR-15"):
			full++
		default:
			t.Fatalf("%d %s", status, body)
		}
		if r.postponed(t) {
			full++
		}
	}
	if full == 0 {
		t.Fatal("the disk was never full")
	}
	makeRoom()
	want := scoredOffline(t, "telecom", file)
	for _, id := range ids {
		r.wait(t, id)
		if _, result := r.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil); string(result) != want {
			t.Errorf("%s: other bytes than the command line makes", id)
		}
	}
	if n := askNumber(t, own.URL(), `SELECT count(*) FROM prediction_failures`); n != 0 {
		t.Errorf("%d attempts were charged", n)
	}
	t.Logf("%d predictions", len(ids))
}

// postponed reports whether a part has been postponed.
func (r *running) postponed(t *testing.T) bool {
	t.Helper()
	for line := range strings.Lines(r.scrape(t)) {
		if strings.Contains(line, `"postponed"}`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return true
		}
	}
	return false
}
