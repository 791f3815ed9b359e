package objects_test

import (
	"bytes"
	"testing"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// A directory on a full disk returns ErrStorageFull, keeps what it has, leaves no pieces, and takes objects again when there is room.
func TestDirectoryOnAFullDisk(t *testing.T) {
	dir := storetest.SmallDisk(t, "2m")
	o, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	content := storetest.Pattern(100_000)
	storetest.PutObject(t, o, "a/b", content)
	makeRoom := storetest.FillDisk(t, dir)
	_, err = o.Put(t.Context(), "a/c", bytes.NewReader(content))
	wantErr(t, err, objects.ErrStorageFull)
	_, err = o.Compose(t.Context(), "a/d", storetest.Sources("a/b", "a/b"))
	wantErr(t, err, objects.ErrStorageFull)
	if got := storetest.GetObject(t, o, "a/b", objects.Range{}, ""); !bytes.Equal(got, content) {
		t.Errorf("%d bytes of what was there before", len(got))
	}
	if list := storetest.Keys(t, o, "a/"); len(list) != 1 {
		t.Errorf("left %v", list)
	}
	makeRoom()
	storetest.PutObject(t, o, "a/c", content)
	if _, err := o.Compose(t.Context(), "a/d", storetest.Sources("a/b", "a/c")); err != nil {
		t.Error(err)
	}
}
