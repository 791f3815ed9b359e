package engine

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
)

//go:embed baseline
var baselines embed.FS

// BaselineNames returns the names of the bundles that are embedded in the binary.
func BaselineNames() []string { return []string{"saas", "telecom"} }

// OpenBaseline opens an embedded bundle by its name; see [BaselineNames]. The error lists the names if there is none.
func OpenBaseline(name string) (*Bundle, error) {
	if !slices.Contains(BaselineNames(), name) {
		return nil, fmt.Errorf("%q is not a baseline: choose one of %v", name, BaselineNames())
	}
	dir, err := fs.Sub(baselines, "baseline/"+name)
	if err != nil {
		return nil, err
	}
	b, err := OpenBundle(dir)
	if err == nil {
		b.archive = func() ([]byte, error) { return packBundle(dir, b.sha256) } // the files are there for good
	}
	return b, err
}
