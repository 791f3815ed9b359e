package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

const oneDay = 24 * time.Hour

var timedOut = store.Failure{Code: "ERR-1103", Message: "The prediction took longer than allowed.", Permanent: true}

// up records that the service has worked for a while, up to a moment ago.
func (b bench) up(since, silent time.Duration) {
	b.Helper()
	b.exec(`DELETE FROM service_uptime`)
	b.exec(`INSERT INTO service_uptime (up_since, seen_at)
		VALUES (clock_timestamp() - $1::interval, clock_timestamp() - $2::interval)`, since, silent)
}

func (b bench) endOverdue(deadline time.Duration) int {
	b.Helper()
	if err := b.Ledger.Heartbeat(b.Context()); err != nil {
		b.Fatal(err)
	}
	ended, err := b.Ledger.EndOverdue(b.Context(), deadline, timedOut)
	if err != nil {
		b.Fatal(err)
	}
	return len(ended)
}

// A prediction is overdue when it was begun before the deadline and the service has worked ever since.
func TestC10OverduePredictions(t *testing.T) {
	b := newBench(t, store.Config{})
	for name, test := range map[string]struct {
		queued, started time.Duration // ago; started 0: not yet
		up, silent      time.Duration
		want            int
	}{
		"begun long ago":                      {26 * time.Hour, 25 * time.Hour, 48 * time.Hour, time.Minute, 1},
		"begun a moment after the deadline":   {30 * time.Hour, 23 * time.Hour, 48 * time.Hour, time.Minute, 0},
		"waiting in the queue":                {30 * time.Hour, 0, 48 * time.Hour, time.Minute, 0},
		"an outage that ended since":          {50 * time.Hour, 49 * time.Hour, 23 * time.Hour, time.Minute, 0},
		"an outage that ends now":             {50 * time.Hour, 49 * time.Hour, 90 * time.Hour, 6 * time.Minute, 0},
		"a worker that was restarted":         {26 * time.Hour, 25 * time.Hour, 48 * time.Hour, 4 * time.Minute, 1},
		"an outage before it was uploaded":    {26 * time.Hour, 25 * time.Hour, 27 * time.Hour, 0, 1},
		"the first minute of an upgraded one": {26 * time.Hour, 25 * time.Hour, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := b.upload(10, 10)
			b.exec(`UPDATE predictions SET queued_at = clock_timestamp() - $1::interval`, test.queued)
			if test.started > 0 {
				b.claim("w")
				b.exec(`UPDATE predictions SET started_at = clock_timestamp() - $1::interval`, test.started)
			}
			b.up(test.up, test.silent)
			if test.up == 0 {
				b.exec(`DELETE FROM service_uptime`)
			}
			if got := b.endOverdue(oneDay); got != test.want {
				t.Errorf("%d ended, want %d", got, test.want)
			}
			if failed := b.reload(p).Status == store.Failed; failed != (test.want == 1) {
				t.Errorf("it is %s", b.reload(p).Status)
			}
			if got := b.endOverdue(oneDay); got != 0 {
				t.Errorf("%d ended again", got)
			}
			b.exec(`DELETE FROM predictions`)
		})
	}
}

// A prediction that ended at its deadline has an error, can be retried, and late workers change nothing.
func TestC10OverdueIsAnEnd(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10)
	claim := b.claim("w")
	b.exec(`UPDATE predictions SET started_at = clock_timestamp() - interval '2 days'`)
	b.up(3*oneDay, 0)
	wantEqual(t, "ended", b.endOverdue(oneDay), 1)
	got := b.reload(p)
	if got.Status != store.Failed || got.Error == nil || got.Error.Code != "ERR-1103" || got.FinishedAt == nil {
		text, _ := json.Marshal(got)
		t.Errorf("it is %s", text)
	}
	wantEqual(t, "its upload", ask[string](b, `SELECT status FROM uploads`), "failed")
	wantErr(t, b.Ledger.RenewLease(t.Context(), claim), store.ErrLeaseLost)
	_, err := b.Ledger.CommitPart(t.Context(), claim, store.PartResult{Scored: 10}, nil)
	wantErr(t, err, store.ErrLeaseLost)
	b.noClaim()
	if err := b.Upkeep.Retry(t.Context(), p.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	b.claim("w")
	wantEqual(t, "ended after the retry", b.endOverdue(oneDay), 0)
}
