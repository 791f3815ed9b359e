package store_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
)

// An expired lease goes to another worker, and the first one can change nothing any more.
func TestExpiredLeaseChangesNothing(t *testing.T) {
	b := newBench(t, store.Config{Lease: 500 * time.Millisecond})
	p := b.upload(1200)
	late := b.claim("late")
	b.vanish("late")
	b.noClaim() // it is a suspect
	heir := b.alone("heir")
	if heir.Epoch <= late.Epoch || heir.Attempt != 1 {
		t.Fatalf("heir: %+v", heir)
	}
	before := ask[string](b, `SELECT prediction_parts::text FROM prediction_parts`)
	_, err := b.score(late, nil)
	wantErr(t, err, store.ErrLeaseLost)
	wantErr(t, b.Ledger.RenewLease(t.Context(), late), store.ErrLeaseLost)
	wantErr(t, b.Ledger.ReleasePart(t.Context(), late), store.ErrLeaseLost)
	wantErr(t, b.Ledger.FailPart(t.Context(), late, store.Failure{Code: "ERR-1500"}), store.ErrLeaseLost)
	wantErr(t, b.Ledger.PlanPart(t.Context(), late, store.Plan{}), store.ErrLeaseLost)
	wantEqual(t, "ledger", ask[string](b, `SELECT prediction_parts::text FROM prediction_parts`), before)
	wantEqual(t, "blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
	if err := b.Ledger.RenewLease(t.Context(), heir); err != nil {
		t.Fatal(err)
	}
	last := b.mustScore(heir)
	_, err = b.score(late, nil)
	wantErr(t, err, store.ErrLeaseLost)
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rows", b.reload(p).Scored, 1200)
	wantEqual(t, "stored rows", ask[int](b, `SELECT count(DISTINCT row_no)::int FROM prediction_rows`), 1200)
}

// A late worker cannot commit while the new holder's commit is running.
func TestFence_ConcurrentCommit(t *testing.T) {
	b := newBench(t, store.Config{Lease: 50 * time.Millisecond})
	b.upload(1000)
	slow := b.claim("slow")
	rows := encode(t, slow.PredictionID, scoredRows(slow.Part, nil))
	inside, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release) // also when the test fails
	done := make(chan error, 1)
	go func() {
		_, err := b.Ledger.CommitPart(context.Background(), slow, store.PartResult{Scored: 1000},
			&gate{data: bytes.NewReader(rows), reached: inside, open: held})
		done <- err
	}()
	<-inside // its transaction holds the part's row now
	time.Sleep(60 * time.Millisecond)
	b.noClaim() // the lease is over, but the row is locked: skipped, not waited for
	release()
	if err := <-done; err != nil {
		t.Errorf("the commit that had begun in time: %v", err)
	}
	b.noClaim()
}

// gate is a reader that signals its first Read and then waits.
type gate struct {
	data    *bytes.Reader
	reached chan struct{}
	open    chan struct{}
	once    sync.Once
}

func (g *gate) Read(p []byte) (int, error) {
	g.once.Do(func() { close(g.reached) })
	<-g.open
	return g.data.Read(p)
}

// The acknowledgement of a commit got lost: the same claim commits again with the same result.
func TestCommitPart_RetryAfterLostAcknowledgement(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10)
	one, two := b.claim("w"), b.claim("w")
	b.mustScore(one)
	if last := b.mustScore(one); last != nil {
		t.Errorf("not the last part, but %+v", last)
	}
	first, again := b.mustScore(two), b.mustScore(two)
	if first == nil || again == nil || first.Epoch != again.Epoch || !again.Finish {
		t.Fatalf("returned %+v, then %+v", first, again)
	}
	if err := b.finish(again); err != nil {
		t.Fatal(err)
	}
	if last := b.mustScore(two); last != nil {
		t.Errorf("finished already, but %+v", last)
	}
	wantEqual(t, "rows", b.reload(p).Scored, 20)
}

func TestFailPart(t *testing.T) {
	for name, c := range map[string]struct {
		failures  []store.Failure
		want      store.Status
		wantError string
	}{
		"once":      {[]store.Failure{{Code: "ERR-1500"}}, store.Running, ""},
		"for good":  {[]store.Failure{{Code: "ERR-1009", Permanent: true, Stage: "cut"}}, store.Failed, "ERR-1009"},
		"three":     {[]store.Failure{{Code: "A"}, {Code: "B"}, {Code: "ERR-1501"}}, store.Dead, "ERR-1501"},
		"two, good": {[]store.Failure{{Code: "A"}, {Code: "ERR-1010", Permanent: true}}, store.Failed, "ERR-1010"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, store.Config{})
			p := b.upload(10)
			for _, f := range c.failures {
				b.exec(`UPDATE prediction_parts SET lease_until = '-infinity'`) // the rest between attempts
				if err := b.Ledger.FailPart(t.Context(), b.claim("w"), f); err != nil {
					t.Fatal(err)
				}
				b.noClaim()
			}
			p = b.reload(p)
			wantEqual(t, "status", p.Status, c.want)
			if p.Error != nil && p.Error.Code != c.wantError || p.Error == nil && c.wantError != "" {
				t.Errorf("error %+v", p.Error)
			}
			list, err := b.Upkeep.Attempts(t.Context(), p.ID)
			if err != nil || len(list) != len(c.failures) || list[0].Failure.Code != c.failures[len(list)-1].Code {
				t.Errorf("attempts %+v, %v", list, err)
			}
		})
	}
}

