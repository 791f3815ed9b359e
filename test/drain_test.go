package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/storetest"
)

// ledger holds the time and the attempt of each committed part.
func ledger(t *testing.T, database string) map[string]string {
	t.Helper()
	done := map[string]string{}
	text := storetest.Ask(t, database, `
		SELECT coalesce(jsonb_object_agg(prediction_id || '/' || part_no, done_at || ' ' || epoch), '{}')
		FROM prediction_parts WHERE status = 'done'`)
	if err := json.Unmarshal([]byte(text), &done); err != nil {
		t.Fatal(err)
	}
	return done
}

func askNumber(t *testing.T, database, sql string) int {
	t.Helper()
	n, err := strconv.Atoi(storetest.Ask(t, database, sql))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDrainUnderLoad stops a process at different moments under load: it exits with 0 and in time, no committed part is
// scored again, and its parts in progress cost no attempt. The lease is long, so a part that is not released would be
// missed.
func TestDrainUnderLoad(t *testing.T) {
	const drain, rounds, files = 25 * time.Second, 4, 3
	database := storetest.Postgres(t)
	args := []string{
		"--data-dir", t.TempDir(), "--database-url", database, "--lease", "10m", "--part-bytes", "65536",
		"--rate-upload", "0", "--rate-default", "0", "--rate-download", "0", "--canary", "off",
	}
	file := sampleFile(t, "telecom_10k.csv")
	var ids []string
	done := map[string]string{}
	longest := time.Duration(0)
	for range rounds {
		c := startChild(t, args...)
		var load sync.WaitGroup
		accepted := make(chan string, files)
		for range files {
			load.Go(func() { // its connection may end: what counts is what was answered
				if id, err := tryUpload(t.Context(), &c.running, file); err == nil {
					accepted <- id
				}
			})
		}
		time.Sleep(rand.N(1500 * time.Millisecond))
		begin := time.Now()
		status := c.end(syscall.SIGTERM)
		longest = max(longest, time.Since(begin))
		if status != 0 || time.Since(begin) > drain {
			t.Errorf("status %d after %s", status, time.Since(begin))
		}
		load.Wait()
		for close(accepted); len(accepted) > 0; {
			ids = append(ids, <-accepted)
		}
		now := ledger(t, database)
		for part, commit := range done {
			if now[part] != commit {
				t.Errorf("part %s was committed again: %s, %s", part, commit, now[part])
			}
		}
		done = now
	}
	t.Logf("%d parts done and %d uploads answered before the last start; the longest stop took %s", len(done), len(ids), longest)
	last := startChild(t, args...)
	want := scoredOffline(t, "telecom", file)
	for _, id := range ids {
		last.wait(t, id)
		if _, result := last.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil); string(result) != want {
			t.Errorf("prediction %s: %d bytes, want %d", id, len(result), len(want))
		}
	}
	now := ledger(t, database)
	for part, commit := range done {
		if now[part] != commit {
			t.Errorf("part %s was committed again", part)
		}
	}
	if n := askNumber(t, database, `SELECT coalesce(max(attempts), 0) FROM prediction_parts`); n != 1 {
		t.Errorf("%d attempts at a part", n)
	}
	if n := askNumber(t, database, `SELECT count(*) FROM prediction_failures`); n != 0 {
		t.Errorf("%d failures", n)
	}
	if n := askNumber(t, database, `
		SELECT count(*) FROM (SELECT prediction_id, sum(n) AS n FROM prediction_blocks GROUP BY 1) b WHERE n <> 10000`); n != 0 {
		t.Errorf("%d predictions with too many rows or too few", n)
	}
}

func tryUpload(ctx context.Context, r *running, file string) (id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.API+"/upload", strings.NewReader(file))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	req.Header.Set("Content-Type", "text/csv")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	location := resp.Header.Get("Location")
	if resp.StatusCode/100 != 2 {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	return filepath.Base(location), nil
}
