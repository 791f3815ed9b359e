package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
)

func TestPredictionFromUploadToResult(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(1500, 700)
	if p.Status != store.Queued || p.Filename != "march.csv" || *p.RowCount != 2200 || p.PartsTotal != 2 ||
		p.Model.Name != "telecom" || p.Explain != "none" || string(p.Options) != `{"guard": true}` ||
		len(p.SHA256) != 32 || p.Columns[1] != "tenure" || p.Bytes != 18+220_000 {
		t.Fatalf("after upload: %+v", p)
	}
	wantEqual(t, "outbox", ask[string](b, `SELECT string_agg(public_id::text, ' ') FROM outbox`), p.ID.String())

	first := b.claim("w1")
	if first.Part != (store.Part{Planned: true, Offset: 18, Bytes: 150_000, FirstRow: 1, FirstLine: 2, Rows: 1500}) ||
		first.Attempt != 1 || first.Header.Delimiter != ';' || first.Header.Lines != 1 ||
		first.Header.Columns[0] != "customerID" || first.PublicID != p.ID || first.UserID != b.user.ID ||
		first.Model.Engine != "e1" || first.ObjectETag != `"abc"` || first.Lease != 30*time.Second || first.Finish {
		t.Fatalf("claim: %+v", first)
	}
	second := b.claim("w2")
	wantEqual(t, "part", second.Part.No, 1)
	b.noClaim()
	wantEqual(t, "upload", ask[string](b, `SELECT status FROM uploads`), "processing")

	// The second part is done first, and has a tenth of its rows rejected.
	last, err := b.score(second, func(row int64) bool { return row%10 == 3 })
	if last != nil || err != nil {
		t.Fatal(last, err)
	}
	p = b.reload(p)
	if p.Status != store.Running || p.Scored != 630 || p.Rejected != 70 || p.PartsDone != 1 ||
		p.StartedAt == nil || p.FirstResultAt == nil || p.FinishedAt != nil {
		t.Fatalf("while running: %+v", p)
	}
	last = b.mustScore(first)
	if last == nil || !last.Finish || last.PublicID != p.ID {
		t.Fatalf("last part: %+v", last)
	}
	parts, err := b.Parts(t.Context(), last)
	if err != nil || len(parts) != 2 || !parts[1].Done || parts[1].Scored != 630 || parts[0].Rows != 1500 ||
		parts[0].ResultETag != `"r"` {
		t.Fatalf("ledger: %+v, %v", parts, err)
	}
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	p = b.reload(p)
	if p.Status != store.Completed || !p.Status.Done() || p.Scored != 2130 || p.Rejected != 70 || p.FinishedAt == nil ||
		p.ResultKey != "results/"+p.ID.String()+"/1/result.csv" || p.ResultBytes != 20 || p.Error != nil ||
		string(p.Summary) != `{"mean": 0.5}` {
		t.Fatalf("completed: %+v", p)
	}
	wantEqual(t, "upload", ask[string](b, `SELECT status FROM uploads`), "completed")
	wantEqual(t, "rows", ask[string](b, `
		SELECT count(*) || ' ' || count(DISTINCT row_no) || ' ' || min(row_no) || ' ' || max(row_no)
		FROM prediction_rows`), "2130 2130 1 2200")
	wantErr(t, b.finish(last), store.ErrLeaseLost)
	b.noClaim()
}

func TestRowsMustAddUp(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(5)
	c := b.claim("w")
	_, err := b.CommitPart(t.Context(), c, store.PartResult{Scored: 3, Rejected: 1}, nil)
	wantErr(t, err, store.ErrAccounting)
	// The table itself would not have it either.
	conn := ask[string](b, `SELECT string_agg(conname, '') FROM pg_constraint WHERE conname = 'prediction_parts_accounting'`)
	wantEqual(t, "constraint", conn, "prediction_parts_accounting")
}

