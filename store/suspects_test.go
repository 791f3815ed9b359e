package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

// vanish is the end of a worker process: nobody returns what it held, and its leases expire.
func (b bench) vanish(worker string) {
	b.Helper()
	b.exec(`UPDATE prediction_parts SET lease_until = '-infinity' WHERE worker = $1`, worker)
	b.exec(`UPDATE predictions SET finish_lease_until = '-infinity' WHERE starts_with(finish_worker, $1)`, worker)
}

// found finds out which workers have vanished. Nothing may be left to claim.
func (b bench) found() {
	b.Helper()
	if c, err := b.Ledger.ClaimFinish(b.Context(), "another"); c != nil || err != nil {
		b.Fatalf("claimed %+v: %v", c, err)
	}
	b.noClaim()
}

// pauseOver ends the pause of every suspect.
func (b bench) pauseOver() {
	b.Helper()
	b.exec(`UPDATE prediction_parts SET lease_until = '-infinity' WHERE worker IS NULL`)
	b.exec(`UPDATE predictions SET finish_lease_until = '-infinity' WHERE finish_worker IS NULL`)
}

// alone begins the next suspect, whose pause is over.
func (b bench) alone(worker string) *store.Claim {
	b.Helper()
	b.pauseOver()
	c, err := b.Ledger.ReserveSuspect(b.Context(), worker)
	if err != nil || c == nil {
		b.Fatalf("suspect %v, %v", c, err)
	}
	if err := b.Ledger.Begin(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	return c
}

func (b bench) noSuspect() {
	b.Helper()
	if c, err := b.Ledger.ReserveSuspect(b.Context(), "another"); c != nil || err != nil {
		b.Fatalf("suspect %+v: %v", c, err)
	}
}

// deaths are those of the part and of the last step, and the attempts.
func (b bench) deaths() string {
	b.Helper()
	return ask[string](b, `SELECT string_agg(concat_ws(' ', deaths, attempts, finish_deaths, finish_attempts), ', ' ORDER BY part_no)
		FROM prediction_parts p JOIN predictions d ON d.id = p.prediction_id AND d.generation = p.generation`)
}

var deadly = store.Failure{Code: "ERR-1112", Stage: "lease", Message: "ended the worker"}

// A process ends with a deadly part and its neighbour in hand, and another with each that runs the deadly one alone. The
// neighbour is charged nothing, and only the deadly one is dead.
func TestSuspects(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Hour, Deadly: deadly})
	guilty, neighbour := b.upload(10), b.upload(20)
	b.claim("first")
	b.claim("first")
	later := b.upload(30)
	b.vanish("first")
	c := b.claim("other") // finds out first
	wantEqual(t, "claimed", c.PublicID, later.ID)
	wantEqual(t, "deaths and attempts", b.deaths(), "1 0 0 0, 1 0 0 0, 0 1 0 0")
	wantEqual(t, "counted deaths", b.Ledger.Deaths(), 2)
	for _, p := range []store.Prediction{guilty, neighbour} {
		if p = b.reload(p); p.Status != store.Running || p.StatusReason == "" {
			t.Errorf("%s, %q", p.Status, p.StatusReason)
		}
	}
	b.noSuspect() // before its pause is over
	b.mustScore(c)
	b.noClaim() // suspects are not claimed with others
	for death := 2; death <= 3; death++ {
		c := b.alone(fmt.Sprint("process ", death))
		if c.PublicID != guilty.ID || c.Attempt != 1 || c.Deaths != death-1 || b.reload(guilty).StatusReason != "" {
			t.Errorf("alone: %+v", c)
		}
		b.vanish(c.Worker)
		b.noClaim()
		wantEqual(t, "status", b.reload(guilty).Status, store.Running) // its worker may have been paused, and return
	}
	b.pauseOver()
	b.noClaim()
	p := b.reload(guilty)
	if p.Status != store.Dead || p.Error == nil || p.Error.Code != deadly.Code || p.FinishedAt == nil {
		t.Fatalf("%+v, %+v", p, p.Error)
	}
	wantEqual(t, "upload", ask[string](b, `SELECT status FROM uploads ORDER BY id LIMIT 1`), "failed")
	list, err := b.Upkeep.Attempts(t.Context(), p.ID)
	if err != nil || len(list) != 3 || list[0].Worker != "process 3" || list[2].Worker != "first" ||
		list[0].Failure.Stage != "lease" || list[0].Failure.Message == list[2].Failure.Message {
		t.Errorf("attempts %+v, %v", list, err)
	}
	if err := b.finish(b.mustScore(b.alone("process 4"))); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "neighbour", b.reload(neighbour).Status, store.Completed)
	b.noSuspect()
	if err := b.Upkeep.Retry(t.Context(), guilty.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "deaths after a retry", b.claim("w").Deaths, 0)
}

