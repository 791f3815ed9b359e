package engine

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/retainwise/millrace/ingest"
)

// bundleFile is the content of bundle.yaml.
type bundleFile struct {
	Name     string   `yaml:"name"`
	Version  string   `yaml:"version"`
	Title    string   `yaml:"title"`
	Model    string   `yaml:"model"`    // file name in the bundle
	ID       string   `yaml:"id"`       // customer id column; optional
	Value    string   `yaml:"value"`    // column with the revenue at stake; optional
	Segments []string `yaml:"segments"` // category columns to summarise by; optional
	// ChosenBy lists columns of which at least one is in the header of every file made for this model; optional.
	ChosenBy     []string       `yaml:"chosen_by"`
	Columns      []bundleColumn `yaml:"columns"`
	Bands        []bandFile     `yaml:"bands"`
	Probability  bool           `yaml:"probability"`   // whether the model's output is a probability
	Iterations   string         `yaml:"iterations"`    // which count: all (default) or best, see TakeIterations
	MissingValue string         `yaml:"missing_value"` // encoding of missing values in training; only "nan"
	Calibration  *Calibration   `yaml:"calibration"`   // optional
	Verified     string         `yaml:"verified"`      // library (default) or self
	Training     trainingFile   `yaml:"training"`
}

type bundleColumn struct {
	Name       string            `yaml:"name"`
	Type       string            `yaml:"type"` // text, number or category
	Aliases    []string          `yaml:"aliases"`
	Required   bool              `yaml:"required"`
	NotEmpty   bool              `yaml:"not_empty"`
	Min        *float64          `yaml:"min"`
	Max        *float64          `yaml:"max"`
	AllowedMin *float64          `yaml:"allowed_min"`
	AllowedMax *float64          `yaml:"allowed_max"`
	Missing    []string          `yaml:"missing"`
	Categories []string          `yaml:"categories"`
	Spellings  map[string]string `yaml:"spellings"`
	Unknown    string            `yaml:"unknown"` // warn (default) or reject
	Label      string            `yaml:"label"`
	Unit       string            `yaml:"unit"`
	Typical    string            `yaml:"typical"`
	Group      string            `yaml:"group"`
	Sensitive  bool              `yaml:"sensitive"`
	Actionable bool              `yaml:"actionable"`
	Phrases    phrasesFile       `yaml:"phrases"`
}

// phrasesFile is [Phrases] with YAML keys.
type phrasesFile struct {
	High    string            `yaml:"high"`
	Low     string            `yaml:"low"`
	Missing string            `yaml:"missing"`
	Value   string            `yaml:"value"`
	Values  map[string]string `yaml:"values"`
}

type bandFile struct {
	Name  string   `yaml:"name"`
	Below *float64 `yaml:"below"` // the last band has none
}

// trainingFile describes the training data, with which data quality and drift are compared.
type trainingFile struct {
	Rows        int64                     `yaml:"rows"`
	Date        string                    `yaml:"date"`
	AUC         float64                   `yaml:"auc"`
	ScoreShares []float64                 `yaml:"score_shares"`
	Columns     map[string]trainingColumn `yaml:"columns"`
}

type trainingColumn struct {
	Missing float64   `yaml:"missing"`
	Edges   []float64 `yaml:"edges"`
	Shares  []float64 `yaml:"shares"`
}

// bandName requires a letter or digit first, so that a spreadsheet never takes a band's name for a formula.
var bandName = regexp.MustCompile(`^[\pL\pN]`)

// What the scores of a bundle's golden rows come from.
const (
	VerifiedLibrary = "library" // the training library
	VerifiedSelf    = "self"    // this engine: they show that a model scores as it did, not that it scores as in training
)

var bundleName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

func parseBundleFile(text []byte) (*bundleFile, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true) // a misspelt key must not change scores silently
	f := new(bundleFile)
	if err := decoder.Decode(f); err != nil {
		return nil, err
	}
	return f, f.check()
}

func (f *bundleFile) check() error {
	if !bundleName.MatchString(f.Name) {
		return fmt.Errorf("name %q must match %s", f.Name, bundleName)
	}
	if f.Version == "" || f.Model == "" || len(f.Columns) == 0 {
		return fmt.Errorf("version, model and columns must be given")
	}
	if f.MissingValue != "" && f.MissingValue != "nan" {
		return fmt.Errorf("missing_value %q is not supported: train with NaN for missing", f.MissingValue)
	}
	if f.Verified != "" && f.Verified != VerifiedLibrary && f.Verified != VerifiedSelf {
		return fmt.Errorf("verified %q is neither %s nor %s", f.Verified, VerifiedLibrary, VerifiedSelf)
	}
	for _, name := range []string{f.ID, f.Value} {
		if name != "" && f.column(name) == nil {
			return fmt.Errorf("column %q is named but not described", name)
		}
	}
	for _, name := range f.ChosenBy {
		if f.column(name) == nil {
			return fmt.Errorf("chosen_by: column %q is not described", name)
		}
	}
	if c := f.column(f.Value); c != nil && c.Type != "number" {
		return fmt.Errorf("value: column %q is not a number", f.Value)
	}
	return f.checkBands()
}

func (f *bundleFile) checkBands() error {
	if len(f.Bands) == 0 {
		return fmt.Errorf("at least one risk band must be given")
	}
	for i, band := range f.Bands {
		last := i == len(f.Bands)-1
		switch {
		case !bandName.MatchString(band.Name):
			return fmt.Errorf("band %d needs a name that begins with a letter or a digit", i+1)
		case last != (band.Below == nil):
			return fmt.Errorf("band %q: every band but the last needs below", band.Name)
		case i > 0 && !last && *band.Below <= *f.Bands[i-1].Below:
			return fmt.Errorf("band %q: bounds must ascend", band.Name)
		}
	}
	return nil
}

func (f *bundleFile) column(name string) *bundleColumn {
	i := slices.IndexFunc(f.Columns, func(c bundleColumn) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Columns[i]
}

var columnKinds = map[string]ingest.Kind{"text": ingest.Text, "number": ingest.Number, "category": ingest.Category}

func (f *bundleFile) schema() (ingest.Schema, error) {
	var s ingest.Schema
	for _, c := range f.Columns {
		kind, ok := columnKinds[c.Type]
		if !ok {
			return s, fmt.Errorf("column %q: type %q is not text, number or category", c.Name, c.Type)
		}
		if (kind == ingest.Category) != (len(c.Categories) > 0) {
			return s, fmt.Errorf("column %q: categories belong to type category, and it needs them", c.Name)
		}
		s.Columns = append(s.Columns, ingest.Column{
			Name: c.Name, Label: c.Label, Aliases: c.Aliases, Kind: kind, Required: c.Required, NotEmpty: c.NotEmpty,
			Categories: c.Categories, Spellings: c.Spellings, MissingWords: c.Missing,
			Min: c.Min, Max: c.Max, AllowedMin: c.AllowedMin, AllowedMax: c.AllowedMax,
			RefuseUnknown: c.Unknown == "reject",
		})
	}
	return s, nil
}
