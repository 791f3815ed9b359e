package draft

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"strings"

	"github.com/retainwise/millrace/engine"
)

const (
	bundleFile = "bundle.yaml"
	goldenFile = "golden.csv"
)

// write writes bundle.yaml, the golden rows and, last, the manifest.
func (d *description) write(dir Dir) error {
	if err := dir.WriteFile(bundleFile, d.yaml()); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	if err := dir.WriteFile(goldenFile, d.goldens.csv(true)); err != nil {
		return fmt.Errorf("write golden rows: %w", err)
	}
	var manifest strings.Builder
	for _, name := range []string{bundleFile, goldenFile, d.model.file} {
		content, err := fs.ReadFile(dir, name)
		if err != nil {
			return fmt.Errorf("read for the manifest: %w", err)
		}
		fmt.Fprintf(&manifest, "%x  %s\n", sha256.Sum256(content), name)
	}
	if err := dir.WriteFile(engine.ManifestFile, []byte(manifest.String())); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}
