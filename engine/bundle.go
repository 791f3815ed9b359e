package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

const bundleYAML = "bundle.yaml"

// Bundle is a compiled model with the description of its input columns, its risk bands and its texts. It is immutable
// and safe for concurrent use. Use [OpenBundle], [OpenBaseline] or [OpenModelFile].
type Bundle struct {
	file      *bundleFile
	sha256    [sha256.Size]byte
	schema    ingest.Schema
	forest    *forest.Forest
	compiled  *forest.Compiled
	leaves    *forest.Leaves // nil if the leaves library does not support the model; then leavesErr is the reason
	leavesErr error
	features  []featureColumn
	columns   map[string]int // position in the schema by name
	profiles  []columnProfile
	segments  []segmentColumn
	idColumn  int // position in the schema, -1 if none
	// valueColumn is the position in the schema of the revenue column, -1 if none.
	valueColumn int
	bands       []Band
	calibrate   func(p float64) float64 // nil: the model's probabilities are not corrected
	explainer   *explainer              // nil if the model cannot be explained; then explainErr is the reason
	explainErr  error

	// labelColumn is the position in the schema of the label of [Additions], -1 if none.
	labelColumn int

	slots *slotPool // reused by the next score

	archive func() ([]byte, error) // for Archive; nil: the files were not kept
}

// Band is a named range of probabilities. Bands ascend; the last one has no upper bound.
type Band struct {
	Name  string
	Below float64 // exclusive upper bound; +Inf in the last band
}

// OpenBundle reads the bundle in the root of dir, verifies its manifest, compiles its model and scores its golden rows.
// Errors wrap [ErrManifest], [ErrGolden], [ErrModelUnsupported], [ErrModelLimits] or [ErrModelColumns].
func OpenBundle(dir fs.FS) (*Bundle, error) {
	file, err := readBundleFile(dir)
	if err != nil {
		return nil, err
	}
	sum, err := checkManifest(dir)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file.Name, err)
	}
	model, err := fs.ReadFile(dir, file.Model)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: read model: %w", file.Name, err)
	}
	b, err := newBundle(file, model)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file.Name, err)
	}
	b.sha256 = sum
	if err := b.checkGoldens(dir); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file.Name, err)
	}
	return b, nil
}

func readBundleFile(dir fs.FS) (*bundleFile, error) {
	text, err := fs.ReadFile(dir, bundleYAML)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	file, err := parseBundleFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundleYAML, err)
	}
	return file, nil
}

// OpenDraft opens a bundle that is being made: its bundle.yaml and its model, without a manifest or golden rows. Nothing
// says that it scores as its training library does, so it must not be served.
func OpenDraft(dir fs.FS) (*Bundle, error) {
	file, err := readBundleFile(dir)
	if err != nil {
		return nil, err
	}
	model, err := fs.ReadFile(dir, file.Model)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	return newBundle(file, model)
}

// newBundle compiles the model and maps its features to the columns of file.
func newBundle(file *bundleFile, model []byte) (*Bundle, error) {
	f, err := ReadForest(file.Model, model)
	if err != nil {
		return nil, err
	}
	if f, err = TakeIterations(f, file.Iterations); err != nil {
		return nil, err
	}
	if f.Classes != 1 {
		return nil, fmt.Errorf("%w: %s: %d classes, not one", ErrModelUnsupported, file.Model, f.Classes)
	}
	b := &Bundle{file: file, forest: f, sha256: f.Source.SHA256, bands: file.bands(), slots: new(slotPool)}
	if err := b.readSchema(); err != nil {
		return nil, err
	}
	if b.features, err = bindFeatures(f, b.schema); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModelColumns, err)
	}
	if b.profiles, err = file.profiles(b.schema, b.features, f); err != nil {
		return nil, err
	}
	if b.calibrate, err = file.Calibration.Compile(); err != nil {
		return nil, err
	}
	if b.segments, err = b.segmentColumns(); err != nil {
		return nil, err
	}
	if b.compiled, err = forest.Compile(f); err != nil {
		return nil, fmt.Errorf("compile: %w", modelError(err))
	}
	if b.leaves, err = forest.NewLeaves(f); err != nil {
		b.leavesErr = modelError(err)
	}
	if err := forest.SelfCheck(f, b.leaves, b.compiled.NewScorer()); err != nil {
		return nil, modelError(err)
	}
	b.explainer, b.explainErr = b.newExplainer()
	return b, nil
}

