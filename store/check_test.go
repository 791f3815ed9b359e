package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// checked lists what a check finds.
func (b bench) checked(o objects.Store, digests bool) (found []string, c store.Checked) {
	b.Helper()
	c, err := b.Upkeep.CheckObjects(b.Context(), o, digests, func(p store.Problem) {
		found = append(found, p.What+" "+p.Of+" "+p.Key)
	})
	if err != nil {
		b.Fatal(err)
	}
	slices.Sort(found)
	return found, c
}

// kept is an upload of two parts, both scored, with everything that rows then speak of.
func (b bench) kept(o objects.Store, finish bool) store.Prediction {
	b.Helper()
	u := newUpload(b.user.ID, 10, 10)
	info := storetest.PutObject(b, o, u.ObjectKey, []byte("content"))
	u.Bytes, u.SHA256 = info.Bytes, info.SHA256
	p, err := b.Predictions.CreateUpload(b.Context(), u)
	if err != nil {
		b.Fatal(err)
	}
	var last *store.Claim
	for range 2 {
		c := b.claim("w")
		storetest.PutObject(b, o, objects.PartKey(p.ID, 1, c.Part.No, objects.ResultName), []byte("0123456789"))
		last = b.mustScore(c)
	}
	b.exec(`UPDATE prediction_parts SET snapshot_bytes = 3`)
	for part := range 2 {
		storetest.PutObject(b, o, objects.SnapshotKey(p.ID, 1, part), []byte("abc"))
	}
	if !finish {
		return b.reload(p)
	}
	err = b.Ledger.Finish(b.Context(), last, store.Result{
		ResultKey: objects.ResultKey(p.ID, 1, objects.ResultName), ResultBytes: 4,
		RejectsKey: objects.ResultKey(p.ID, 1, objects.RejectsName), RejectsBytes: 2,
	})
	if err != nil {
		b.Fatal(err)
	}
	storetest.PutObject(b, o, objects.ResultKey(p.ID, 1, objects.ResultName), []byte("rows"))
	storetest.PutObject(b, o, objects.ResultKey(p.ID, 1, objects.RejectsName), []byte("no"))
	if err := objects.DeletePrefix(b.Context(), o, objects.Joined, objects.PartsPrefix(p.ID, 1)); err != nil {
		b.Fatal(err)
	}
	return b.reload(p)
}

func TestCheckObjects_MissingOrChanged(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		b.start(o)
		done, open := b.kept(o, true), b.kept(o, false)
		gone, expired := b.kept(o, true), b.kept(o, true)
		for _, p := range []store.Prediction{gone, expired} {
			if err := objects.DeletePrefix(t.Context(), o, objects.Deleted, "results/"+p.ID.String()+"/"); err != nil {
				t.Fatal(err)
			}
			if err := o.Delete(t.Context(), objects.Deleted, objects.InputKey(p.UploadID)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Predictions.Delete(t.Context(), b.user.ID, gone.ID); err != nil {
			t.Fatal(err)
		}
		b.aged(expired, 91)
		if _, err := b.Upkeep.Expire(t.Context(), 90*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		found, c := b.checked(o, true)
		if len(found) > 0 || c.Rows != 10 || c.Digests != 2 || c.Objects != 10 {
			t.Fatalf("%v, %+v", found, c)
		}
		// Each object that a row refers to, deleted and replaced by a longer one.
		recorded := map[string]string{
			objects.InputKey(done.UploadID): "upload", objects.ResultKey(done.ID, 1, objects.ResultName): "result",
			objects.ResultKey(done.ID, 1, objects.RejectsName): "rejects", objects.SnapshotKey(done.ID, 1, 0): "snapshot",
			objects.SnapshotKey(done.ID, 1, 1): "snapshot", objects.InputKey(open.UploadID): "upload",
			objects.PartKey(open.ID, 1, 0, objects.ResultName): "part", objects.PartKey(open.ID, 1, 1, objects.ResultName): "part",
			objects.SnapshotKey(open.ID, 1, 0): "snapshot", objects.SnapshotKey(open.ID, 1, 1): "snapshot",
		}
		wantEqual(t, "objects", len(recorded), len(storetest.Keys(t, o, "uploads/"))+len(storetest.Keys(t, o, "results/")))
		for key, of := range recorded {
			content := storetest.GetObject(t, o, key, objects.Range{}, "")
			if err := o.Delete(t.Context(), objects.Deleted, key); err != nil {
				t.Fatal(err)
			}
			found, _ := b.checked(o, false)
			wantEqual(t, "without "+key, strings.Join(found, "; "), "missing "+of+" "+key)
			storetest.PutObject(t, o, key, append(content, '!'))
			found, _ = b.checked(o, false)
			wantEqual(t, "longer", strings.Join(found, "; "), "size "+of+" "+key)
			storetest.PutObject(t, o, key, content)
		}
		storetest.PutObject(t, o, objects.InputKey(done.UploadID), []byte("c0ntent"))
		found, _ = b.checked(o, true)
		wantEqual(t, "changed", strings.Join(found, "; "), "digest upload "+objects.InputKey(done.UploadID))
		if found, _ = b.checked(o, false); len(found) > 0 {
			t.Errorf("without digests: %v", found)
		}
	})
}

// Objects without a row are found when their row cannot be on its way any more; what a sweep removes is none.
func TestCheckObjects_UnknownObjects(t *testing.T) {
	b, dir := newBench(t, store.Config{}), t.TempDir()
	o, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := b.kept(o, true)
	stray, young := objects.ResultKey(uuid.New(), 1, objects.ResultName), objects.InputKey(store.NewID())
	housekeeping := store.DirectKey(p.UploadID)
	putAll(t, o, stray, young, housekeeping, "other/a", "inbox/u/a.csv")
	for _, key := range []string{stray, housekeeping} {
		if err := os.Chtimes(filepath.Join(dir, key), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	found, c := b.checked(o, true)
	if fmt.Sprint(found) != "[unknown  "+stray+"]" || c.NotNeeded != 1 {
		t.Errorf("%q, %+v", found, c)
	}
	before := keysOf(t, o)
	if slices.Sort(before); len(before) != 10 {
		t.Errorf("a check changes nothing: %v", before)
	}
	if _, _, err := objects.ReadMark(t.Context(), o); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("mark: %v", err)
	}
}

// A dropped file that was overwritten is the version that was recorded, as long as the bucket keeps it.
func TestCheckObjects_DroppedVersion(t *testing.T) {
	b := newBench(t, store.Config{})
	o, err := objects.OpenS3(t.Context(), storetest.VersionedS3(t))
	if err != nil {
		t.Fatal(err)
	}
	storetest.PutObject(t, o, "inbox/user_1/a.csv", []byte("recorded"))
	file := b.droppedInto(o, "inbox/user_1/a.csv")
	storetest.PutObject(t, o, "inbox/user_1/a.csv", []byte("put in its place"))
	if _, _, err := b.Predictions.EnqueueObject(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if found, c := b.checked(o, true); len(found) != 0 || c.Rows != 1 {
		t.Errorf("%+v, %v", c, found)
	}
	b.exec(`UPDATE uploads SET object_version = ''`) // what a check without the version finds
	if found, _ := b.checked(o, true); !slices.Equal(found, []string{"size upload inbox/…"}) {
		t.Errorf("%v", found)
	}
}
