package engine_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/retainwise/millrace/engine"
)

func archiveOf(t *testing.T, b *engine.Bundle) []byte {
	t.Helper()
	archive, err := b.Archive()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// A bundle that is packed and opened again is the same: of a baseline, a directory, and an archive.
func TestArchive_RoundTrip(t *testing.T) {
	for _, name := range engine.BaselineNames() {
		baseline, err := engine.OpenBaseline(name)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := engine.OpenBundleKept(os.DirFS("baseline/" + name))
		if err != nil {
			t.Fatal(err)
		}
		again, err := engine.OpenArchive(archiveOf(t, kept))
		if err != nil {
			t.Fatal(err)
		}
		for what, b := range map[string]*engine.Bundle{"baseline": baseline, "kept": kept, "again": again} {
			opened, err := engine.OpenArchive(archiveOf(t, b))
			if err != nil {
				t.Fatalf("%s %s: %v", name, what, err)
			}
			if opened.SHA256() != baseline.SHA256() || opened.Name() != name || opened.Version() != baseline.Version() {
				t.Errorf("%s %s: %s %s %s", name, what, opened.Name(), opened.Version(), opened.SHA256())
			}
		}
		plain, err := engine.OpenBundle(os.DirFS("baseline/" + name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plain.Archive(); !errors.Is(err, engine.ErrNoArchive) {
			t.Errorf("%s: archive of a bundle that was not kept: %v", name, err)
		}
	}
}

// changingFS gives another content of a file from the second read on, as a directory that is being swapped.
type changingFS struct {
	fstest.MapFS
	name  string
	reads *int
}

func (c changingFS) Open(name string) (fs.File, error) {
	if name == c.name {
		if *c.reads++; *c.reads > 2 {
			return fstest.MapFS{name: &fstest.MapFile{Data: []byte("another\n")}}.Open(name)
		}
	}
	return c.MapFS.Open(name)
}

// ReadFile implements [fs.ReadFileFS] by way of Open.
func (c changingFS) ReadFile(name string) ([]byte, error) {
	f, err := c.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	return b.Bytes(), err
}

func TestOpenBundleKept_ChangedMeanwhile(t *testing.T) {
	for _, name := range []string{"manifest.sha256", "model.txt"} {
		reads := 0
		if name == "manifest.sha256" {
			reads = 1 // it is read once before it is packed, every other file twice
		}
		_, err := engine.OpenBundleKept(changingFS{copyOf(t, "telecom"), name, &reads})
		if !errors.Is(err, engine.ErrManifest) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

// No prefix and no single flipped bit of an archive gives another bundle: it is refused, or what flipped is no content.
func TestOpenArchive_Damaged(t *testing.T) {
	b, err := engine.OpenBundleKept(os.DirFS("baseline/telecom"))
	if err != nil {
		t.Fatal(err)
	}
	archive := archiveOf(t, b)
	step := max(1, len(archive)/97)
	for n := 0; n < len(archive); n += step {
		if _, err := engine.OpenArchive(archive[:n:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were opened", n, len(archive))
		}
		flipped := bytes.Clone(archive)
		flipped[n] ^= 1 << (n % 8)
		if got, err := engine.OpenArchive(flipped); err == nil && got.SHA256() != b.SHA256() {
			t.Fatalf("bit %d of byte %d: another bundle", n%8, n)
		}
	}
}

// TestOpenArchive_Limits writes archives that would take more memory than a model may.
func TestOpenArchive_Limits(t *testing.T) {
	var many bytes.Buffer
	w := zip.NewWriter(&many)
	for i := range 65 {
		if _, err := w.Create("f" + strings.Repeat("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var large bytes.Buffer
	w = zip.NewWriter(&large)
	for _, name := range []string{"bundle.yaml", "model.txt"} {
		header := &zip.FileHeader{Name: name, Method: zip.Store, UncompressedSize64: 1 << 62, CompressedSize64: 3}
		f, err := w.CreateRaw(header)
		if err == nil {
			_, err = f.Write([]byte("abc"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for what, archive := range map[string][]byte{"many files": many.Bytes(), "large files": large.Bytes()} {
		if _, err := engine.OpenArchive(archive); !errors.Is(err, engine.ErrModelLimits) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
