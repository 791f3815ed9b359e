package objects_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func TestObjectsPutAndGet(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		for _, n := range []int{0, 1, 100_000, 8<<20 - 1, 8 << 20, 20<<20 + 5} {
			content := storetest.Pattern(n)
			// A reader that gives what it wants: one that seeks would be read another way.
			info, err := o.Put(t.Context(), "uploads/u/input.csv", iotest.HalfReader(bytes.NewReader(content)))
			if err != nil {
				t.Fatal(n, err)
			}
			if info.Bytes != int64(n) || info.SHA256 != sha256.Sum256(content) || info.ETag == "" {
				t.Errorf("%d bytes: %+v", n, info)
			}
			head, err := o.Head(t.Context(), "uploads/u/input.csv")
			if err != nil || head.Bytes != int64(n) || head.ETag != info.ETag ||
				time.Since(head.Modified).Abs() > time.Minute || head.Key != info.Key {
				t.Errorf("head %+v after put %+v: %v", head, info, err)
			}
			if got := storetest.GetObject(t, o, "uploads/u/input.csv", objects.Range{}, info.ETag); !bytes.Equal(got, content) {
				t.Errorf("%d bytes come back as %d", n, len(got))
			}
		}
	})
}

func TestObjectsRanges(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		content := storetest.Pattern(100_000)
		info := storetest.PutObject(t, o, "a/b", content)
		for _, r := range []objects.Range{
			{Offset: 0, Length: 1},
			{Offset: 99_999, Length: 1},
			{Offset: 500, Length: 70_000},
			{Offset: 99_000},
			{Offset: 99_000, Length: 5000},
			{Offset: 1, Length: 99_999},
		} {
			body, got, err := o.Get(t.Context(), "a/b", r, info.ETag)
			if err != nil {
				t.Fatal(r, err)
			}
			b, err := io.ReadAll(body)
			end := int64(len(content))
			if r.Length > 0 {
				end = min(end, r.Offset+r.Length)
			}
			if err != nil || !bytes.Equal(b, content[r.Offset:end]) || got.Bytes != int64(len(content)) ||
				got.ETag != info.ETag {
				t.Errorf("%+v: %d bytes, %+v, %v", r, len(b), got, err)
			}
			_ = body.Close()
		}
		for _, r := range []objects.Range{{Offset: 100_000}, {Offset: 100_001, Length: 1}, {Offset: -1}, {Length: -1}} {
			_, _, err := o.Get(t.Context(), "a/b", r, "")
			wantErr(t, err, objects.ErrRange)
		}
	})
}

func TestObjectsThatChange(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		old := storetest.PutObject(t, o, "a/b", []byte("old content"))
		same := storetest.PutObject(t, o, "a/b", []byte("old content"))
		wantEqual(t, "tag of the same content", same.ETag, old.ETag)
		changed := storetest.PutObject(t, o, "a/b", []byte("new content"))
		if changed.ETag == old.ETag {
			t.Error("new content, old tag")
		}
		_, _, err := o.Get(t.Context(), "a/b", objects.Range{}, old.ETag)
		wantErr(t, err, objects.ErrChanged)
		wantEqual(t, "content", string(storetest.GetObject(t, o, "a/b", objects.Range{Offset: 4}, changed.ETag)), "content")
	})
}

