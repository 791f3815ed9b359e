package store_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// owner makes a database the owner of a store.
func (b bench) owner(o objects.Store) *store.Owner {
	b.Helper()
	w := store.NewOwner(b.Store, o, nil)
	if _, err := w.Adopt(b.Context()); err != nil {
		b.Fatal(err)
	}
	return w
}

// onBothOwned runs a test on a fresh database with a directory and with a bucket.
func onBothOwned(t *testing.T, test func(t *testing.T, b bench, o objects.Store)) {
	t.Helper()
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) { test(t, newBench(t, store.Config{}), o) })
}

// start is what a process does at its start.
func (b bench) start(o objects.Store) *store.Owner {
	b.Helper()
	w := store.NewOwner(b.Store, o, nil)
	if err := w.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return w
}

// restored gives a database that was restored from a dump.
func (b bench) restored(t *testing.T) bench {
	t.Helper()
	url := storetest.RestoredDump(t, b.url)
	return bench{TB: t, Store: storetest.Open(t, store.Config{URL: url}), url: url, user: b.user}
}

// stored is an upload whose file is there.
func (b bench) stored(o objects.Store) store.Prediction {
	b.Helper()
	u := newUpload(b.user.ID, 10)
	u.Bytes = int64(len("content"))
	storetest.PutObject(b, o, u.ObjectKey, []byte("content"))
	p, err := b.Predictions.CreateUpload(b.Context(), u)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func wantState(t testing.TB, w *store.Owner, want store.Ownership) {
	t.Helper()
	if got, err := w.Check(t.Context()); got != want || w.Last() != want || err != nil {
		t.Errorf("state %s (%s), want %s: %v", got, w.Last(), want, err)
	}
}

// wantDeletes tries whether objects are deleted, by a request, by prefix, and by the sweep of interrupted writes.
func wantDeletes(t testing.TB, w *store.Owner, want bool) {
	t.Helper()
	o, id := w.Objects(), store.NewID()
	storetest.PutObject(t, store.Unguarded(w), objects.InputKey(id), []byte("x"))
	for what, err := range map[string]error{
		"delete":        o.Delete(t.Context(), objects.Deleted, objects.InputKey(id)),
		"delete prefix": objects.DeletePrefix(t.Context(), o, objects.Deleted, objects.InputKey(id)),
	} {
		if what == "delete prefix" && want {
			continue // nothing is left
		}
		if errors.Is(err, store.ErrNotOwner) == want || want && err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := o.Head(t.Context(), objects.InputKey(id)); errors.Is(err, store.ErrNotFound) != want {
		t.Errorf("the object: %v", err)
	}
	if !want {
		_, err := w.SweepOrphans(t.Context(), 0)
		wantErr(t, err, store.ErrNotOwner)
	}
}

func mustSweep(t testing.TB, w *store.Owner) {
	t.Helper()
	if _, err := w.SweepOrphans(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
}

// A new database and an empty store get to know each other, however many processes start at once.
func TestNewInstallation(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				w := store.NewOwner(b.Store, o, nil)
				if err := w.Start(ctx()); err != nil || w.Last() != store.Owned {
					t.Errorf("%s, %v", w.Last(), err)
				}
			})
		}
		group.Wait()
		have, err := b.Upkeep.Mark(t.Context())
		inStore, _, failed := objects.ReadMark(t.Context(), o)
		if err != nil || failed != nil || have != inStore || have.Installation == uuid.Nil {
			t.Errorf("database %+v %v, store %+v %v", have, err, inStore, failed)
		}
		wantDeletes(t, b.start(o), true)
	})
}

// Another database on the same store: neither does it start, nor can it delete, and it leaves the mark as it was.
func TestOwner_OtherInstallation(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		w := b.start(o)
		mustSweep(t, w)
		was, _, _ := objects.ReadMark(t.Context(), o)
		fresh, other := newBench(t, store.Config{}), newBench(t, store.Config{})
		other.start(directory(t))
		for name, stranger := range map[string]bench{"without a mark": fresh, "of another store": other} {
			theirs := store.NewOwner(stranger.Store, o, nil)
			err := theirs.Start(t.Context())
			var e *store.StrangerError
			if !errors.As(err, &e) || e.Store != was.Installation || !strings.Contains(err.Error(), "millrace store adopt") ||
				!strings.Contains(err.Error(), was.Installation.String()) {
				t.Errorf("%s: %v", name, err)
			}
			if have, err := stranger.Upkeep.Mark(t.Context()); err == nil && !strings.Contains(e.Error(), have.Installation.String()) {
				t.Errorf("%s: %v does not name %s", name, e, have.Installation)
			}
			wantDeletes(t, theirs, false)
		}
		now, _, err := objects.ReadMark(t.Context(), o)
		wantEqual(t, "mark", now, was)
		wantDeletes(t, w, true)
		if err != nil {
			t.Error(err)
		}
	})
}

