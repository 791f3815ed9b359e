package engine

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// Additions describe columns of a file that a model does not, as a bare model file describes nothing but its features. The
// zero value adds nothing.
type Additions struct {
	ID    string // column with the customer's id
	Value string // number column with the revenue at stake; it may be one that the model reads
	Label string // column that says whether the customer left: yes or no, true or false, 1 or 0; see [Bundle.NewLabelSampler]
	Bands []Band // replace the risk bands unless nil
}

// With returns a bundle that knows these columns and bands too. Scores stay the same; b is not changed and shares its
// model. A file must have all columns that are named.
func (b *Bundle) With(a Additions) (*Bundle, error) {
	file, added := *b.file, *b
	added.archive = nil // it would be another bundle's
	file.Columns = slices.Clone(file.Columns)
	if len(a.Bands) > 0 {
		file.Bands = bandFiles(a.Bands)
		if err := file.checkBands(); err != nil {
			return nil, fmt.Errorf("bands: %w", err)
		}
	}
	if a.ID != "" {
		file.ID = a.ID
		if err := file.addColumn(bundleColumn{Name: a.ID, Type: "text", Required: true}); err != nil {
			return nil, fmt.Errorf("id: %w", err)
		}
	}
	if a.Label != "" {
		if err := file.addColumn(labelColumn(a.Label)); err != nil {
			return nil, fmt.Errorf("label: %w", err)
		}
	}
	if a.Value != "" {
		file.Value = a.Value
		if c := file.column(a.Value); c == nil {
			file.Columns = append(file.Columns, bundleColumn{Name: a.Value, Type: "number", Required: true})
		} else if c.Type != "number" {
			return nil, fmt.Errorf("value: column %q is not a number", a.Value)
		}
	}
	added.file, added.bands, added.slots = &file, file.bands(), new(slotPool)
	if err := added.readSchema(); err != nil {
		return nil, err
	}
	if a.Label != "" {
		added.labelColumn = added.columns[a.Label]
	}
	var err error
	added.profiles, err = file.profiles(added.schema, added.features, added.forest)
	return &added, err
}

// addColumn appends a column that is not described yet.
func (f *bundleFile) addColumn(c bundleColumn) error {
	if f.column(c.Name) != nil {
		return fmt.Errorf("column %q is described already: the model reads it, or it has another purpose", c.Name)
	}
	f.Columns = append(f.Columns, c)
	return nil
}

func bandFiles(bands []Band) []bandFile {
	files := make([]bandFile, len(bands))
	for i, band := range bands {
		files[i].Name = band.Name
		if !math.IsInf(band.Below, 1) {
			files[i].Below = &band.Below
		}
	}
	return files
}

// labelColumn describes a label column. Every spelling is a category, so that none is reported as normalised.
func labelColumn(name string) bundleColumn {
	spellings := outcomeSchema().Columns[1].Spellings
	categories := append([]string{no, yes}, slices.Sorted(maps.Keys(spellings))...)
	return bundleColumn{Name: name, Type: "category", Required: true, Categories: categories}
}

// observedBytes is the size of a labelled row in a sample.
const observedBytes = 4 + 2 + 1

// labelSampler appends the probability, band and label of each row that has a label.
type labelSampler struct {
	column  int    // of the label in a batch
	churned []bool // by category code
}

// NewLabelSampler returns a sampler of the label column, for [Options.NewSampler]. Read what it appends to
// [ScoredChunk.Sample] with [AppendObserved]. The bundle must have a label column; see [Additions].
func (b *Bundle) NewLabelSampler() Sampler {
	column := b.schema.Columns[b.labelColumn]
	spellings := outcomeSchema().Columns[1].Spellings
	s := &labelSampler{column: firstSchemaColumn + b.labelColumn}
	for _, category := range column.Categories {
		s.churned = append(s.churned, category == yes || spellings[category] == yes)
	}
	return s
}

// AppendSample implements [Sampler].
func (s *labelSampler) AppendSample(dst []byte, input, scored arrow.Record) ([]byte, error) {
	codes := input.Column(s.column).(*array.Dictionary).Indices().(*array.Uint16)
	probabilities, bands := scored.Column(2).(*array.Float32), scored.Column(3).(*array.Int16)
	for i := range int(input.NumRows()) {
		code := int(codes.Value(i))
		if codes.IsNull(i) || code >= len(s.churned) {
			continue
		}
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(probabilities.Value(i)))
		dst = binary.LittleEndian.AppendUint16(dst, uint16(bands.Value(i)))
		churned := byte(0)
		if s.churned[code] {
			churned = 1
		}
		dst = append(dst, churned)
	}
	return dst, nil
}

// AppendObserved appends the rows in a sample of [Bundle.NewLabelSampler], at most as many as dst has room for up to
// rowsMax.
func AppendObserved(dst []Observed, sample []byte, rowsMax int) []Observed {
	for ; len(sample) >= observedBytes && len(dst) < rowsMax; sample = sample[observedBytes:] {
		dst = append(dst, Observed{
			Probability: math.Float32frombits(binary.LittleEndian.Uint32(sample)),
			Band:        int16(binary.LittleEndian.Uint16(sample[4:])), Churned: sample[6] == 1,
		})
	}
	return dst
}
