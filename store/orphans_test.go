package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// strays puts objects whose id no row has.
func strays(t testing.TB, o objects.Store, n int) (keys []string) {
	t.Helper()
	for range n {
		key := objects.InputKey(store.NewID())
		storetest.PutObject(t, o, key, []byte("x"))
		keys = append(keys, key)
	}
	return keys
}

// left counts those of the keys that are still there.
func left(t testing.TB, o objects.Store, keys []string) (n int) {
	t.Helper()
	for _, key := range keys {
		if _, err := o.Head(t.Context(), key); err == nil {
			n++
		} else if !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return n
}

// Twenty objects of unknown owners go, one sweep after they were found; with one more nothing goes, not even what is
// housekeeping, until an operator has confirmed the very number.
func TestSweepOrphans_StopsOnManyUnknown(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		var log bytes.Buffer
		w := store.NewOwner(b.Store, o, slog.New(slog.NewTextHandler(&log, nil)))
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p := b.stored(o)
		few := strays(t, o, 20)
		for i, want := range []int{20, 0} {
			if _, err := w.SweepOrphans(t.Context(), 0); err != nil || left(t, o, few) != want {
				t.Fatalf("sweep %d leaves %d: %v", i, left(t, o, few), err)
			}
		}
		many, old := strays(t, o, 21), objects.ResultKey(p.ID, 1, objects.ResultName)
		b.exec(`UPDATE predictions SET generation = 2`)
		storetest.PutObject(t, o, old, []byte("of an older generation"))
		for range 3 {
			_, err := w.SweepOrphans(t.Context(), 0)
			wantErr(t, err, store.ErrSweepStopped)
		}
		wantEqual(t, "left", left(t, o, append(many, old)), 22)
		if !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("log: %s", &log)
		}
		list, err := b.Upkeep.Orphans(t.Context())
		h, failed := b.Upkeep.Housekeeping(t.Context())
		if len(list) != 22 || err != nil || failed != nil || h.Stopped == nil || h.Orphans != 21 {
			t.Errorf("%d listed, %+v, %v %v", len(list), h, err, failed)
		}
		for _, count := range []int{0, 20, 22} {
			wantErr(t, b.Upkeep.ConfirmOrphans(t.Context(), count), store.ErrConflict)
		}
		if err := b.Upkeep.ConfirmOrphans(t.Context(), 21); err != nil {
			t.Fatal(err)
		}
		more := strays(t, o, 3) // what came later is not confirmed with them
		if n, err := w.SweepOrphans(t.Context(), 0); n != 22 || err != nil || left(t, o, append(many, old)) != 0 {
			t.Errorf("%d swept: %v", n, err)
		}
		wantEqual(t, "later ones", left(t, o, more), 3)
		if list, err := b.Upkeep.Orphans(t.Context()); len(list) != 3 || err != nil {
			t.Errorf("%v, %v", list, err)
		}
	})
}

