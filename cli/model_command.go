package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

// ModelCommands are the commands for model files and bundles that read files only.
type ModelCommands struct {
	Inspect inspectCommand `cmd:"" help:"Describe a bundle or a model file as JSON."`
	Verify  verifyCommand  `cmd:"" help:"Check a bundle (manifest, model, golden rows) or a model file."`
	Predict predictCommand `cmd:"" help:"Run a model file on a plain numeric matrix."`
}

type inspectCommand struct {
	Model string `arg:"" help:"Bundle directory, baseline name or model file."`
}

// modelDescription is the output of inspect.
type modelDescription struct {
	Name     string               `json:"name,omitempty"`
	Version  string               `json:"version,omitempty"`
	Verified string               `json:"verified,omitempty"` // library or self; only of bundles
	SHA256   string               `json:"sha256"`
	Kernel   string               `json:"kernel"`
	Columns  []string             `json:"columns,omitempty"`
	Model    forest.Description   `json:"model"`
	Features []featureDescription `json:"features"`
}

// featureDescription is a feature as the model file has it.
type featureDescription struct {
	Name       string   `json:"name"` // empty: the file names none
	Type       string   `json:"type"` // number or category
	Categories []string `json:"categories,omitempty"`
	Importance float64  `json:"importance"` // share of the gain of all splits; 0 everywhere if the file has no row counts
}

func describeFeatures(f *forest.Forest) []featureDescription {
	shares := engine.Importance(f)
	features := make([]featureDescription, len(f.Features))
	for i, feature := range f.Features {
		features[i] = featureDescription{
			Name: feature.Name, Type: "number", Categories: feature.Categories, Importance: math.Round(shares[i]*1e6) / 1e6,
		}
		if feature.Categorical || len(feature.Categories) > 0 {
			features[i].Type = "category"
		}
	}
	return features
}

// Run prints the description.
func (c *inspectCommand) Run(std Streams) error {
	var d modelDescription
	if IsFile(c.Model) {
		f, err := ReadForest(c.Model)
		if err != nil {
			return err
		}
		compiled, err := forest.Compile(f)
		if err != nil {
			return err
		}
		d = modelDescription{SHA256: fmt.Sprintf("%x", f.Source.SHA256), Kernel: compiled.Kernel(), Model: f.Describe()}
		d.Features = describeFeatures(f)
	} else {
		b, err := openModel(c.Model)
		if err != nil {
			return err
		}
		d = modelDescription{
			Name: b.Name(), Version: b.Version(), Verified: b.Verified(), SHA256: b.SHA256(), Kernel: b.Kernel(),
			Model: b.Forest().Describe(), Features: describeFeatures(b.Forest()),
		}
		for _, column := range b.Schema().Columns {
			d.Columns = append(d.Columns, column.Name)
		}
	}
	encoder := json.NewEncoder(std.Out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

type verifyCommand struct {
	Golden string `type:"existingfile" help:"CSV file with the columns of the model and what the library says of each row, _raw and _probability: compare." placeholder:"FILE"`
	Model  string `arg:"" help:"Bundle directory, baseline name or model file."`
}

// Run makes all checks that are made when a model is loaded.
func (c *verifyCommand) Run(std Streams) error {
	if IsFile(c.Model) {
		f, err := ReadForest(c.Model)
		if err != nil {
			return err
		}
		noLeaves, err := engine.CheckForest(f)
		if err != nil {
			return err
		}
		warnings := f.Warnings
		if more := engine.MoreIterations(f); more != "" {
			warnings = append(warnings, more)
		}
		Warn(std, warnings)
		if err := c.compare(); err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Out, "%s: ok: %s %s, %d trees\n%s",
			c.Model, f.Source.Format, f.Source.Version, len(f.Trees), leavesLine(noLeaves))
		return err
	}
	b, err := openModel(c.Model)
	if err != nil {
		return err
	}
	Warn(std, b.Warnings())
	if err := c.compare(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "%s version %s: ok: manifest, model and golden rows%s\n%s",
		b.Name(), b.Version(), VerifiedSelf(b), leavesLine(b.LeavesError()))
	return err
}

// VerifiedSelf marks a bundle whose golden rows no training library has scored.
func VerifiedSelf(b *engine.Bundle) string {
	if b.Verified() != engine.VerifiedSelf {
		return ""
	}
	return " (verified: self, they were scored by millrace, not by the training library)"
}

// compare scores the rows of --golden, if there is one, as any file is scored.
func (c *verifyCommand) compare() error {
	if c.Golden == "" {
		return nil
	}
	b, err := openModel(c.Model)
	if err != nil {
		return err
	}
	file, err := os.ReadFile(c.Golden)
	if err != nil {
		return err
	}
	if err := b.CheckGoldens(file); err != nil {
		return fmt.Errorf("%s: %w", c.Golden, err)
	}
	return nil
}

// Warn prints what is unusual about a model.
func Warn(std Streams, warnings []string) {
	for _, text := range warnings {
		_, _ = fmt.Fprintln(std.Err, "warning:", text)
	}
}

// leavesLine returns a line with the reason why a model was not compared with leaves; empty if it was.
func leavesLine(noLeaves error) string {
	if noLeaves == nil {
		return ""
	}
	return fmt.Sprintf("  not compared with leaves: %v\n", noLeaves)
}

func IsFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}