func TestAllRowsRejected(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(5)
	last, err := b.CommitPart(t.Context(), b.claim("w"), store.PartResult{Rejected: 5}, nil)
	if last == nil || err != nil {
		t.Fatal(last, err)
	}
	if err := b.Finish(t.Context(), last, store.Result{RejectsKey: "r", RejectsBytes: 5}); err != nil {
		t.Fatal(err)
	}
	if p = b.reload(p); p.Rejected != 5 || p.ResultKey != "" || p.RejectsBytes != 5 || p.Status != store.Completed {
		t.Errorf("%+v", p)
	}
}

func TestSameUploadTwice(t *testing.T) {
	b := newBench(t, store.Config{})
	u := newUpload(b.user.ID, 3)
	if _, err := b.CreateUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	_, err := b.CreateUpload(t.Context(), u)
	wantErr(t, err, store.ErrConflict)
	wantEqual(t, "predictions", ask[int](b, `SELECT count(*)::int FROM predictions`), 1)
	u = newUpload(b.user.ID)
	if _, err = b.CreateUpload(t.Context(), u); err == nil {
		t.Error("an upload without parts")
	}
	u = newUpload(b.user.ID+1, 3)
	if _, err = b.CreateUpload(t.Context(), u); err == nil {
		t.Error("an upload of nobody")
	}
	wantEqual(t, "uploads", ask[int](b, `SELECT count(*)::int FROM uploads`), 1)
}

