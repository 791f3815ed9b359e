package bench

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"

	"github.com/retainwise/millrace/engine/forest"
)

// testModels are the models that the suites engine and explain measure; testdata/README.md says how they were trained.
//
//go:embed testdata/*.txt.gz
var testModels embed.FS

// readModel returns the first trees of the test model that reads so many features, 20 or 50.
func readModel(features, trees int) (*forest.Forest, error) {
	name := fmt.Sprintf("testdata/features%d.txt.gz", features)
	packed, err := testModels.ReadFile(name)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	f, err := forest.Read(name, text, forest.DefaultLimits())
	if err != nil {
		return nil, err
	}
	f.Trees, f.Rounds, f.Iterations = f.Trees[:trees], f.Rounds[:trees+1], trees
	return f, f.Validate(forest.DefaultLimits())
}
