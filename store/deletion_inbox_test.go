package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func TestDeleteDroppedFile(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	putAll(t, o, "inbox/user_1/a.csv", "inbox/user_1/a.csv.gz")
	file := b.droppedInto(o, "inbox/user_1/a.csv")
	p, _, err := b.Predictions.EnqueueObject(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if keys := keysOf(t, o); len(keys) != 1 || keys[0] != "inbox/user_1/a.csv.gz" {
		t.Errorf("objects %v", keys)
	}
}

// A file that is dropped under the key of a deleted one is another file: it stays, and is scored. The deleted one is not
// scored again, however late it is noticed, and whether or not its file is gone yet.
func TestDeleteDroppedFile_DroppedAgain(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	const key = "inbox/user_1/a.csv"
	putAll(t, o, key)
	first := b.droppedInto(o, key)
	p, _, err := b.Predictions.EnqueueObject(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	wantNotScored := func(when string) {
		t.Helper()
		_, created, err := b.Predictions.EnqueueObject(t.Context(), first)
		if !errors.Is(err, store.ErrNotFound) || created {
			t.Errorf("%s: created %v, %v", when, created, err)
		}
		info := objects.Info{Key: key, ETag: first.ETag, Modified: first.Modified}
		if list, err := b.Upkeep.UnrecordedObjects(t.Context(), "drop", []objects.Info{info}); len(list) != 0 || err != nil {
			t.Errorf("%s: unrecorded %v, %v", when, list, err)
		}
	}
	wantNotScored("before its file is deleted")
	storetest.PutObject(t, o, key, []byte("another"))
	second := b.droppedInto(o, key)
	info := objects.Info{Key: key, ETag: second.ETag, Modified: second.Modified}
	if list, err := b.Upkeep.UnrecordedObjects(t.Context(), "drop", []objects.Info{info}); len(list) != 1 || err != nil {
		t.Errorf("the second file is not found: %v, %v", list, err)
	}
	if _, created, err := b.Predictions.EnqueueObject(t.Context(), second); !created || err != nil {
		t.Errorf("the second file: %v, %v", created, err)
	}
	for range 3 {
		if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if keys := keysOf(t, o); len(keys) != 1 || keys[0] != key {
			t.Fatalf("objects %v", keys)
		}
		if ask[int](b, `SELECT count(*)::int FROM deletions`) > 0 {
			wantNotScored("between the sweeps")
		}
		b.exec(`UPDATE deletions SET due_at = clock_timestamp()`)
	}
}

// A late notice of a file does not bring it back, however it meets the deletion of its prediction.
func TestDeleteDroppedFile_NoticedAtOnce(t *testing.T) {
	b := newBench(t, store.Config{})
	for i := range 20 {
		file := dropped(b.user.ID)
		file.Key = fmt.Sprintf("inbox/user_1/%d.csv", i)
		p, _, err := b.Predictions.EnqueueObject(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		group.Go(func() {
			if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
				t.Error(err)
			}
		})
		for range 3 {
			group.Go(func() {
				if _, created, err := b.Predictions.EnqueueObject(t.Context(), file); created || err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("created %v, %v", created, err)
				}
			})
		}
		group.Wait()
	}
	wantEqual(t, "uploads", ask[int](b, `SELECT count(*)::int FROM uploads`), 0)
}
