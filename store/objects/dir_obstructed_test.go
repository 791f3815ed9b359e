package objects_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// TestDirectory_ObjectInPlaceOfFolder wants to write below a key that is an object: it is an error, and both the object and
// what was to be joined stay as they are.
func TestDirectory_ObjectInPlaceOfFolder(t *testing.T) {
	o, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	storetest.PutObject(t, o, "uploads/u", []byte("object"))
	storetest.PutObject(t, o, "uploads/part", []byte("part"))
	for _, key := range []string{"uploads/u/input.csv", "uploads/u/deeper/input.csv"} {
		if _, err := o.Put(t.Context(), key, strings.NewReader("x")); err == nil {
			t.Errorf("put %s", key)
		}
		if _, err := o.PutIf(t.Context(), key, strings.NewReader("x"), ""); err == nil {
			t.Errorf("put %s if it is not there", key)
		}
		for _, parts := range [][]objects.Source{
			storetest.Sources("uploads/part"), storetest.Sources("uploads/part", "uploads/part"),
		} {
			if _, err := o.Compose(t.Context(), key, parts); err == nil {
				t.Errorf("composed %s of %d parts", key, len(parts))
			}
		}
	}
	for key, want := range map[string]string{"uploads/u": "object", "uploads/part": "part"} {
		wantEqual(t, key, string(storetest.GetObject(t, o, key, objects.Range{}, "")), want)
	}
	wantEqual(t, "objects", len(storetest.Keys(t, o, "")), 2)
	if n, err := o.Sweep(t.Context(), 0, nil); n != 0 || err != nil {
		t.Errorf("%d temporary files are left: %v", n, err)
	}
}

// TestDirectory_ListKeepsInside lists with prefixes that lead out of the directory.
func TestDirectory_ListKeepsInside(t *testing.T) {
	o, err := objects.OpenDirectory(filepath.Join(t.TempDir(), "objects"))
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"../", "a/../../", "/etc/"} {
		for info, err := range o.List(t.Context(), prefix) {
			if !errors.Is(err, objects.ErrKey) {
				t.Errorf("%s: %+v, %v", prefix, info, err)
			}
		}
	}
}

// TestDirectory_SweepAsks removes no temporary file that its caller does not allow to be removed.
func TestDirectory_SweepAsks(t *testing.T) {
	dir := t.TempDir()
	o, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	storetest.PutObject(t, o, "uploads/u/input.csv", []byte("x"))
	left := filepath.Join(dir, "uploads/u/.tmp-killed")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(left, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("not now")
	var asked []string
	n, err := o.Sweep(t.Context(), time.Minute, func(key string) error {
		asked = append(asked, key)
		return refused
	})
	if n != 0 || !errors.Is(err, refused) || len(asked) != 1 {
		t.Errorf("swept %d, asked for %q: %v", n, asked, err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("removed all the same: %v", err)
	}
	if n, err := o.Sweep(t.Context(), time.Minute, func(string) error { return nil }); n != 1 || err != nil {
		t.Errorf("swept %d: %v", n, err)
	}
}
