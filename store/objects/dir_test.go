package objects_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// Objects are replaced whole: a reader sees the old one or the new one, never a mixture.
func TestObjectsAtOnce(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				for range 10 {
					content := bytes.Repeat([]byte{byte('a' + i)}, 20_000)
					if _, err := o.Put(t.Context(), "a/b/c", bytes.NewReader(content)); err != nil {
						t.Error(err)
					}
				}
			})
			group.Go(func() {
				for range 10 {
					body, info, err := o.Get(t.Context(), "a/b/c", objects.Range{}, "")
					if errors.Is(err, objects.ErrNotFound) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					b, err := io.ReadAll(body)
					if err != nil || len(b) != 20_000 || len(bytes.Trim(b, string(b[:1]))) != 0 || info.Bytes != 20_000 {
						t.Errorf("%d bytes: %v", len(b), err)
					}
					_ = body.Close()
				}
			})
			group.Go(func() {
				if strings.HasSuffix(t.Name(), "/s3") {
					return // this server has the race that we test the directory for
				}
				for n := range 10 {
					key := fmt.Sprintf("d/%d/x", n%3)
					if _, err := o.Put(t.Context(), key, strings.NewReader("x")); err != nil {
						t.Error(err)
					}
					if err := o.Delete(t.Context(), objects.Deleted, key); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
	})
}

func TestObjects_CancelledContext(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		storetest.PutObject(t, o, "a/b", storetest.Pattern(1<<20))
		body, _, err := o.Get(t.Context(), "a/b", objects.Range{}, "")
		if err != nil {
			t.Fatal(err)
		}
		_ = body.Close()
		if _, err := body.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read after close: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		body, _, err = o.Get(ctx, "a/b", objects.Range{}, "")
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := io.Copy(io.Discard, body); err == nil {
			t.Error("read to the end")
		}
		_ = body.Close()
		for info, err := range o.List(ctx, "") {
			if err == nil {
				t.Errorf("listed %v", info)
			}
		}
		if _, err := o.Compose(ctx, "c", storetest.Sources("a/b")); err == nil {
			t.Error("composed")
		}
		if err := objects.DeletePrefix(ctx, o, objects.Deleted, "a/"); err == nil {
			t.Error("deleted")
		}
	})
}

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects")
	o, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if stat, err := os.Stat(dir); err != nil || stat.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", stat.Mode(), err)
	}
	info := storetest.PutObject(t, o, "inbox/a.csv", []byte("by us"))

	// Other programs write files into the inbox, also over those of this one.
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("inbox/a.csv", "by me")
	write("inbox/b.csv", "by us")
	write("inbox/.b.csv.swp", "editor")
	a, errA := o.Head(t.Context(), "inbox/a.csv")
	b, errB := o.Head(t.Context(), "inbox/b.csv")
	if err := errors.Join(errA, errB); err != nil || a.ETag == info.ETag || b.ETag != info.ETag {
		t.Errorf("%+v, %+v, %v", a, b, err)
	}
	if got := storetest.Keys(t, o, "inbox/"); !slices.Equal(got, []string{"inbox/a.csv", "inbox/b.csv"}) {
		t.Errorf("%v", got)
	}
	// A link out of the directory is not followed.
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "inbox/link")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Head(t.Context(), "inbox/link"); err == nil {
		t.Error("followed a link")
	}
	if got := storetest.Keys(t, o, "inbox/l"); len(got) != 0 {
		t.Errorf("listed a link: %v", got)
	}
	// What a crash left is swept when it is old.
	if err := os.MkdirAll(filepath.Join(dir, "uploads/u"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("uploads/u/.tmp-crashed", "half")
	write("inbox/.tmp-of-others", "half") // another program's
	if n, err := o.Sweep(t.Context(), time.Hour, nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := o.Sweep(t.Context(), 0, nil); n != 1 || err != nil {
		t.Error(n, err)
	}
	if err := os.Remove(filepath.Join(dir, "inbox/link")); err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), objects.Deleted, "inbox/a.csv"); err != nil {
		t.Fatal(err)
	}
	storetest.PutObject(t, o, "x/y/z", nil)
	if err := o.Delete(t.Context(), objects.Deleted, "x/y/z"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty directories stay: %v", err)
	}
}

func TestOpenDirectoryRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), ""} {
		if _, err := objects.OpenDirectory(dir); err == nil {
			t.Errorf("opened %q", dir)
		}
	}
}

func BenchmarkObjectsPut(b *testing.B) {
	o, err := objects.OpenDirectory(filepath.Join(b.TempDir(), "objects"))
	if err != nil {
		b.Fatal(err)
	}
	content := storetest.Pattern(8 << 20)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		storetest.PutObject(b, o, "a/b", content)
	}
}

// What a killed process left is swept long before it is a day old, and what a living writer has not touched for days is not.
func TestDirectorySweep_WriterLives(t *testing.T) {
	dir := t.TempDir()
	o, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := func(name string, age time.Duration) {
		t.Helper()
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := o.Put(context.Background(), "uploads/u/input.csv", reader)
		done <- err
	}()
	if _, err := writer.Write([]byte("first half, ")); err != nil {
		t.Fatal(err)
	}
	written, err := filepath.Glob(filepath.Join(dir, "uploads/u/.tmp-*"))
	if err != nil || len(written) != 1 {
		t.Fatal(written, err)
	}
	for { // the writer changes the time once more
		if stat, err := os.Stat(written[0]); err != nil || stat.Size() > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	old(written[0], 72*time.Hour)
	for name, age := range map[string]time.Duration{"killed": 11 * time.Minute, "renamed-now": time.Minute} {
		name = filepath.Join(dir, "uploads/u/.tmp-"+name)
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		old(name, age)
	}
	if n, err := o.Sweep(t.Context(), 24*time.Hour, nil); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "uploads/u/.tmp-killed")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the killed process left: %v", err)
	}
	if _, err := writer.Write([]byte("second half")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(writer.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	got := storetest.GetObject(t, o, "uploads/u/input.csv", objects.Range{Length: 100}, "")
	wantEqual(t, "object", string(got), "first half, second half")
}
