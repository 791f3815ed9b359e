package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

// setReadOnly makes sessions that begin from now on read-only, or not.
func setReadOnly(t *testing.T, url, on string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var sql string
	err = conn.QueryRow(context.Background(), `SELECT format('ALTER DATABASE %I SET default_transaction_read_only = %s',
		current_database(), $1::text)`, on).Scan(&sql)
	for _, statement := range []string{"SET default_transaction_read_only = off", sql} {
		if err == nil {
			_, err = conn.Exec(context.Background(), statement)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A server that is read-only, as an old primary is after a failover, refuses writes, which is an outage; as soon as new
// connections lead to one that is not, they are used, though none of the old ones broke.
func TestStore_ReconnectsAfterFailover(t *testing.T) {
	url := storetest.Postgres(t)
	const conns = 4
	config := store.Config{URL: url, ConnsMax: conns, PollInterval: 200 * time.Millisecond}
	user, err := storetest.Open(t, config).Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	setReadOnly(t, url, "on")
	s := storetest.Open(t, config)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wake := s.Ledger.Listen(ctx)
	<-wake
	write := func() error {
		_, err := s.Predictions.CreateUpload(t.Context(), newUpload(user.ID, 10))
		return err
	}
	for range conns {
		if err := write(); store.FaultOf(err) != store.FaultOutage {
			t.Fatalf("a read-only server: %v", err)
		}
		if err := s.Ready(t.Context()); store.FaultOf(err) != store.FaultOutage {
			t.Fatalf("ready: %v", err)
		}
	}
	setReadOnly(t, url, "off")
	wantWriteSoon(t, conns, write)
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	if _, open := <-wake; !open {
		t.Error("the doorbell is gone")
	}
}

// wantWriteSoon lets each connection of a pool fail once at most.
func wantWriteSoon(t *testing.T, conns int, write func() error) {
	t.Helper()
	var failed error
	for range conns + 1 {
		if failed = write(); failed == nil {
			return
		}
	}
	t.Errorf("after the failover: %v", failed)
}

// Readiness alone finds a promoted server: no write is possible while it fails.
func TestReady_PromotedServer(t *testing.T) {
	url := storetest.Postgres(t)
	setReadOnly(t, url, "on")
	s := storetest.Open(t, store.Config{URL: url, ConnsMax: 3})
	if err := s.Ready(t.Context()); err == nil {
		t.Fatal("ready")
	}
	setReadOnly(t, url, "off")
	wantWriteSoon(t, 1, func() error { return s.Ready(t.Context()) })
}

// The next claim knows for how long a part has been postponed, as long as the reason is the same.
func TestPostponePart_Postponed(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(10)
	c := b.claim("w")
	postpone := func(refused bool) {
		t.Helper()
		if err := b.Ledger.PostponePart(t.Context(), c, store.Postponement{Reason: "waiting", Refused: refused}); err != nil {
			t.Fatal(err)
		}
		b.exec(`UPDATE prediction_parts SET postponed_since = postponed_since - interval '1 hour'`)
		c = b.claim("w")
	}
	check := func(what string, hours int, refused bool) {
		t.Helper()
		if got := c.Postponed.Round(time.Hour); got != time.Duration(hours)*time.Hour || c.Refused != refused {
			t.Errorf("%s: %v, refused %v", what, c.Postponed, c.Refused)
		}
		wantEqual(t, what+", attempt", c.Attempt, 1)
	}
	check("at first", 0, false)
	postpone(false)
	check("once", 1, false)
	postpone(false)
	check("twice", 2, false)
	if err := b.Ledger.ReleasePart(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	c = b.claim("w")
	check("after a shutdown", 2, false)
	postpone(true)
	check("for another reason", 1, true)
	postpone(true)
	check("again", 2, true)
	if err := b.Ledger.FailPart(t.Context(), c, store.Failure{Code: "ERR-1102"}); err != nil {
		t.Fatal(err)
	}
	b.exec(`UPDATE prediction_parts SET lease_until = '-infinity'`)
	if c = b.claim("w"); c.Postponed != 0 || c.Refused || c.Attempt != 2 {
		t.Errorf("after a failure: %+v", c)
	}
}

// The same of a last step, which can also begin from scratch when what it should join is gone.
func TestPostponedAndRestartedFinish(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10)
	b.mustScore(b.claim("w"))
	f := b.mustScore(b.claim("w"))
	if f == nil || !f.Finish {
		t.Fatalf("%+v", f)
	}
	if err := b.Ledger.PostponePart(t.Context(), f, store.Postponement{Reason: "waiting", Refused: true}); err != nil {
		t.Fatal(err)
	}
	b.exec(`UPDATE predictions SET finish_postponed_since = finish_postponed_since - interval '1 hour'`)
	again, err := b.Ledger.ClaimFinish(t.Context(), "w")
	if err != nil || again == nil || again.Postponed.Round(time.Hour) != time.Hour || !again.Refused || again.Attempt != 1 {
		t.Fatalf("%+v, %v", again, err)
	}
	gone := store.Failure{Code: "ERR-1110", Stage: "finalizing", Message: "gone"}
	wantErr(t, b.Ledger.Restart(t.Context(), f, gone), store.ErrLeaseLost)
	if err := b.Ledger.Restart(t.Context(), again, gone); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Ledger.Restart(t.Context(), again, gone), store.ErrLeaseLost)
	p = b.reload(p)
	wantEqual(t, "status", p.Status, store.Queued)
	c := b.claim("w")
	wantEqual(t, "generation", c.Generation, 2)
	b.mustScore(c)
	f = b.mustScore(b.claim("w"))
	if f == nil || f.Postponed != 0 || f.Refused {
		t.Errorf("%+v", f)
	}
}

// What is gone of a cancelled prediction is not made again.
func TestRestartOfACancelledPrediction(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10)
	b.mustScore(b.claim("w"))
	if _, err := b.Predictions.Cancel(t.Context(), p.UserID, p.ID); err != nil {
		t.Fatal(err)
	}
	f, err := b.Ledger.ClaimFinish(t.Context(), "w")
	if err != nil || f == nil {
		t.Fatal(f, err)
	}
	if err := b.Ledger.Restart(t.Context(), f, store.Failure{Code: "ERR-1110"}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "status", b.reload(p).Status, store.Cancelled)
	if again, err := b.Ledger.ClaimFinish(t.Context(), "w"); again != nil || err != nil {
		t.Errorf("%+v, %v", again, err)
	}
	b.noClaim()
}