// A version that was replaced is described and read by its name, in ranges too; the newest without one.
func TestS3Versions(t *testing.T) {
	o, err := objects.OpenS3(t.Context(), storetest.VersionedS3(t))
	if err != nil {
		t.Fatal(err)
	}
	var puts []objects.Info
	contents := []string{"first", "second, longer", "first"}
	for _, content := range contents {
		storetest.PutObject(t, o, "inbox/u/a.csv", []byte(content))
		info, err := o.Head(t.Context(), "inbox/u/a.csv")
		if err != nil || info.Version == "" {
			t.Fatalf("%+v, %v", info, err)
		}
		puts = append(puts, info)
	}
	for i, put := range puts {
		info, err := o.HeadVersion(t.Context(), put.Key, put.Version)
		info.Modified = put.Modified // some servers date a version by when it was replaced
		if err != nil || !reflect.DeepEqual(info, put) || info.Bytes != int64(len(contents[i])) {
			t.Errorf("version %d: %+v, %+v, %v", i, put, info, err)
		}
		r := objects.Range{Offset: 1, Length: 3, Version: put.Version}
		wantEqual(t, "a range", string(storetest.GetObject(t, o, put.Key, r, put.ETag)), contents[i][1:4])
		r = objects.Range{Version: put.Version}
		wantEqual(t, "all", string(storetest.GetObject(t, o, put.Key, r, "")), contents[i])
	}
	if puts[0].Identity() == puts[2].Identity() || puts[0].ETag != puts[2].ETag {
		t.Errorf("the same bytes again: %+v, %+v", puts[0], puts[2])
	}
	_, _, err = o.Get(t.Context(), puts[0].Key, objects.Range{Version: puts[0].Version}, puts[1].ETag)
	wantErr(t, err, objects.ErrChanged)
	if err := o.Delete(t.Context(), objects.Deleted, puts[0].Key); err != nil {
		t.Fatal(err)
	}
	_, err = o.Head(t.Context(), puts[0].Key)
	wantErr(t, err, objects.ErrNotFound)
	if _, err := o.HeadVersion(t.Context(), puts[0].Key, puts[0].Version); err != nil {
		t.Errorf("a version that was deleted only by name: %v", err)
	}
}

// A store without versions has none of any name.
func TestObjects_NoSuchVersion(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		storetest.PutObject(t, o, "inbox/u/a.csv", []byte("x"))
		for _, version := range []string{"01M8Q87ZA1C71JB8VYE5ZNC4RZ", "789a68eb-ac92-454f-b999-70915563821e", "x"} { // of some servers
			_, err := o.HeadVersion(t.Context(), "inbox/u/a.csv", version)
			wantErr(t, err, objects.ErrNotFound)
			_, _, err = o.Get(t.Context(), "inbox/u/a.csv", objects.Range{Version: version}, "")
			wantErr(t, err, objects.ErrNotFound)
		}
		info, err := o.HeadVersion(t.Context(), "inbox/u/a.csv", "")
		if err != nil || info.Version != "" || info.Identity() != info.Stamp() {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

func TestInfoStamp(t *testing.T) {
	at := time.Date(2026, 11, 30, 23, 59, 59, 999, time.FixedZone("", 3600))
	info := objects.Info{ETag: `"e-1"`, Modified: at}
	wantEqual(t, "stamp", info.Stamp(), "e-1 2026-11-30T22:59:59Z")
	wantEqual(t, "without versions", info.Identity(), info.Stamp())
	info.Version = objects.NullVersion
	wantEqual(t, "version null, which the next put replaces", info.Identity(), info.Stamp())
	info.Version = "v1"
	wantEqual(t, "a version", info.Identity(), "v1")
	listed := objects.Info{ETag: "e-1", Modified: at.Truncate(time.Second)}
	wantEqual(t, "as another answer shows it", listed.Stamp(), info.Stamp())
}

// Credentials without s3:GetObjectVersion read the newest version, and no other in its place.
func TestS3Versions_Refused(t *testing.T) {
	config := storetest.VersionedS3(t)
	faults, through := storetest.NewFaults(t, config)
	o, err := objects.OpenS3(t.Context(), through)
	if err != nil {
		t.Fatal(err)
	}
	storetest.PutObject(t, o, "inbox/u/a.csv", []byte("old"))
	old, err := o.Head(t.Context(), "inbox/u/a.csv")
	if err != nil {
		t.Fatal(err)
	}
	storetest.PutObject(t, o, "inbox/u/a.csv", []byte("new"))
	newest, err := o.Head(t.Context(), "inbox/u/a.csv")
	if err != nil {
		t.Fatal(err)
	}
	faults.Answer(func(r *http.Request) (int, string) {
		if r.URL.Query().Has("versionId") {
			return http.StatusForbidden, "AccessDenied"
		}
		return 0, ""
	})
	if info, err := o.HeadVersion(t.Context(), newest.Key, newest.Version); err != nil || !reflect.DeepEqual(info, newest) {
		t.Errorf("%+v, %v", info, err)
	}
	r := objects.Range{Version: newest.Version}
	wantEqual(t, "the newest", string(storetest.GetObject(t, o, newest.Key, r, newest.ETag)), "new")
	r.Version = old.Version
	if info, err := o.HeadVersion(t.Context(), old.Key, old.Version); err == nil || errors.Is(err, objects.ErrNotFound) {
		t.Errorf("the old one is described: %+v, %v", info, err)
	}
	for _, etag := range []string{old.ETag, ""} {
		if _, info, err := o.Get(t.Context(), old.Key, r, etag); err == nil || errors.Is(err, objects.ErrChanged) {
			t.Errorf("the old one is read with ETag %q: %+v, %v", etag, info, err)
		}
	}
}

func TestObjects_NotFound(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		storetest.PutObject(t, o, "a/b/c", []byte("x"))
		for _, key := range []string{"nothing", "a", "a/b", "a/x"} {
			_, err := o.Head(t.Context(), key)
			wantErr(t, err, objects.ErrNotFound)
			_, _, err = o.Get(t.Context(), key, objects.Range{}, "")
			wantErr(t, err, objects.ErrNotFound)
			_, err = o.Compose(t.Context(), "d/e", storetest.Sources("a/b/c", key))
			wantErr(t, err, objects.ErrNotFound)
		}
		_, err := o.Head(t.Context(), "d/e")
		wantErr(t, err, objects.ErrNotFound)
		if err := o.Delete(t.Context(), objects.Deleted, "a/x", "nothing"); err != nil {
			t.Error(err)
		}
	})
}