// A database that knows its store must not go on with an empty one either: a mistyped prefix, a wrong directory.
func TestStoreWithoutMark(t *testing.T) {
	b := newBench(t, store.Config{})
	mustSweep(t, b.start(directory(t)))
	var e *store.StrangerError
	if err := store.NewOwner(b.Store, directory(t), nil).Start(t.Context()); !errors.As(err, &e) || e.Store != uuid.Nil {
		t.Errorf("%v", err)
	}
}

// A dump that is restored and started while, or after, the original went on: it deletes nothing, and as it is
// unknown which of the two is right, the other does not either. Adopting decides.
func TestRestoredDump(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		w := b.start(o)
		p := b.stored(o)
		mustSweep(t, w)
		dump := b.restored(t)
		mustSweep(t, w)
		late := b.stored(o)
		theirs := dump.start(o) // it starts
		wantState(t, theirs, store.Copy)
		wantDeletes(t, theirs, false)
		wantState(t, w, store.Disputed)
		wantDeletes(t, w, false)
		if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
			t.Fatal(err)
		}
		wantErr(t, b.Upkeep.SweepDeletions(t.Context(), w.Objects()), store.ErrNotOwner)
		h, err := b.Upkeep.Housekeeping(t.Context())
		if err != nil || h.Deletions != 1 {
			t.Errorf("waiting %+v, %v", h, err)
		}

		a, err := w.Adopt(t.Context())
		if err != nil || a.State != store.Disputed || a.Now.Installation == a.Database.Installation {
			t.Errorf("%+v, %v", a, err)
		}
		wantState(t, w, store.Owned)
		if err := b.Upkeep.SweepDeletions(t.Context(), w.Objects()); err != nil {
			t.Error(err)
		}
		_, err = o.Head(t.Context(), objects.InputKey(p.UploadID))
		wantErr(t, err, store.ErrNotFound)
		if _, err := o.Head(t.Context(), objects.InputKey(late.UploadID)); err != nil {
			t.Error(err)
		}
		wantState(t, theirs, store.Stranger)
		wantDeletes(t, theirs, false)
	})
}

// A clone that was taken after the last sweep has counted as far as the original, and may sweep first.
func TestOwner_CloneWithSameSweepCount(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		w := b.start(o)
		kept := b.stored(o)
		mustSweep(t, w)
		clone := b.restored(t)
		theirs := clone.start(o)
		wantState(t, theirs, store.Owned) // the two cannot be distinguished
		mustSweep(t, theirs)
		wantState(t, w, store.Copy) // the original finds itself behind …
		wantDeletes(t, w, false)
		wantState(t, theirs, store.Disputed) // … and the clone is stopped
		wantDeletes(t, theirs, false)
		if _, err := w.Adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantDeletes(t, w, true)
		wantState(t, theirs, store.Stranger)
		if _, err := o.Head(t.Context(), objects.InputKey(kept.UploadID)); err != nil {
			t.Error(err)
		}
	})
}

// Two installations with one id that count the same sweep at the same moment: at most one goes on, and both stop when
// they look again.
func TestOwner_ClonesSweepConcurrently(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		w := b.start(o)
		mustSweep(t, w)
		clone := b.restored(t)
		theirs := clone.start(o)
		var group sync.WaitGroup
		var errs [2]error
		for i, one := range []*store.Owner{w, theirs} {
			group.Go(func() { _, errs[i] = one.SweepOrphans(ctx(), time.Hour) })
		}
		group.Wait()
		if errs[0] == nil && errs[1] == nil {
			ours, _ := b.Upkeep.Mark(t.Context())
			other, _ := clone.Upkeep.Mark(t.Context())
			// Else one swept behind the other's back; and not every server compares and writes in one step.
			if ours.Sweeps == other.Sweeps && strings.Contains(t.Name(), "directory") {
				t.Errorf("both swept as number %d", ours.Sweeps)
			}
		}
		for range 2 {
			for _, one := range []*store.Owner{w, theirs} {
				if _, err := one.Check(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		wantDeletes(t, w, false)
		wantDeletes(t, theirs, false)
	})
}

// A standby that is promoted knows what the primary counted, and a process may end between the two counters.
func TestFailover(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		w := b.start(o)
		mustSweep(t, w)
		standby := b.restored(t)
		promoted := standby.start(o)
		wantDeletes(t, promoted, true)
		for range 3 {
			mustSweep(t, promoted)
		}
		standby.exec(`UPDATE installation SET sweeps = sweeps + 1, sweep = gen_random_uuid()`) // and then it died
		again := standby.start(o)
		wantDeletes(t, again, true)
		counted, _ := standby.Upkeep.Mark(t.Context())
		mustSweep(t, again)
		now, _, err := objects.ReadMark(t.Context(), o)
		wantEqual(t, "sweep", now, counted)
		mustSweep(t, again)
		if err != nil {
			t.Error(err)
		}
		// An old copy of the store: what it lacks must not be taken for deleted.
		old := now
		old.Sweeps -= 3
		storetest.PutObject(t, o, objects.MarkKey, []byte(`{"installation":"`+old.Installation.String()+`","sweeps":0,"sweep":"`+
			old.Sweep.String()+`"}`))
		wantState(t, again, store.Copy)
	})
}