// An expired lease goes to another worker, and the first one can change nothing any more.
func TestLateWorkerChangesNothing(t *testing.T) {
	b := newBench(t, store.Config{Lease: 50 * time.Millisecond})
	p := b.upload(1200)
	late := b.claim("late")
	time.Sleep(60 * time.Millisecond)
	heir := b.claim("heir")
	if heir.Epoch <= late.Epoch || heir.Attempt != 2 {
		t.Fatalf("heir: %+v", heir)
	}
	before := ask[string](b, `SELECT prediction_parts::text FROM prediction_parts`)
	_, err := b.score(late, nil)
	wantErr(t, err, store.ErrLeaseLost)
	wantErr(t, b.RenewLease(t.Context(), late), store.ErrLeaseLost)
	wantErr(t, b.ReleasePart(t.Context(), late), store.ErrLeaseLost)
	wantErr(t, b.FailPart(t.Context(), late, store.Failure{Code: "ERR-1500"}), store.ErrLeaseLost)
	wantErr(t, b.PlanPart(t.Context(), late, store.Plan{}), store.ErrLeaseLost)
	wantEqual(t, "ledger", ask[string](b, `SELECT prediction_parts::text FROM prediction_parts`), before)
	wantEqual(t, "blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
	if err := b.RenewLease(t.Context(), heir); err != nil {
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

// A late worker must not come through while the heir's commit is under way, either.
func TestFenceHoldsAgainstACommitUnderWay(t *testing.T) {
	b := newBench(t, store.Config{Lease: 50 * time.Millisecond})
	b.upload(1000)
	slow := b.claim("slow")
	rows := encode(t, slow.PredictionID, scoredRows(slow.Part, nil))
	inside, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release) // also when the test fails
	done := make(chan error, 1)
	go func() {
		_, err := b.CommitPart(context.Background(), slow, store.PartResult{Scored: 1000},
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

// gate is a reader that says when it is first read and then waits.
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

// The acknowledgement of a commit got lost: the same claim commits again and is told what it was told before.
func TestCommitAgainAfterALostAcknowledgement(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10)
	one, two := b.claim("w"), b.claim("w")
	b.mustScore(one)
	if last := b.mustScore(one); last != nil {
		t.Errorf("not the last part, but %+v", last)
	}
	first, again := b.mustScore(two), b.mustScore(two)
	if first == nil || again == nil || first.Epoch != again.Epoch || !again.Finish {
		t.Fatalf("told %+v, then %+v", first, again)
	}
	if err := b.finish(again); err != nil {
		t.Fatal(err)
	}
	if last := b.mustScore(two); last != nil {
		t.Errorf("finished already, but %+v", last)
	}
	wantEqual(t, "rows", b.reload(p).Scored, 20)
}

func TestThreeAttempts(t *testing.T) {
	b := newBench(t, store.Config{Lease: time.Millisecond})
	p := b.upload(10, 10)
	for attempt := 1; attempt <= 3; attempt++ {
		c := b.claim("crasher")
		if c.Part.No != 0 || c.Attempt != attempt {
			t.Fatalf("attempt %d: %+v", attempt, c)
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.noClaim() // buries it, and the other part with it
	p = b.reload(p)
	if p.Status != store.Dead || p.Error == nil || p.Error.Stage != "lease" || p.FinishedAt == nil {
		t.Fatalf("%+v, %+v", p, p.Error)
	}
	wantEqual(t, "upload", ask[string](b, `SELECT status FROM uploads`), "failed")
	list, err := b.Attempts(t.Context(), p.ID)
	if err != nil || len(list) != 1 || *list[0].Part != 0 || list[0].Attempt != 3 || list[0].Worker != "crasher" {
		t.Errorf("attempts: %+v, %v", list, err)
	}
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
				if err := b.FailPart(t.Context(), b.claim("w"), f); err != nil {
					t.Fatal(err)
				}
				b.noClaim()
			}
			p = b.reload(p)
			wantEqual(t, "status", p.Status, c.want)
			if p.Error != nil && p.Error.Code != c.wantError || p.Error == nil && c.wantError != "" {
				t.Errorf("error %+v", p.Error)
			}
			list, err := b.Attempts(t.Context(), p.ID)
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
		if err := b.ReleasePart(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		wantErr(t, b.ReleasePart(t.Context(), c), store.ErrLeaseLost)
		_, err := b.score(c, nil)
		wantErr(t, err, store.ErrLeaseLost)
	}
	wantEqual(t, "status", b.reload(p).Status, store.Queued)
	c, other := b.claim("w"), b.claim("w")
	if err := b.PostponePart(t.Context(), c, time.Hour, "retry in 1 h after an outage"); err != nil {
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

func TestCancel(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10, 10)
	done, open := b.claim("w"), b.claim("w")
	b.mustScore(done)
	p, err := b.Cancel(t.Context(), b.user.ID, p.ID)
	if err != nil || p.Status != store.Cancelled || p.FinishedAt == nil {
		t.Fatal(p, err)
	}
	b.noClaim()
	_, err = b.score(open, nil)
	wantErr(t, err, store.ErrLeaseLost)
	wantErr(t, b.RenewLease(t.Context(), open), store.ErrLeaseLost)
	if err := b.ReleasePart(t.Context(), open); err != nil {
		t.Error(err)
	}
	if _, err := b.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Errorf("cancelling twice: %v", err)
	}

	last, err := b.ClaimFinish(t.Context(), "w")
	if err != nil || last == nil || !last.Finish || last.PublicID != p.ID {
		t.Fatal(last, err)
	}
	if err := b.RenewLease(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if other, err := b.ClaimFinish(t.Context(), "w2"); other != nil || err != nil {
		t.Fatal(other, err)
	}
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	p = b.reload(p)
	if p.Status != store.Cancelled || p.Scored != 10 || p.ResultKey == "" {
		t.Errorf("%+v", p)
	}
	page, err := b.Rows(t.Context(), b.user.ID, p.ID, store.RowQuery{Limit: 100})
	if err != nil || len(page.Rows) != 10 {
		t.Errorf("%d rows stay readable: %v", len(page.Rows), err)
	}
}

func TestCancelRefuses(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(1)
	other, err := b.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Cancel(t.Context(), other.ID, p.ID)
	wantErr(t, err, store.ErrNotFound)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	_, err = b.Cancel(t.Context(), b.user.ID, p.ID)
	wantErr(t, err, store.ErrConflict)
	// Nothing was done yet: there is nothing to join.
	p = b.upload(1)
	if _, err = b.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if c, err := b.ClaimFinish(t.Context(), "w"); c != nil || err != nil {
		t.Error(c, err)
	}
}

// The worker that held the last step died: another takes it when the lease is over, three times at most.
func TestInterruptedFinish(t *testing.T) {
	b := newBench(t, store.Config{Lease: 30 * time.Millisecond})
	p := b.upload(10)
	last := b.mustScore(b.claim("w"))
	if c, err := b.ClaimFinish(t.Context(), "heir"); c != nil || err != nil {
		t.Fatal(c, err)
	}
	time.Sleep(40 * time.Millisecond)
	heir, err := b.ClaimFinish(t.Context(), "heir")
	if err != nil || heir == nil || heir.Attempt != 2 {
		t.Fatal(heir, err)
	}
	wantErr(t, b.finish(last), store.ErrLeaseLost)
	wantErr(t, b.RenewLease(t.Context(), last), store.ErrLeaseLost)
	wantErr(t, b.ReleasePart(t.Context(), last), store.ErrLeaseLost)
	if err := b.ReleasePart(t.Context(), heir); err != nil {
		t.Fatal(err)
	}
	heir, err = b.ClaimFinish(t.Context(), "heir")
	if err != nil || heir == nil || heir.Attempt != 2 {
		t.Fatal(heir, err)
	}
	if err := b.FailPart(t.Context(), heir, store.Failure{Code: "ERR-1502", Stage: "compose"}); err != nil {
		t.Fatal(err)
	}
	b.exec(`UPDATE predictions SET finish_lease_until = '-infinity'`)
	if heir, err = b.ClaimFinish(t.Context(), "heir"); err != nil || heir.Attempt != 3 {
		t.Fatal(heir, err)
	}
	time.Sleep(40 * time.Millisecond)
	if c, err := b.ClaimFinish(t.Context(), "heir"); c != nil || err != nil {
		t.Fatal(c, err)
	}
	p = b.reload(p)
	if p.Status != store.Dead || p.Error.Code != "ERR-1502" {
		t.Errorf("%+v %+v", p, p.Error)
	}
}

func TestFailedFinish(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10)
	last := b.mustScore(b.claim("w"))
	err := b.FailPart(t.Context(), last, store.Failure{Code: "ERR-1504", Permanent: true})
	if err != nil {
		t.Fatal(err)
	}
	if p = b.reload(p); p.Status != store.Failed || p.Error.Code != "ERR-1504" {
		t.Errorf("%+v %+v", p, p.Error)
	}
	if c, err := b.ClaimFinish(t.Context(), "w"); c != nil || err != nil {
		t.Error(c, err)
	}
	list, err := b.Attempts(t.Context(), p.ID)
	if err != nil || len(list) != 1 || list[0].Part != nil {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestDeadLettersAndRetry(t *testing.T) {
	b := newBench(t, store.Config{})
	good, bad, worse := b.upload(10), b.upload(1000, 10), b.upload(10)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	b.mustScore(b.claim("w"))
	late := b.claim("w")
	for range 2 { // bad, then worse
		c := late
		if c.PublicID != bad.ID {
			c = b.claim("w")
		}
		f := store.Failure{Code: "ERR-1500", Stage: "score", Chunk: 7, Permanent: true, Details: []byte(`{"line": 3}`)}
		if err := b.FailPart(t.Context(), c, f); err != nil {
			t.Fatal(err)
		}
		late = &store.Claim{}
	}
	list, err := b.DeadLetters(t.Context(), nil, 1)
	if err != nil || len(list) != 1 || list[0].ID != worse.ID || list[0].Error.Chunk != 7 {
		t.Fatalf("%+v, %v", list, err)
	}
	list, err = b.DeadLetters(t.Context(), list[0].Cursor(), 10)
	if err != nil || len(list) != 1 || list[0].ID != bad.ID || list[0].UserID != b.user.ID {
		t.Fatalf("%+v, %v", list, err)
	}

	wantErr(t, b.Retry(t.Context(), good.ID, store.Model{}), store.ErrConflict)
	wantErr(t, b.Retry(t.Context(), uuid.New(), store.Model{}), store.ErrNotFound)
	if err := b.Retry(t.Context(), bad.ID, store.Model{Name: "telecom", Version: "2"}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Retry(t.Context(), bad.ID, store.Model{}), store.ErrConflict)
	p := b.reload(bad)
	if p.Generation != 2 || p.Status != store.Queued || p.Model.Version != "2" || p.Model.Engine != "e1" ||
		p.Error != nil || p.PartsTotal != 2 || p.PartsDone != 0 || p.Scored != 0 {
		t.Fatalf("%+v", p)
	}
	c := b.claim("w")
	if c.Generation != 2 || c.Part.Rows != 1000 || c.Attempt != 1 {
		t.Fatalf("%+v", c)
	}
	b.mustScore(c)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "result", b.reload(bad).ResultKey, store.ResultKey(bad.ID, 2, store.ResultName))
	wantEqual(t, "rows", ask[int](b, `SELECT count(*)::int FROM prediction_rows WHERE prediction_id = $1`,
		bad.InternalID), 1010)
}

// A worker of the generation before is fenced off though the new one stands at the same epoch.
func TestOldGenerationChangesNothing(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10)
	old := b.claim("w")
	if _, err := b.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Retry(t.Context(), p.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	c := b.claim("w")
	wantEqual(t, "epoch", c.Epoch, old.Epoch)
	_, err := b.score(old, nil)
	wantErr(t, err, store.ErrLeaseLost)
	wantErr(t, b.FailPart(t.Context(), old, store.Failure{}), store.ErrLeaseLost)
	if err := b.finish(b.mustScore(c)); err != nil {
		t.Fatal(err)
	}
}

func TestTwoWorkersNeverShareAPart(t *testing.T) {
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
				c, err := b.ClaimPart(context.Background(), worker)
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
	wantEqual(t, "told to finish", finished, files)
	wantEqual(t, "completed", ask[int](b, `SELECT count(*)::int FROM predictions WHERE status = 'completed'`), files)
	wantEqual(t, "rows", ask[int](b, `
		SELECT count(DISTINCT (prediction_id, row_no))::int FROM prediction_rows`), files*parts*20)
}

func TestFailingCopyLeavesNothing(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(1500)
	c := b.claim("w")
	good := encode(t, c.PredictionID, scoredRows(c.Part, nil))
	broken := errors.New("source broke")
	for name, blocks := range map[string]*readers{
		"cut":        {parts: [][]byte{good[:len(good)-100]}},
		"source":     {parts: [][]byte{good[:100]}, err: broken},
		"garbage":    {parts: [][]byte{good, []byte("garbage")}},
		"twice":      {parts: [][]byte{good, good}},
		"NUL":        {parts: [][]byte{bytes.Replace(good, []byte("c-1"), []byte("c\x00a"), 1)}},
		"not UTF-8":  {parts: [][]byte{bytes.Replace(good, []byte("c-1"), []byte("c\xff1"), 1)}},
		"foreign id": {parts: [][]byte{encode(t, 1, []int64{1})}},
	} {
		_, err := b.CommitPart(t.Context(), c, store.PartResult{Scored: 1500}, blocks)
		if err == nil {
			t.Fatalf("%s: committed", name)
		}
		if errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("%s: the lease is fine", name)
		}
		wantEqual(t, name+": blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
		wantEqual(t, name+": part", ask[string](b, `SELECT status FROM prediction_parts`), "open")
	}
	if last := b.mustScore(c); last == nil {
		t.Error("after all that")
	}
}

// readers gives some bytes and then an error.
type readers struct {
	parts [][]byte
	err   error
}

func (r *readers) Read(p []byte) (int, error) {
	if len(r.parts) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	if r.parts[0] = r.parts[0][n:]; len(r.parts[0]) == 0 {
		r.parts = r.parts[1:]
	}
	return n, nil
}