func TestObjectsKeys(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		for _, key := range []string{
			"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.etag-b", "a\x00b", "a\nb",
			"a\\b", "\xff", strings.Repeat("a/", 600) + "b", strings.Repeat("a", 201),
		} {
			ctx := t.Context()
			_, err := o.Put(ctx, key, strings.NewReader("x"))
			wantErr(t, err, objects.ErrKey)
			_, _, err = o.Get(ctx, key, objects.Range{}, "")
			wantErr(t, err, objects.ErrKey)
			_, err = o.Head(ctx, key)
			wantErr(t, err, objects.ErrKey)
			wantErr(t, o.Delete(ctx, objects.Deleted, "fine", key), objects.ErrKey)
			_, err = o.Compose(ctx, key, nil)
			wantErr(t, err, objects.ErrKey)
			_, err = o.Compose(ctx, "fine", storetest.Sources(key))
			wantErr(t, err, objects.ErrKey)
		}
		for _, key := range []string{"inbox/März 2026 (1)+&=%41?.csv", "a/" + strings.Repeat("b", 200)} {
			storetest.PutObject(t, o, key, []byte("x"))
			wantEqual(t, "content", string(storetest.GetObject(t, o, key, objects.Range{}, "")), "x")
			if _, err := o.Compose(t.Context(), "copy/of", storetest.Sources(key)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestObjectsList(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		all := []string{"a-b/x", "a/b/1", "a/b/10", "a/b/2", "a/c", "b"}
		for _, key := range all {
			storetest.PutObject(t, o, key, []byte(key))
		}
		for prefix, want := range map[string][]string{
			"": all, "a": all[:5], "a/": all[1:5], "a/b/1": all[1:3], "a/b/": all[1:4], "a/c": all[4:5], "b": all[5:],
			"x": nil, "a/x/": nil, "b/": nil,
		} {
			if got := storetest.Keys(t, o, prefix); !slices.Equal(got, want) {
				t.Errorf("%q: %v", prefix, got)
			}
		}
		for info, err := range o.List(t.Context(), "a/") {
			if err != nil || info.Bytes != int64(len(info.Key)) || time.Since(info.Modified).Abs() > time.Minute {
				t.Errorf("%+v, %v", info, err)
			}
			break
		}
		if err := objects.DeletePrefix(t.Context(), o, objects.Deleted, "a/b/"); err != nil {
			t.Fatal(err)
		}
		if got := storetest.Keys(t, o, ""); !slices.Equal(got, []string{"a-b/x", "a/c", "b"}) {
			t.Errorf("after delete: %v", got)
		}
	})
}

func TestObjectsFailedPutLeavesNothing(t *testing.T) {
	broken := errors.New("source broke")
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		for _, n := range []int{0, 1000, 30 << 20} {
			_, err := o.Put(t.Context(), "a/b", io.MultiReader(bytes.NewReader(storetest.Pattern(n)), iotest.ErrReader(broken)))
			wantErr(t, err, broken)
		}
		if left, err := o.Sweep(t.Context(), 0, nil); left != 0 || err != nil {
			t.Errorf("%d left behind: %v", left, err)
		}
		for _, n := range []int{0, 1000, 30 << 20} {
			if err := putCancelled(t, o, n); err == nil {
				t.Error("put with an ended context")
			}
		}
		wantEqual(t, "objects", len(storetest.Keys(t, o, "")), 0)
		// A server may be busy with a part when the upload is aborted, and keep it. That is what the sweep is for.
		for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			left, err := o.Sweep(t.Context(), 0, nil)
			if left == 0 && err == nil {
				break
			}
			if err != nil || time.Since(begin) > time.Minute {
				t.Fatalf("%d left by the sweep: %v", left, err)
			}
		}
	})
}