// An installation from before there were marks adopts its store if it is empty or holds what was recorded last.
func TestUpgrade(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		for range 7 {
			b.stored(o)
		}
		storetest.PutObject(t, o, objects.InputKey(store.NewID()), []byte("an orphan"))
		fresh := newBench(t, store.Config{})
		var e *store.StrangerError
		if err := store.NewOwner(fresh.Store, o, nil).Start(t.Context()); !errors.As(err, &e) {
			t.Errorf("a fresh database: %v", err)
		}
		other := newBench(t, store.Config{})
		other.upload(10)
		if err := store.NewOwner(other.Store, o, nil).Start(t.Context()); !errors.As(err, &e) {
			t.Errorf("another installation: %v", err)
		}
		_, _, err := objects.ReadMark(t.Context(), o)
		wantErr(t, err, store.ErrNotFound)
		stale := b.restored(t)
		gone := b.stored(o)
		if err := o.Delete(t.Context(), objects.Deleted, objects.InputKey(gone.UploadID)); err != nil {
			t.Fatal(err)
		}
		if err := store.NewOwner(b.Store, o, nil).Start(t.Context()); !errors.As(err, &e) {
			t.Errorf("with its newest object missing: %v", err)
		}
		storetest.PutObject(t, o, objects.InputKey(gone.UploadID), []byte("content"))
		wantDeletes(t, b.start(o), true)
		if err := store.NewOwner(stale.Store, o, nil).Start(t.Context()); !errors.As(err, &e) {
			t.Errorf("a dump from before: %v", err)
		}
	})
}

// An upgraded database whose store is empty, because everything was deleted or it is a new one.
func TestUpgradeOfEmptyStore(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		b.upload(10)
		storetest.PutObject(t, o, "inbox/u/a.csv", []byte("others'"))
		wantDeletes(t, b.start(o), true)
	})
}

// A process whose login is for requests alone cannot see what was recorded: it starts, and leaves the mark to a worker.
func TestOwner_APIRoleDoesNotMark(t *testing.T) {
	url := storetest.Postgres(t)
	api, loader := storetest.Logins(url)
	requests, o := storetest.Open(t, store.Config{URL: api}), directory(t)
	w := store.NewOwner(requests, o, nil)
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, w, store.Unmarked)
	work := store.NewOwner(storetest.Open(t, store.Config{URL: loader}), o, nil)
	if err := work.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDeletes(t, w, true)
	mustSweep(t, work)
	wantDeletes(t, w, true)
}

// A store that cannot be asked is no reason not to start, and nothing is deleted before it can be.
func TestOwner_StoreDownAtStart(t *testing.T) {
	config := storetest.S3(t)
	p, through := storetest.NewProxy(t, config.Endpoint)
	config.Endpoint = through
	o, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, store.Config{})
	p.Cut()
	w := b.start(o)
	wantEqual(t, "state", w.Last(), store.Unknown)
	if err := o.Delete(t.Context(), objects.Deleted, "uploads/a"); err == nil {
		t.Error("deleted")
	}
	config.Bucket += "-mistyped"
	if err := p.Restore(); err != nil {
		t.Fatal(err)
	}
	if o, err = objects.OpenS3(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	wantErr(t, store.NewOwner(b.Store, o, nil).Start(t.Context()), objects.ErrNoBucket)
}

// uuidOf is the id in the key of an upload.
func uuidOf(t testing.TB, key string) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(strings.Split(key, "/")[1])
	if err != nil {
		t.Fatal(err)
	}
	return id
}