// readSchema finds the columns that b.file describes.
func (b *Bundle) readSchema() (err error) {
	if b.schema, err = b.file.schema(); err != nil {
		return err
	}
	if err := b.schema.Validate(); err != nil {
		return err
	}
	b.idColumn, b.valueColumn, b.labelColumn = -1, -1, -1
	b.columns = make(map[string]int, len(b.schema.Columns))
	for i, c := range b.schema.Columns {
		b.columns[c.Name] = i
		if c.Name == b.file.ID {
			b.idColumn = i
		}
		if c.Name == b.file.Value {
			b.valueColumn = i
		}
	}
	return nil
}

func (f *bundleFile) bands() []Band {
	bands := make([]Band, len(f.Bands))
	for i, band := range f.Bands {
		bands[i] = Band{Name: band.Name, Below: inf}
		if band.Below != nil {
			bands[i].Below = *band.Below
		}
	}
	return bands
}

// Name returns the bundle's name, which the query parameter model takes.
func (b *Bundle) Name() string { return b.file.Name }

// Title returns the display name; empty if the bundle has none.
func (b *Bundle) Title() string { return b.file.Title }

// Version returns the version that bundle.yaml states.
func (b *Bundle) Version() string { return b.file.Version }

// SHA256 returns the hexadecimal digest of the manifest, which covers every file of the bundle; of a bare model file,
// that of the file.
func (b *Bundle) SHA256() string { return hex.EncodeToString(b.sha256[:]) }

// Schema returns the input columns of the model. The schema is shared and must not be modified.
func (b *Bundle) Schema() ingest.Schema { return b.schema }

// NotUsed returns those of a file's columns that the model does not read; nil if a required column is missing.
func (b *Bundle) NotUsed(columns []string) []string {
	m, err := ingest.Map(b.schema, ingest.Header{Names: columns})
	if err != nil {
		return nil
	}
	return m.Unused()
}

// Bands returns the risk bands, ascending. The slice is shared and must not be modified.
func (b *Bundle) Bands() []Band { return b.bands }

// Forest returns the model's trees. They are shared and must not be modified.
func (b *Bundle) Forest() *forest.Forest { return b.forest }

// Kernel returns the name of the scoring kernel in use: avx512, avx2, portable or walker.
func (b *Bundle) Kernel() string { return b.compiled.Kernel() }

// Verified says which scores the golden rows have: [VerifiedLibrary] or [VerifiedSelf].
func (b *Bundle) Verified() string { return cmp.Or(b.file.Verified, VerifiedLibrary) }

// Warnings says what is unusual about the model but no reason to refuse it. An operator should read it before scores are
// used.
func (b *Bundle) Warnings() []string {
	warnings := slices.Clone(b.forest.Warnings)
	if more := MoreIterations(b.forest); more != "" && b.file.Iterations == "" {
		warnings = append(warnings, more)
	}
	return warnings
}

// LeavesError returns why the leaves library cannot score this model and so cannot check the compiled engine, an
// [ErrModelUnsupported]; nil if it can.
func (b *Bundle) LeavesError() error { return b.leavesErr }

// band returns the index of the band that a probability falls into.
func (b *Bundle) band(probability float32) int {
	for i := range b.bands {
		if float64(probability) < b.bands[i].Below {
			return i
		}
	}
	return len(b.bands) - 1
}