// The last step is a suspect like a part.
func TestSuspects_LastStep(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Hour, Deadly: deadly})
	p := b.upload(10)
	last := b.mustScore(b.claim("w"))
	b.vanish("w")
	b.found()
	wantErr(t, b.finish(last), store.ErrLeaseLost)
	for death := 2; death <= 3; death++ {
		c := b.alone("alone")
		if !c.Finish || c.Deaths != death-1 || c.Attempt != 1 {
			t.Fatalf("%+v", c)
		}
		b.vanish("alone")
		b.found()
		wantEqual(t, "status", b.reload(p).Status, store.Running)
	}
	b.pauseOver()
	b.found()
	if p = b.reload(p); p.Status != store.Dead || p.Error.Code != deadly.Code {
		t.Errorf("%+v, %+v", p, p.Error)
	}
	if err := b.Upkeep.Retry(t.Context(), p.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "deaths and attempts", b.deaths(), "0 1 0 1")
}

// A process that is alive has not died of what it holds, whatever became of its lease and its connections.
func TestSuspects_LivingHolder(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(b bench)
		want string // deaths and attempts of the part, then of the last step
	}{
		"released at shutdown": {func(b bench) { wantErr(b, b.Ledger.ReleasePart(ctx(), b.claim("w")), nil) }, "0 0 0 0"},
		"failed": {func(b bench) {
			wantErr(b, b.Ledger.FailPart(ctx(), b.claim("w"), store.Failure{Code: "A"}), nil)
			b.pauseOver()
			b.claim("w")
		}, "0 2 0 0"},
		"paused, returned": {func(b bench) {
			c := b.claim("w")
			b.vanish("w")
			b.found()
			wantErr(b, b.Ledger.Acquit(ctx(), c), nil)
			b.pauseOver()
			b.claim("heir")
		}, "0 1 0 0"},
		"paused three times, returned before the verdict": {func(b bench) {
			b.claim("a")
			b.vanish("a")
			b.found()
			b.alone("b")
			b.vanish("b")
			b.found()
			c := b.alone("c")
			b.vanish("c")
			b.found()
			wantErr(b, b.Ledger.Acquit(ctx(), c), nil)
			b.alone("d")
		}, "2 1 0 0"},
		"holds still": {func(b bench) {
			c := b.claim("w")
			wantErr(b, b.Ledger.Acquit(ctx(), c), nil)
		}, "0 1 0 0"},
		"reservations without a beginning": {func(b bench) {
			b.claim("w")
			b.vanish("w")
			b.found()
			for range 5 {
				b.pauseOver()
				if c, err := b.Ledger.ReserveSuspect(ctx(), "x"); c == nil || err != nil {
					b.Fatal(c, err)
				}
				b.noSuspect()
				b.noClaim()
			}
			b.pauseOver()
			b.noClaim()
		}, "1 0 0 0"},
		"a suspect released, before and after its beginning": {func(b bench) {
			b.claim("w")
			b.vanish("w")
			b.found()
			b.pauseOver()
			c, err := b.Ledger.ReserveSuspect(ctx(), "x")
			if err != nil {
				b.Fatal(err)
			}
			wantErr(b, b.Ledger.ReleasePart(ctx(), c), nil)
			wantErr(b, b.Ledger.Begin(ctx(), c), store.ErrLeaseLost)
			c = b.alone("x")
			wantErr(b, b.Ledger.Begin(ctx(), c), store.ErrLeaseLost)
			wantErr(b, b.Ledger.PostponePart(ctx(), c, store.Postponement{}), nil)
		}, "1 0 0 0"},
		"a last step released, before and after its beginning": {func(b bench) {
			b.mustScore(b.claim("w"))
			b.vanish("w")
			b.found()
			b.pauseOver()
			c, err := b.Ledger.ReserveSuspect(ctx(), "x")
			if err != nil {
				b.Fatal(err)
			}
			wantErr(b, b.Ledger.ReleasePart(ctx(), c), nil)
			wantErr(b, b.Ledger.Begin(ctx(), c), store.ErrLeaseLost)
			wantErr(b, b.Ledger.ReleasePart(ctx(), b.alone("x")), nil)
		}, "0 1 1 0"},
		"a last step, returned": {func(b bench) {
			c := b.mustScore(b.claim("w"))
			b.vanish("w")
			b.found()
			wantErr(b, b.Ledger.Acquit(ctx(), c), nil)
		}, "0 1 0 0"},
		"a last step that was cancelled": {func(b bench) {
			c := b.mustScore(b.claim("w"))
			if _, err := b.Predictions.Cancel(ctx(), b.user.ID, c.PublicID); err != nil {
				b.Fatal(err)
			}
			if c, err := b.Ledger.ClaimFinish(ctx(), "other"); c == nil || err != nil {
				b.Fatal(c, err)
			}
		}, "0 1 0 1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, store.Config{Lease: time.Hour})
			b.upload(10)
			c.do(b)
			wantEqual(t, "deaths and attempts", b.deaths(), c.want)
		})
	}
}

