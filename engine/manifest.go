package engine

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ManifestFile is the name of the file that lists all other files of a bundle.
const ManifestFile = "manifest.sha256"

// ErrManifest reports that a bundle's files differ from its manifest.
var ErrManifest = errors.New("files differ from the manifest")

// checkManifest compares every file of dir with the manifest, which has the format of sha256sum, and returns the
// manifest's own digest. That digest identifies the whole bundle.
func checkManifest(dir fs.FS) ([sha256.Size]byte, error) {
	text, err := fs.ReadFile(dir, ManifestFile)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("read manifest: %w", err)
	}
	listed, err := parseManifest(text)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("list bundle: %w", err)
	}
	for _, e := range entries {
		if e.Name() != ManifestFile && !e.IsDir() && listed[e.Name()] == "" {
			return [sha256.Size]byte{}, fmt.Errorf("%w: %s is not listed", ErrManifest, e.Name())
		}
	}
	for name, want := range listed {
		file, err := fs.ReadFile(dir, name)
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("%w: %s cannot be read", ErrManifest, name)
		}
		if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != want {
			return [sha256.Size]byte{}, fmt.Errorf("%w: %s has another sha256", ErrManifest, name)
		}
	}
	return sha256.Sum256(text), nil
}

func parseManifest(text []byte) (map[string]string, error) {
	listed := map[string]string{}
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		sum, name, ok := strings.Cut(scan.Text(), "  ")
		if !ok || len(sum) != 2*sha256.Size || !fs.ValidPath(name) {
			return nil, fmt.Errorf("%w: line %d is not \"sha256  name\"", ErrManifest, len(listed)+1)
		}
		listed[name] = sum
	}
	return listed, nil
}