// A hundredth of what there is may be of unknown owners where that is more than twenty.
func TestSweepOrphans_UnknownShare(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	w := b.start(o)
	p := b.upload(10)
	err := objects.Parallel(t.Context(), 2500, func(ctx context.Context, i int) error { // each waits for the disk
		_, err := o.Put(ctx, objects.SnapshotKey(p.ID, 1, i), strings.NewReader(""))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	many := strays(t, o, 25)
	mustSweep(t, w)
	for _, want := range []int{25, 0} {
		if _, err := w.SweepOrphans(t.Context(), 0); err != nil || left(t, o, many) != want {
			t.Fatalf("%d left, want %d: %v", left(t, o, many), want, err)
		}
	}
	strays(t, o, 26)
	_, err = w.SweepOrphans(t.Context(), 0)
	wantErr(t, err, store.ErrSweepStopped)
}

// An object whose id the database does not know and that is newer than its newest upload: the database is an old copy,
// whatever the marks are.
func TestSweepOrphans_StopsOnNewerUnknown(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		w := b.start(o)
		kept := b.stored(o)
		stray := strays(t, o, 1)
		b.exec(`UPDATE uploads SET created_at = created_at - interval '1 day'`)
		for range 3 {
			_, err := w.SweepOrphans(t.Context(), 0)
			wantErr(t, err, store.ErrSweepStopped)
		}
		wantEqual(t, "left", left(t, o, append(stray, objects.InputKey(kept.UploadID))), 2)
		if err := b.Upkeep.ConfirmOrphans(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if n, err := w.SweepOrphans(t.Context(), 0); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A young object without a row is an upload under way: it neither goes nor stops anything, nor is it listed.
func TestSweepOrphans_KeepsUploadInProgress(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	w := b.start(o)
	young := strays(t, o, 30)
	for range 3 {
		mustSweep(t, w)
	}
	list, err := b.Upkeep.Orphans(t.Context())
	if left(t, o, young) != 30 || len(list) != 0 || err != nil {
		t.Errorf("%d left, %d listed, %v", left(t, o, young), len(list), err)
	}
}

// A stranger that got a row, or was replaced, since it was found is not deleted for what it was.
func TestSweepOrphans_ChecksAgainBeforeDelete(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	w := b.start(o)
	b.upload(10)
	found := strays(t, o, 3)
	if n, err := w.SweepOrphans(t.Context(), 0); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	u := newUpload(b.user.ID, 10)
	u.ObjectKey = found[0]
	u.ID = uuidOf(t, found[0])
	if _, err := b.Predictions.CreateUpload(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	storetest.PutObject(t, o, found[1], []byte("again"))
	for _, want := range [][]string{{found[0], found[1]}, {found[0]}} {
		if _, err := w.SweepOrphans(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		wantEqual(t, "left", fmt.Sprint(keysOf(t, o)), fmt.Sprint(want))
	}
}

// Two installations under prefixes of one bucket, and others' objects and multipart uploads beside them: each deletes its
// own only.
func TestOwner_PrefixesOfOneBucket(t *testing.T) {
	config := storetest.S3(t)
	var stores []objects.Store
	for _, prefix := range []string{"", "a/", "/a/b", "ab"} {
		config.Prefix = prefix
		o, err := objects.OpenS3(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, o)
	}
	var owners []*store.Owner
	var benches []bench
	for _, o := range stores {
		b := newBench(t, store.Config{})
		owners, benches = append(owners, b.start(o)), append(benches, b)
		p := b.stored(o)
		whole(t, o, p)
	}
	for _, w := range owners {
		strays(t, w.Objects(), 2)
	}
	for i, w := range owners {
		for sweep, want := range []int{0, 2} {
			if n, err := w.SweepOrphans(t.Context(), 0); n != want || err != nil {
				t.Errorf("store %d, sweep %d: %d, want %d: %v", i, sweep, n, want, err)
			}
		}
		if list, err := benches[i].Upkeep.Orphans(t.Context()); len(list) != 0 || err != nil {
			t.Errorf("store %d: %v, %v", i, list, err)
		}
	}
	for i, o := range stores[1:] {
		if n := len(storetest.Keys(t, o, "uploads/")); n != 1 {
			t.Errorf("store %d has %d uploads", i+1, n)
		}
	}
	config.Prefix = "../x"
	if _, err := objects.OpenS3(t.Context(), config); !errors.Is(err, objects.ErrKey) {
		t.Errorf("a prefix that is none: %v", err)
	}
}

// whole tries everything else that makes keys under a prefix.
func whole(t *testing.T, o objects.Store, p store.Prediction) {
	t.Helper()
	parts := []string{objects.PartKey(p.ID, 1, 0, objects.ResultName), objects.PartKey(p.ID, 1, 1, objects.ResultName)}
	storetest.PutObject(t, o, parts[0], storetest.Pattern(6<<20))
	storetest.PutObject(t, o, parts[1], []byte("end"))
	key := objects.ResultKey(p.ID, 1, objects.ResultName)
	if _, err := o.Compose(t.Context(), key, storetest.Sources(parts...)); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "composed", string(storetest.GetObject(t, o, key, objects.Range{Offset: 6 << 20}, "")), "end")
}