// A suspect of a prediction that has ended meanwhile is not begun.
func TestSuspects_EndedPrediction(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Hour})
	p := b.upload(10, 10)
	b.claim("w")
	b.vanish("w")
	b.mustScore(b.claim("other"))
	b.pauseOver()
	c, err := b.Ledger.ReserveSuspect(t.Context(), "w")
	if c == nil || err != nil {
		t.Fatal(c, err)
	}
	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Ledger.Begin(t.Context(), c), store.ErrLeaseLost)
	wantEqual(t, "status", b.reload(p).Status, store.Cancelled)
	b.pauseOver()
	b.noSuspect()
}

// Suspects wait a part of a lease after the first death, one to two leases after others.
func TestSuspects_Pause(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Hour})
	b.upload(10)
	pause := func() float64 {
		return ask[float64](b, `SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM prediction_parts`)
	}
	b.claim("w")
	b.vanish("w")
	b.found()
	if s := pause(); s < 300 || s > 720 {
		t.Errorf("pause after the first death: %v s", s)
	}
	b.alone("w")
	b.vanish("w")
	b.found()
	if s := pause(); s < 3500 || s > 7200 {
		t.Errorf("pause after the second death: %v s", s)
	}
}

// What the operator sees: how many suspects there are.
func TestSuspects_Gauge(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Hour})
	for range 3 {
		b.upload(10)
	}
	last := b.mustScore(b.claim("w"))
	b.claim("w")
	cancelled := b.claim("w")
	b.vanish("w")
	b.found()
	for _, want := range []int64{3, 2} {
		q, err := b.Upkeep.QueueState(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "suspects", q.Suspects, want)
		if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, cancelled.PublicID); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.finish(b.alone("w")); err != nil || last == nil {
		t.Error(err)
	}
}
