package test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/storetest"
)

// TestDeadlyFile kills every process that works on one file, as if the file had used up its memory. There is one process at
// a time. The file is dead after the process that it shared and two that it had alone; the files that were in work with it
// are complete without a failed attempt, and nobody did anything about it.
func TestDeadlyFile(t *testing.T) {
	database := storetest.Postgres(t)
	args := []string{
		"--data-dir", t.TempDir(), "--database-url", database, "--lease", "1s", "--rate-upload", "0", "--canary", "off",
		"--part-bytes", "67108864", "--upload-bytes-max", "67108864", "--upload-rows-max", "1000000",
	}
	sample := sampleFile(t, "telecom_10k.csv")
	header, rows, _ := strings.Cut(sample, "\n")
	c := startChild(t, args...)
	deadly, err := tryUpload(t.Context(), &c.running, header+"\n"+strings.Repeat(rows, 20))
	if err != nil {
		t.Fatal(err)
	}
	var load sync.WaitGroup
	accepted := make(chan string, 6)
	for range cap(accepted) {
		load.Go(func() { // what counts is what was answered before the process ended
			if id, err := tryUpload(t.Context(), &c.running, sample); err == nil {
				accepted <- id
			}
		})
	}
	held := fmt.Sprintf(`
		SELECT CASE WHEN bool_or(d.public_id = '%s' AND d.status = 'dead') THEN 'dead'
		            WHEN bool_or(d.public_id = '%[1]s' AND d.status = 'completed') THEN 'completed'
		            WHEN bool_or(d.public_id = '%[1]s' AND held) AND bool_or(deaths > 0 OR d.public_id <> '%[1]s' AND held)
		                THEN 'held ' || max(epoch) FILTER (WHERE d.public_id = '%[1]s') ELSE 'waiting' END
		FROM predictions d, LATERAL (
		    SELECT status = 'open' AND worker IS NOT NULL AND lease_until > clock_timestamp() AS held, deaths, epoch
		    FROM prediction_parts p WHERE p.prediction_id = d.id) p`, deadly)
	kills, killed := 0, ""
	for begin := time.Now(); ; {
		state := storetest.Ask(t, database, held)
		if state == "dead" {
			break
		}
		if strings.HasPrefix(state, "held") && state != killed { // else by the process that was killed: its lease has not expired
			killed = state
			c.end(syscall.SIGKILL)
			kills++
			c = startChild(t, args...)
		}
		if state == "completed" || time.Since(begin) > 3*time.Minute {
			t.Fatalf("%s after %d kills", state, kills)
		}
	}
	load.Wait()
	close(accepted)
	if kills != 3 {
		t.Errorf("it is dead after %d kills", kills)
	}
	want := `ERR-1112 Scoring this file ended the worker process twice while it ran alone.`
	if got := storetest.Ask(t, database, `SELECT (error->>'code') || ' ' || (error->>'message') FROM predictions
		WHERE status = 'dead'`); got != want {
		t.Errorf("dead of %s", got)
	}
	neighbours := 0
	for id := range accepted {
		neighbours++
		c.wait(t, id)
	}
	t.Logf("%d neighbours, %s of them suspects", neighbours, storetest.Ask(t, database, `
		SELECT count(*) FROM prediction_parts WHERE status = 'done' AND deaths > 0`))
	if n := askNumber(t, database, `SELECT coalesce(max(attempts), 0) FROM prediction_parts WHERE status = 'done'`); n > 1 {
		t.Errorf("%d attempts at a neighbour", n)
	}
	if n := askNumber(t, database, `SELECT count(*) FROM prediction_failures WHERE error->>'stage' <> 'lease'`); n != 0 {
		t.Errorf("%d failed attempts", n)
	}
}
