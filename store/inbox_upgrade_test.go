package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/storetest"
)

// beforeUpgrade is a database of the release before the identity of dropped files changed, with a user.
func beforeUpgrade(t *testing.T) bench {
	t.Helper()
	b := bench{TB: t, url: storetest.EmptyPostgres(t)}
	if err := schema.Migrate(t.Context(), b.url, until(t, "00031")); err != nil {
		t.Fatal(err)
	}
	b.exec(`INSERT INTO users (subject) VALUES ('user_1')`)
	b.user.ID = ask[int64](b, `SELECT id FROM users`)
	return b
}

func (b *bench) upgrade() {
	b.Helper()
	if err := schema.Migrate(b.Context(), b.url, migrations.FS); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Config{URL: b.url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	b.Store = s
}

// enqueueAsBefore is what a process of the release before does: it reports whether it made a prediction.
func (b bench) enqueueAsBefore(key, version, etag string, age time.Duration) bool {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), b.url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	tag, err := conn.Exec(b.Context(), `
		WITH u AS (
		    INSERT INTO uploads (public_id, user_id, object_key, object_etag, filename, bytes,
		                         source_bucket, source_key, source_version, created_at)
		    VALUES (gen_random_uuid(), $1, $2, $4, 'a.csv', 10, 'drop', $2, $3, clock_timestamp() - $5::bigint * interval '1 second')
		    ON CONFLICT (source_bucket, source_key, source_version) DO NOTHING RETURNING id)
		INSERT INTO predictions (public_id, upload_id, user_id) SELECT gen_random_uuid(), id, $1 FROM u`,
		b.user.ID, key, version, etag, int64(age/time.Second))
	if err != nil {
		b.Fatal(err)
	}
	return tag.RowsAffected() == 1
}

func (b bench) drop(key, version, etag string, age time.Duration) store.NewObject {
	return store.NewObject{
		UserID: b.user.ID, Bucket: "drop", Key: key, Version: version, ETag: etag, Modified: time.Now().Add(-age), Bytes: 10,
	}
}

// wantEnqueued enqueues a put and lists it, as an event and a scan do.
func (b bench) wantEnqueued(what string, o store.NewObject, want bool) {
	b.Helper()
	_, created, err := b.Predictions.EnqueueObject(b.Context(), o)
	if err != nil || created != want {
		b.Errorf("%s: created %v, want %v, %v", what, created, want, err)
	}
	listed := objects.Info{Key: o.Key, ETag: o.ETag, Modified: o.Modified}
	if list, err := b.Upkeep.UnrecordedObjects(b.Context(), "drop", []objects.Info{listed}); err != nil || len(list) != 0 {
		b.Errorf("%s: asked about again with each list: %v, %v", what, list, err)
	}
}

// What a release before this recorded is not scored a second time after the upgrade, whatever notices it; what is dropped
// later is scored.
func TestUpgrade_DroppedFilesAreScoredOnce(t *testing.T) {
	b := beforeUpgrade(t)
	const day = 24 * time.Hour
	for i, r := range []struct{ version, etag string }{
		0: {`"e"`, `"e"`}, // bucket without versions, or found by a scan
		1: {"v1", `"e"`},  // an event of a bucket with versions
		2: {`"e"`, `"e"`}, // the same bytes were put again later, which nothing made a file of
	} {
		if !b.enqueueAsBefore(fmt.Sprintf("inbox/user_1/%d.csv", i), r.version, r.etag, day) {
			t.Fatal("not recorded")
		}
	}
	b.upgrade()
	b.wantEnqueued("found again", b.drop("inbox/user_1/0.csv", "", `"e"`, day+time.Minute), false)
	b.wantEnqueued("found again, clocks differ", b.drop("inbox/user_1/0.csv", "", `"e"`, day-time.Minute), false)
	b.wantEnqueued("the event after a scan", b.drop("inbox/user_1/0.csv", "v9", `"e"`, day+time.Minute), false)
	b.wantEnqueued("the event again", b.drop("inbox/user_1/1.csv", "v1", `"e"`, day+time.Minute), false)
	b.wantEnqueued("another version", b.drop("inbox/user_1/1.csv", "v2", `"e"`, day), true)
	b.wantEnqueued("put again before the upgrade", b.drop("inbox/user_1/2.csv", "", `"e"`, time.Hour), false)
	wantEqual(t, "predictions", ask[int](b, `SELECT count(*)::int FROM predictions`), 4)
	b.wantEnqueued("other bytes", b.drop("inbox/user_1/0.csv", "", `"f"`, time.Hour), true)
	b.wantEnqueued("put again after the upgrade", b.drop("inbox/user_1/2.csv", "", `"e"`, -time.Hour), true)
	b.wantEnqueued("and once more noticed", b.drop("inbox/user_1/2.csv", "", `"e"`, -time.Hour), false)
}

// Processes of both releases notice the same put, in either order and at once: it is recorded once.
func TestUpgrade_BothReleasesAtOnce(t *testing.T) {
	b := beforeUpgrade(t)
	b.upgrade()
	count := func(key string) int {
		return ask[int](b, `SELECT count(*)::int FROM uploads WHERE source_key = $1`, key)
	}
	b.wantEnqueued("new first", b.drop("inbox/user_1/new.csv", "v1", `"e"`, 0), true)
	for _, version := range []string{"v1", `"e"`} {
		if b.enqueueAsBefore("inbox/user_1/new.csv", version, `"e"`, 0) {
			t.Errorf("recorded again as %s", version)
		}
	}
	if !b.enqueueAsBefore("inbox/user_1/new.csv", "v2", `"e"`, 0) {
		t.Error("another version was not recorded")
	}
	if !b.enqueueAsBefore("inbox/user_1/old.csv", `"e"`, `"e"`, 0) {
		t.Error("a new file was not recorded")
	}
	b.wantEnqueued("old first", b.drop("inbox/user_1/old.csv", "", `"e"`, time.Second), false)
	b.wantEnqueued("put again", b.drop("inbox/user_1/old.csv", "", `"e"`, -time.Hour), true)
	for i := range 20 {
		key := fmt.Sprintf("inbox/user_1/race-%d.csv", i)
		file := b.drop(key, "", `"e"`, 0)
		var group sync.WaitGroup
		group.Go(func() { b.enqueueAsBefore(key, `"e"`, `"e"`, 0) })
		group.Go(func() {
			if _, _, err := b.Predictions.EnqueueObject(t.Context(), file); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		wantEqual(t, "uploads", count(key), 1)
	}
}
