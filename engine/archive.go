package engine

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
)

// Bounds of an archive. A model file alone may have 256 MiB.
const (
	archiveBytesMax = 320 << 20 // of all files together, unpacked
	archiveFilesMax = 64
)

// ErrNoArchive reports a bundle whose files were not kept when it was opened.
var ErrNoArchive = errors.New("the files of this bundle were not kept")

// Archive returns the bundle as one file, a zip archive of the manifest and the files that it lists, for [OpenArchive].
// Only bundles of [OpenBundleKept], [OpenArchive] and [OpenBaseline] have one; of others the error is [ErrNoArchive]. The
// bytes are shared and must not be modified.
func (b *Bundle) Archive() ([]byte, error) {
	if b.archive == nil {
		return nil, ErrNoArchive
	}
	return b.archive()
}

// OpenBundleKept is [OpenBundle], and keeps the bundle's files compressed in memory for [Bundle.Archive]. A bundle that
// changes while it is read is an [ErrManifest].
func OpenBundleKept(dir fs.FS) (*Bundle, error) {
	b, err := OpenBundle(dir)
	if err != nil {
		return nil, err
	}
	archive, err := packBundle(dir, b.sha256)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", b.Name(), err)
	}
	b.archive = func() ([]byte, error) { return archive, nil }
	return b, nil
}

// OpenArchive opens the bundle of an archive with all checks of [OpenBundle], whose errors it returns. The bundle keeps
// the archive, which must not be modified. What is no archive, or one with more than archiveFilesMax files or
// archiveBytesMax bytes unpacked, is an [ErrManifest] or an [ErrModelLimits].
func OpenArchive(archive []byte) (*Bundle, error) {
	dir, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("%w: no archive: %w", ErrManifest, err)
	}
	var size uint64
	for _, f := range dir.File {
		size += min(f.UncompressedSize64, archiveBytesMax+1)
	}
	if len(dir.File) > archiveFilesMax || size > archiveBytesMax {
		return nil, fmt.Errorf("%w: an archive of %d files", ErrModelLimits, len(dir.File))
	}
	b, err := OpenBundle(dir)
	if err != nil {
		return nil, err
	}
	b.archive = func() ([]byte, error) { return archive, nil }
	return b, nil
}

// packBundle makes an archive of the bundle whose manifest has the digest sum. It checks every file again, as dir may
// have changed since the bundle was opened.
func packBundle(dir fs.FS, sum [sha256.Size]byte) ([]byte, error) {
	manifest, err := fs.ReadFile(dir, ManifestFile)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if sha256.Sum256(manifest) != sum {
		return nil, fmt.Errorf("%w: the bundle changed while it was read", ErrManifest)
	}
	listed, err := parseManifest(manifest)
	if err != nil {
		return nil, err
	}
	if len(listed) >= archiveFilesMax {
		return nil, fmt.Errorf("%w: %d files, at most %d are allowed", ErrModelLimits, len(listed), archiveFilesMax-1)
	}
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestSpeed)
	})
	if err := appendFile(archive, ManifestFile, manifest); err != nil {
		return nil, err
	}
	size := len(manifest)
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		file, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("%w: %s cannot be read", ErrManifest, name)
		}
		if digest := sha256.Sum256(file); hex.EncodeToString(digest[:]) != listed[name] {
			return nil, fmt.Errorf("%w: %s changed while the bundle was read", ErrManifest, name)
		}
		if size += len(file); size > archiveBytesMax {
			return nil, fmt.Errorf("%w: the files have more than %d MiB", ErrModelLimits, archiveBytesMax>>20)
		}
		if err := appendFile(archive, name, file); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func appendFile(archive *zip.Writer, name string, content []byte) error {
	w, err := archive.Create(name)
	if err == nil {
		_, err = w.Write(content)
	}
	return err
}