func TestReleaseAndPostpone(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10)
	for range 5 { // costs no attempt
		c := b.claim("w")
		wantEqual(t, "attempt", c.Attempt, 1)
		if err := b.Ledger.ReleasePart(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		wantErr(t, b.Ledger.ReleasePart(t.Context(), c), store.ErrLeaseLost)
		_, err := b.score(c, nil)
		wantErr(t, err, store.ErrLeaseLost)
	}
	wantEqual(t, "status", b.reload(p).Status, store.Queued)
	c, other := b.claim("w"), b.claim("w")
	if err := b.Ledger.PostponePart(t.Context(), c, store.Postponement{Wait: time.Hour, Reason: "retry in 1 h after an outage"}); err != nil {
		t.Fatal(err)
	}
	b.noClaim()
	p = b.reload(p)
	wantEqual(t, "status while another part is in work", p.Status, store.Running)
	wantEqual(t, "reason", p.StatusReason, "retry in 1 h after an outage")
	b.mustScore(other)
	b.exec(`UPDATE prediction_parts SET lease_until = '-infinity'`)
	b.mustScore(b.claim("w"))
}

// A worker gives its part back while another is claiming the next part of the same prediction: the prediction stays
// running, as the other's commit wants it.
func TestPostponePart_DuringClaim(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10)
	first := b.claim("first")
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := *first
	err = tx.QueryRow(t.Context(), `
		UPDATE prediction_parts SET epoch = epoch + 1, attempts = attempts + 1, worker = 'second',
		    lease_until = clock_timestamp() + interval '30 seconds'
		WHERE prediction_id = $1 AND part_no = 1
		RETURNING part_no, epoch, byte_offset, byte_length, first_row, first_line, n_rows`, p.InternalID).
		Scan(&second.Part.No, &second.Epoch, &second.Part.Offset, &second.Part.Bytes, &second.Part.FirstRow,
			&second.Part.FirstLine, &second.Part.Rows)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ledger.PostponePart(t.Context(), first, store.Postponement{Wait: time.Hour, Reason: "waiting"}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.mustScore(&second)
}

func TestClaimPart_ConcurrentWorkers(t *testing.T) {
	b := newBench(t, store.Config{ConnsMax: 16})
	const files, parts = 5, 8
	for range files {
		b.upload(slices.Repeat([]int64{20}, parts)...)
	}
	var mu sync.Mutex
	seen := map[string]string{}
	finished := 0
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			worker := fmt.Sprint("w", w)
			for {
				c, err := b.Ledger.ClaimPart(context.Background(), worker)
				if err != nil || c == nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				key := fmt.Sprint(c.PredictionID, " ", c.Part.No)
				mu.Lock()
				if other, twice := seen[key]; twice || c.Attempt != 1 {
					t.Errorf("part %s: %s and %s, attempt %d", key, other, worker, c.Attempt)
				}
				seen[key] = worker
				mu.Unlock()
				last, err := b.score(c, nil)
				if err == nil && last != nil {
					err = b.finish(last)
					mu.Lock()
					finished++
					mu.Unlock()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	wantEqual(t, "parts", len(seen), files*parts)
	wantEqual(t, "last steps returned", finished, files)
	wantEqual(t, "completed", ask[int](b, `SELECT count(*)::int FROM predictions WHERE status = 'completed'`), files)
	wantEqual(t, "rows", ask[int](b, `
		SELECT count(DISTINCT (prediction_id, row_no))::int FROM prediction_rows`), files*parts*20)
}

// A statement that began before a file was planned and ended after it sees the part with its plan and the upload without.
// What it claimed is given back and claimed again, as often as that takes. Here the upload is put right at one of the
// times when it is given back.
func TestClaimPart_DuringPlan(t *testing.T) {
	for _, stale := range []int{1, 2, 3} {
		b := newBench(t, store.Config{})
		p := b.upload(10)
		b.exec(`CREATE FUNCTION put_right() RETURNS trigger LANGUAGE plpgsql AS
			$$BEGIN UPDATE uploads SET columns = ARRAY['customerID']; RETURN NEW; END$$`)
		b.exec(fmt.Sprintf(`CREATE TRIGGER given_back AFTER UPDATE ON prediction_parts FOR EACH ROW
			WHEN (NEW.worker IS NULL AND NEW.epoch = %d) EXECUTE FUNCTION put_right()`, 2*stale))
		b.exec(`UPDATE uploads SET columns = NULL`)
		c := b.claim("w")
		if c.PublicID != p.ID || !c.Part.Planned || len(c.Header.Columns) != 1 || c.Attempt != 1 || c.Epoch != 2*stale+1 {
			t.Errorf("stale %d times: %+v", stale, c)
		}
	}
}
