package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// digestOf is a digest as a model has one.
func modelDigest(n int) string { return fmt.Sprintf("%064x", n) }

// keepModel stores an archive of a model, as a process does that has the bundle, and returns its row.
func (b bench) keepModel(o objects.Store, digest string) models.Model {
	b.Helper()
	m, err := b.Models.Note(ctx(), digest, "telecom", "1")
	if err != nil {
		b.Fatal(err)
	}
	if !m.Kept() {
		info, err := o.Put(ctx(), objects.ModelKey(digest), strings.NewReader("archive of "+digest))
		if err != nil {
			b.Fatal(err)
		}
		if err := b.Models.Keep(ctx(), m, info); err != nil {
			b.Fatal(err)
		}
	}
	if m, err = b.Models.Find(ctx(), digest); err != nil {
		b.Fatal(err)
	}
	return m
}

// accept records an upload whose prediction names a model.
func (b bench) accept(digest string) (store.Prediction, error) {
	u := newUpload(b.user.ID, 10)
	u.Model.SHA256 = digest
	return b.Predictions.CreateUpload(ctx(), u)
}

func (b bench) mustAccept(digest string) store.Prediction {
	b.Helper()
	p, err := b.accept(digest)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b bench) model(digest string) models.Model {
	b.Helper()
	m, err := b.Models.Find(ctx(), digest)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func (b bench) sweepModels(grace time.Duration) int {
	b.Helper()
	n, err := b.Models.Sweep(ctx(), grace)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// A prediction may name a model that is kept; one that is known and not kept, or withdrawn, may not be named.
func TestModels_Pin(t *testing.T) {
	b := newBench(t, store.Config{})
	o := openDir(t)
	if _, err := b.Models.Find(ctx(), modelDigest(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown model: %v", err)
	}
	b.mustAccept(modelDigest(1)) // by a process of an earlier version
	if _, err := b.Models.Note(ctx(), modelDigest(2), "telecom", "1"); err != nil {
		t.Fatal(err)
	}
	_, err := b.accept(modelDigest(2))
	wantErr(t, err, models.ErrNotKept)
	kept := b.keepModel(o, modelDigest(2))
	b.mustAccept(modelDigest(2))
	if err := b.Models.MarkDamaged(ctx(), kept); err != nil {
		t.Fatal(err)
	}
	_, err = b.accept(modelDigest(2))
	wantErr(t, err, models.ErrNotKept)
	if again := b.keepModel(o, modelDigest(2)); again.Key == kept.Key || again.Damaged {
		t.Errorf("stored again: %+v", again)
	}
	b.mustAccept(modelDigest(2))
	if _, err := b.Upkeep.WithdrawModel(ctx(), modelDigest(2), store.Failure{Code: "ERR-1702"}); err != nil {
		t.Fatal(err)
	}
	_, err = b.accept(modelDigest(2))
	wantErr(t, err, models.ErrWithdrawn)
}

// Of two processes that store a model at the same time, one archive is the kept one.
func TestModels_KeepTwice(t *testing.T) {
	b := newBench(t, store.Config{})
	o := openDir(t)
	m, err := b.Models.Note(ctx(), modelDigest(1), "telecom", "1")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		info, err := o.Put(ctx(), objects.ModelKey(modelDigest(1)), strings.NewReader("archive"))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Models.Keep(ctx(), m, info); err != nil {
			t.Fatal(err)
		}
	}
	first := b.model(modelDigest(1)).Key
	if keys := storetest.Keys(t, o, objects.ModelsPrefix); len(keys) != 2 || first != keys[0] && first != keys[1] {
		t.Errorf("%s of %v", first, keys)
	}
}

// A sweep gives up what nothing names, after the time of grace, and nothing else: not the model of a prediction that
// waits, runs, has ended, or has a report of outcomes.
func TestModels_Sweep(t *testing.T) {
	b := newBench(t, store.Config{})
	o := openDir(t)
	states := map[string]func(p store.Prediction){
		"waiting": func(store.Prediction) {},
		"completed": func(p store.Prediction) {
			b.exec(`UPDATE predictions SET status = 'completed', finished_at = now() WHERE public_id = $1`, p.ID)
		},
		"failed": func(p store.Prediction) {
			b.exec(`UPDATE predictions SET status = 'failed', finished_at = now() WHERE public_id = $1`, p.ID)
		},
		"reported": func(p store.Prediction) {
			b.exec(`INSERT INTO outcome_reports (user_id, model_name, model_sha256, model_version, report)
				SELECT user_id, model_name, model_sha256, model_version, '{}' FROM predictions WHERE public_id = $1`, p.ID)
			b.exec(`UPDATE predictions SET results_deleted_at = now() WHERE public_id = $1`, p.ID)
		},
	}
	n := 0
	named := map[string]string{}
	for state, set := range states {
		n++
		b.keepModel(o, modelDigest(n))
		set(b.mustAccept(modelDigest(n)))
		named[state] = modelDigest(n)
	}
	expired, deleted, never := modelDigest(50), modelDigest(51), modelDigest(52)
	for _, digest := range []string{expired, deleted, never} {
		b.keepModel(o, digest)
	}
	p := b.mustAccept(expired)
	b.exec(`UPDATE predictions SET results_deleted_at = now() WHERE public_id = $1`, p.ID)
	p = b.mustAccept(deleted)
	if err := b.Predictions.Delete(ctx(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if n := b.sweepModels(time.Hour); n != 0 {
		t.Errorf("%d given up within the time of grace", n)
	}
	if n := b.sweepModels(0); n != 3 {
		t.Errorf("%d given up", n)
	}
	for state, digest := range named {
		if !b.model(digest).Kept() {
			t.Errorf("the model of a prediction that is %s was given up", state)
		}
	}
	for _, digest := range []string{expired, deleted, never} {
		if b.model(digest).Key != "" {
			t.Errorf("%s is still kept", digest)
		}
	}
	// What is named again in time is kept.
	b.keepModel(o, never)
	b.sweepModels(time.Hour)
	b.mustAccept(never)
	if n := b.sweepModels(0); n != 0 || !b.model(never).Kept() {
		t.Errorf("%d given up", n)
	}
}

// A sweep that has found nothing to name a model waits for a transaction that is about to, and then leaves the model.
func TestModels_SweepWaitsForPin(t *testing.T) {
	b := newBench(t, store.Config{})
	b.keepModel(openDir(t), modelDigest(1))
	p := b.mustAccept(modelDigest(1))
	b.exec(`UPDATE predictions SET results_deleted_at = now() WHERE public_id = $1`, p.ID)
	b.sweepModels(time.Hour) // notes that nothing names it
	conn, err := pgx.Connect(ctx(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	var sweep sync.WaitGroup
	err = pgx.BeginFunc(ctx(), conn, func(tx pgx.Tx) error {
		if err := models.Pin(ctx(), tx, modelDigest(1)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx(), `UPDATE predictions SET results_deleted_at = NULL WHERE public_id = $1`, p.ID)
		if err != nil {
			return err
		}
		sweep.Go(func() {
			if n := b.sweepModels(0); n != 0 {
				t.Errorf("%d given up", n)
			}
		})
		for ask[int](b, `SELECT count(*) FROM pg_locks WHERE NOT granted`) == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	})
	if sweep.Wait(); err != nil {
		t.Fatal(err)
	}
	if !b.model(modelDigest(1)).Kept() {
		t.Error("a model that is named was given up")
	}
}

// Predictions are accepted while sweeps run without a time of grace: a model that one names is always kept.
func TestModels_SweepWhileAccepting(t *testing.T) {
	b := newBench(t, store.Config{})
	o := openDir(t)
	done, stop := context.WithCancel(ctx())
	var sweeps, processes sync.WaitGroup
	for range 2 {
		sweeps.Go(func() {
			for done.Err() == nil {
				if _, err := b.Models.Sweep(ctx(), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	refused := 0
	var mu sync.Mutex
	for seed := range uint64(4) {
		processes.Go(func() {
			random := rand.New(rand.NewPCG(19, seed))
			for range 60 {
				digest := modelDigest(random.IntN(5))
				for {
					b.keepModel(o, digest)
					p, err := b.accept(digest)
					if errors.Is(err, models.ErrNotKept) {
						mu.Lock()
						refused++
						mu.Unlock()
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if !b.model(digest).Kept() {
						t.Errorf("the model of a prediction is not kept")
					}
					if err := b.Predictions.Delete(ctx(), b.user.ID, p.ID); err != nil {
						t.Error(err)
					}
					break
				}
			}
		})
	}
	processes.Wait()
	stop()
	sweeps.Wait()
	t.Logf("refused %d times because a sweep was faster", refused)
}

// The sweep of orphans leaves the archives of kept models, and deletes those that were given up or never recorded.
func TestSweepOrphans_Models(t *testing.T) {
	b := newBench(t, store.Config{})
	eachStore := func(t *testing.T, o objects.Store) {
		b := b
		b.TB = t
		b.exec(`DELETE FROM models`)
		b.exec(`DELETE FROM predictions`)
		owner := store.NewOwner(b.Store, o, nil)
		if _, err := owner.Adopt(ctx()); err != nil {
			t.Fatal(err)
		}
		kept := b.keepModel(o, modelDigest(1))
		b.mustAccept(modelDigest(1))
		gone := b.keepModel(o, modelDigest(2))
		if n := b.sweepModels(0); n != 1 {
			t.Fatalf("%d given up", n)
		}
		lost := objects.ModelKey(modelDigest(1)) // of a process that was killed before it recorded it
		storetest.PutObject(t, o, lost, []byte("archive"))
		unknown := objects.ModelKey(modelDigest(3)) // of another database
		storetest.PutObject(t, o, unknown, []byte("archive"))
		time.Sleep(10 * time.Millisecond)
		if _, err := owner.SweepOrphans(ctx(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if got := storetest.Keys(t, o, objects.ModelsPrefix); len(got) != 2 || !slices.Contains(got, kept.Key) || !slices.Contains(got, unknown) {
			t.Errorf("left %v; kept %s, given up %s, unknown %s", got, kept.Key, gone.Key, unknown)
		}
	}
	storetest.EachObjectStore(t, eachStore)
}

// A check finds archives that are missing or changed.
func TestCheckObjects_Models(t *testing.T) {
	b := newBench(t, store.Config{})
	o := openDir(t)
	b.keepModel(o, modelDigest(1))
	changed, missing := b.keepModel(o, modelDigest(2)), b.keepModel(o, modelDigest(3))
	storetest.PutObject(t, o, changed.Key, []byte("Archive of "+modelDigest(2)))
	if err := o.Delete(ctx(), objects.NotNeeded, missing.Key); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	c, err := b.Upkeep.CheckObjects(ctx(), o, true, func(p store.Problem) { found[p.Key] = p.Of + " " + p.What })
	if err != nil || c.Rows != 3 || c.Digests != 3 || len(found) != 2 || found[changed.Key] != "model digest" ||
		found[missing.Key] != "model missing" {
		t.Errorf("%+v %v %v", c, found, err)
	}
}

// A withdrawn model ends what waits for it and what runs, and no retry brings it back.
func TestWithdrawModel(t *testing.T) {
	b := newBench(t, store.Config{})
	o := openDir(t)
	b.keepModel(o, modelDigest(1))
	b.keepModel(o, modelDigest(2))
	waits, runs, other := b.mustAccept(modelDigest(1)), b.mustAccept(modelDigest(1)), b.mustAccept(modelDigest(2))
	c := b.claim("w")
	f := store.Failure{Code: "ERR-1702", Message: "withdrawn", Permanent: true}
	if n, err := b.Upkeep.WithdrawModel(ctx(), modelDigest(1), f); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, p := range []store.Prediction{waits, runs} {
		p = b.reload(p)
		wantEqual(t, "status", p.Status, store.Failed)
		if p.Error == nil || p.Error.Code != "ERR-1702" || p.FinishedAt == nil {
			t.Errorf("%+v", p.Error)
		}
		wantErr(t, b.Upkeep.Retry(ctx(), p.ID, store.Model{}), models.ErrWithdrawn)
	}
	wantErr(t, b.Ledger.RenewLease(ctx(), c), store.ErrLeaseLost)
	wantEqual(t, "the other's status", b.reload(other).Status, store.Queued)
	if n, err := b.Upkeep.WithdrawModel(ctx(), modelDigest(1), f); n != 0 || err != nil {
		t.Errorf("again: %d %v", n, err)
	}
	_, err := b.Upkeep.WithdrawModel(ctx(), modelDigest(9), f)
	wantErr(t, err, store.ErrNotFound)
}

// Wanted are models that something names and that are not kept.
func TestModels_Wanted(t *testing.T) {
	b := newBench(t, store.Config{})
	o := openDir(t)
	b.mustAccept(modelDigest(1)) // never stored
	damaged := b.keepModel(o, modelDigest(2))
	b.mustAccept(modelDigest(2))
	if err := b.Models.MarkDamaged(ctx(), damaged); err != nil {
		t.Fatal(err)
	}
	b.keepModel(o, modelDigest(3))
	b.mustAccept(modelDigest(3))
	list, err := b.Models.Wanted(ctx(), []string{modelDigest(1), modelDigest(2), modelDigest(3), modelDigest(4)})
	if err != nil || len(list) != 2 || !slices.Contains(list, modelDigest(1)) || !slices.Contains(list, modelDigest(2)) {
		t.Errorf("%v %v", list, err)
	}
}

func openDir(t *testing.T) objects.Store {
	t.Helper()
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return o
}