func ReadForest(name string) (*forest.Forest, error) {
	file, err := os.ReadFile(name)
	if err != nil {
		return nil, Caused(ExitNoInput, err)
	}
	return engine.ReadForest(filepath.Base(name), file)
}

// predictCommand predicts a numeric matrix, one line per row, for comparisons with the training library.
type predictCommand struct {
	Kind        string `enum:"raw,probability,contrib,leaf" required:"" help:"What to print: ${enum}."`
	Data        string `required:"" help:"File with a numeric matrix, comma- or tab-separated; an empty cell or nan is a missing value." placeholder:"FILE"`
	Exact       bool   `help:"Contributions in float64, leaf by leaf: slow, and within 1e-9 of the library's."`
	Header      bool   `help:"Skip the first line of the matrix, which holds column names."`
	Iterations  string `enum:"best,all," default:"" help:"Which iterations count after early stopping: best (as XGBClassifier.predict_proba) or all (as Booster.predict, the default)."`
	LabelColumn int    `default:"-1" help:"Column of the matrix to leave out, counted from 0 (-1 = none)." placeholder:"N"`
	Model       string `arg:"" help:"LightGBM or XGBoost model file."`
}

// Run reads the matrix in batches and prints tab-separated values with 17 significant digits.
func (c *predictCommand) Run(std Streams, files *outputs) error {
	f, err := ReadForest(c.Model)
	if err != nil {
		return err
	}
	if more := engine.MoreIterations(f); more != "" && c.Iterations == "" {
		Warn(std, []string{more})
	}
	if f, err = engine.TakeIterations(f, c.Iterations); err != nil {
		return err
	}
	file, err := os.Open(c.Data)
	if err != nil {
		return Caused(ExitNoInput, err)
	}
	defer func() { _ = file.Close() }()
	predict, err := newPredictor(f, c.Kind, c.Exact)
	if err != nil {
		return Usage("--kind %s: %v", c.Kind, err)
	}
	out, err := files.create("", "", std.Out)
	if err != nil {
		return err
	}
	in := NewMatrixReader(file, len(f.Features), c.Header, c.LabelColumn)
	for {
		rows, err := in.Next()
		if err == io.EOF {
			return files.finish(true)
		}
		if err != nil {
			return Caused(ExitData, fmt.Errorf("%s: %w", c.Data, err))
		}
		if err := predict(out.Writer, rows); err != nil {
			return err
		}
	}
}