// putCancelled cancels a put when its reader has given n bytes.
func putCancelled(t *testing.T, o objects.Store, n int) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := o.Put(ctx, "a/b", io.MultiReader(bytes.NewReader(storetest.Pattern(n)), readFunc(func([]byte) (int, error) {
		cancel()
		return 0, ctx.Err()
	})))
	return err
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestObjectsCompose(t *testing.T) {
	const mib = 1 << 20
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		for name, sizes := range map[string][]int{
			"none": {}, "empty": {0, 0}, "small": {10, 20, 5}, "one": {100}, "copied by the server": {6 * mib, 5 * mib, 7},
			"a small one between": {6 * mib, 100, 6 * mib}, "empty ones between": {0, 6 * mib, 0, 6 * mib, 0},
		} {
			t.Run(name, func(t *testing.T) {
				var parts []string
				var want []byte
				for i, n := range sizes {
					content := storetest.Pattern(n + i)[i:]
					parts = append(parts, fmt.Sprintf("results/%s/parts/%05d", strings.ReplaceAll(name, " ", "-"), i))
					storetest.PutObject(t, o, parts[i], content)
					want = append(want, content...)
				}
				info, err := o.Compose(t.Context(), "results/whole.csv", storetest.Sources(parts...))
				if err != nil {
					t.Fatal(err)
				}
				again, err := o.Compose(t.Context(), "results/whole.csv", storetest.Sources(parts...))
				if err != nil || again.ETag != info.ETag || info.Bytes != int64(len(want)) {
					t.Errorf("%+v, then %+v: %v", info, again, err)
				}
				head, err := o.Head(t.Context(), "results/whole.csv")
				if err != nil || head.ETag != info.ETag || head.Bytes != info.Bytes {
					t.Errorf("head %+v, composed %+v: %v", head, info, err)
				}
				if got := storetest.GetObject(t, o, "results/whole.csv", objects.Range{}, info.ETag); !bytes.Equal(got, want) {
					t.Errorf("%d bytes, want %d", len(got), len(want))
				}
				if left, err := o.Sweep(t.Context(), 0, nil); left != 0 || err != nil {
					t.Errorf("%d left behind: %v", left, err)
				}
			})
		}
	})
}

// What became of a single part has a life of its own.
func TestObjects_ComposeOnePart(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		const part, whole = "results/parts/00000", "results/whole.csv"
		storetest.PutObject(t, o, part, []byte("first"))
		info, err := o.Compose(t.Context(), whole, storetest.Sources(part))
		if err != nil {
			t.Fatal(err)
		}
		storetest.PutObject(t, o, part, []byte("second"))
		if got := storetest.GetObject(t, o, whole, objects.Range{}, info.ETag); string(got) != "first" {
			t.Errorf("%q after the part was replaced", got)
		}
		if err := o.Delete(t.Context(), objects.Deleted, part); err != nil {
			t.Fatal(err)
		}
		if got := storetest.GetObject(t, o, whole, objects.Range{}, info.ETag); string(got) != "first" {
			t.Errorf("%q after the part was deleted", got)
		}
	})
}
