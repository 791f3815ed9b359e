package store_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func digestOf(text string) objects.Digest {
	d := objects.NewDigester()
	_, _ = d.Write([]byte(text))
	return d.Sum(nil)
}

// partResult is the result of a part that has all objects, with digests made of a name.
func partResult(c *store.Claim, name string) store.PartResult {
	return store.PartResult{
		Scored: c.Part.Rows, ResultBytes: 10, RejectsBytes: 3, SnapshotBytes: 3, Summary: []byte(`{}`),
		ResultDigest: digestOf(name), RejectsDigest: digestOf(name + "r"), SnapshotDigest: digestOf(name + "s"),
		ResultSHA256: bytes.Repeat([]byte(name[:1]), 32), RejectsSHA256: bytes.Repeat([]byte("r"), 32),
	}
}

// What was recorded of the stored bytes is there wherever they are read again: at a claim, also of a run from scratch, at
// the last step, at a download, and at the comparison with the next upload.
func TestDigests_AreWhereObjectsAreRead(t *testing.T) {
	b := newBench(t, store.Config{})
	u := newUpload(b.user.ID, 10, 10)
	u.Parts[0].Digest, u.Parts[1].Digest = digestOf("first"), digestOf("second")
	p, err := b.Predictions.CreateUpload(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	var last *store.Claim
	for _, name := range []string{"first", "second"} {
		c := b.claim("w")
		wantEqual(t, "claim", string(c.Part.Digest), string(digestOf(name)))
		if last, err = b.Ledger.CommitPart(t.Context(), c, partResult(c, name), bytes.NewReader(nil)); err != nil {
			t.Fatal(err)
		}
	}
	parts, err := b.Ledger.Parts(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"first", "second"} {
		r := partResult(&store.Claim{}, name)
		for what, pair := range map[string][2][]byte{
			"input": {parts[i].Part.Digest, digestOf(name)}, "result": {parts[i].ResultDigest, r.ResultDigest},
			"rejects": {parts[i].RejectsDigest, r.RejectsDigest}, "snapshot": {parts[i].SnapshotDigest, r.SnapshotDigest},
			"sha256": {parts[i].ResultSHA256, r.ResultSHA256}, "sha256 of rejects": {parts[i].RejectsSHA256, r.RejectsSHA256},
		} {
			wantEqual(t, what, string(pair[0]), string(pair[1]))
		}
	}
	result := store.Result{
		ResultKey: "results/a", ResultETag: `"x"`, RejectsKey: "results/b",
		ResultDigest: digestOf("whole"), RejectsDigest: digestOf("rejects"), RejectsSHA256: bytes.Repeat([]byte("j"), 32),
	}
	if err := b.Ledger.Finish(t.Context(), last, result); err != nil {
		t.Fatal(err)
	}
	b.wantFile(p, objects.ResultName, store.File{Key: "results/a", ETag: `"x"`, Digest: digestOf("whole")})
	b.wantFile(p, objects.RejectsName, store.File{Key: "results/b", Digest: digestOf("rejects"), SHA256: result.RejectsSHA256})

	b.upload(5)
	c := b.claim("w")
	previous, err := b.Ledger.Previous(t.Context(), c)
	if err != nil || len(previous.Snapshots) != 2 || previous.Snapshots[1].Part != 1 ||
		!bytes.Equal(previous.Snapshots[1].Digest, digestOf("seconds")) {
		t.Errorf("%+v: %v", previous, err)
	}
	if err := b.finish(b.mustScore(c)); err != nil {
		t.Fatal(err)
	}

	b.exec(`UPDATE predictions SET status = 'dead' WHERE public_id = $1`, p.ID)
	if err := b.Upkeep.Retry(t.Context(), p.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "the second run", string(b.claim("w").Part.Digest), string(digestOf("first")))
	_, err = b.Predictions.File(t.Context(), b.reload(p), objects.ResultName)
	wantErr(t, err, store.ErrNotFound)
}

func (b bench) wantFile(p store.Prediction, name string, want store.File) {
	b.Helper()
	got, err := b.Predictions.File(b.Context(), p, name)
	if err != nil {
		b.Fatal(err)
	}
	wantEqual(b, "key", got.Key, want.Key)
	wantEqual(b, "etag", got.ETag, want.ETag)
	wantEqual(b, "digest", string(got.Digest), string(want.Digest))
	wantEqual(b, "sha256", string(got.SHA256), string(want.SHA256))
}

// The SHA-256 of an object that S3 has joined is recorded once, for the very object that it is of.
func TestRecordSHA256(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(5)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	p = b.reload(p)
	f, err := b.Predictions.File(t.Context(), p, objects.ResultName)
	if err != nil {
		t.Fatal(err)
	}
	want := f
	for _, try := range []struct {
		key, sum string
		user     int64
	}{{"results/other", "0", p.UserID}, {f.Key, "1", p.UserID + 1}, {f.Key, "2", p.UserID}, {f.Key, "3", p.UserID}} {
		as := p
		as.UserID = try.user
		err := b.Predictions.RecordSHA256(t.Context(), as, objects.ResultName,
			store.File{Key: try.key, SHA256: bytes.Repeat([]byte(try.sum), 32)})
		if err != nil {
			t.Fatal(err)
		}
	}
	want.SHA256 = bytes.Repeat([]byte("2"), 32)
	b.wantFile(p, objects.ResultName, want)
	as := p
	as.UserID++
	_, err = b.Predictions.File(t.Context(), as, objects.ResultName)
	wantErr(t, err, store.ErrNotFound)
}

// Of what has expired no digest is left.
func TestExpire_ForgetsDigests(t *testing.T) {
	b := newBench(t, store.Config{})
	u := newUpload(b.user.ID, 10)
	u.Parts[0].Digest = digestOf("input")
	p, err := b.Predictions.CreateUpload(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	c := b.claim("w")
	last, err := b.Ledger.CommitPart(t.Context(), c, partResult(c, "one"), bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	err = b.Ledger.Finish(t.Context(), last, store.Result{
		ResultKey: "results/a", RejectsKey: "results/b", ResultDigest: digestOf("a"), RejectsDigest: digestOf("b"),
		ResultSHA256: make([]byte, 32), RejectsSHA256: make([]byte, 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.aged(p, 91)
	if _, err := b.Upkeep.Expire(t.Context(), 90*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	for table, columns := range map[string]string{
		"predictions":      "result_digest, result_sha256, rejects_digest, rejects_sha256",
		"prediction_parts": "input_digest, result_digest, result_sha256, rejects_digest, rejects_sha256, snapshot_digest",
	} {
		wantEqual(t, table, ask[int](b, `SELECT sum(num_nonnulls(`+columns+`))::int FROM `+table), 0)
	}
}

// The check of an operator reads results, rejects and snapshots too where their digests were recorded.
func TestCheckObjects_Digests(t *testing.T) {
	onBothOwned(t, func(t *testing.T, b bench, o objects.Store) {
		b.start(o)
		p := b.kept(o, true)
		b.exec(`UPDATE predictions SET result_digest = $1, rejects_digest = $2`, []byte(digestOf("rows")), []byte(digestOf("no")))
		b.exec(`UPDATE prediction_parts SET snapshot_digest = $1`, []byte(digestOf("abc")))
		found, c := b.checked(o, true)
		if len(found) > 0 || c.Digests != 5 {
			t.Fatalf("%v, %+v", found, c)
		}
		storetest.PutObject(t, o, objects.ResultKey(p.ID, 1, objects.ResultName), []byte("r0ws"))
		storetest.PutObject(t, o, objects.SnapshotKey(p.ID, 1, 1), []byte("abd"))
		found, _ = b.checked(o, true)
		wantEqual(t, "found", strings.Join(found, "; "), "digest result "+objects.ResultKey(p.ID, 1, objects.ResultName)+
			"; digest snapshot "+objects.SnapshotKey(p.ID, 1, 1))
	})
}
