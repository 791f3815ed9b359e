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
	return OpenBundle(dir)
}
