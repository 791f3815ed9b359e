package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/draft"
)

// bundleCommand groups the commands that make bundles.
type bundleCommand struct {
	Create bundleCreateCommand `cmd:"" help:"Make a bundle of a model file and the rows it was trained on."`
	Check  bundleCheckCommand  `cmd:"" help:"Check a bundle, and say what people should still look at."`
}

// bundleCreateCommand drafts a bundle.
type bundleCreateCommand struct {
	Data       string      `required:"" type:"existingfile" help:"CSV file with the rows that the model was trained on." placeholder:"FILE"`
	Holdout    string      `type:"existingfile" help:"CSV file with rows that the model has not seen, with the label: AUC, bands and a correction of probabilities come from them." placeholder:"FILE"`
	ID         string      `name:"id" help:"Column with the customer's id." placeholder:"COLUMN"`
	Value      string      `help:"Column with the revenue at stake per customer." placeholder:"COLUMN"`
	Label      string      `help:"Column that says whether the customer left (yes or no, true or false, 1 or 0)." placeholder:"COLUMN"`
	Bands      string      `help:"Risk bands, as names with their upper bounds (default: by the rates of the label, else low=0.3,medium=0.6,high)." placeholder:"NAME=BOUND,…,NAME"`
	Categories []string    `sep:"none" help:"Categories of a column whose model file lists none, in the order of training (may be given more than once), or sorted: all are texts that pandas made categories of." placeholder:"COLUMN=A,B,…|sorted"`
	Iterations string      `enum:"best,all," default:"" help:"Which iterations count after early stopping: best (as XGBClassifier.predict_proba) or all (as Booster.predict, the default)."`
	Numbers    numberFlags `embed:""`
	Name       string      `help:"Name of the bundle: lower case letters, digits, - and _ (default: made from the model's file name)." placeholder:"NAME"`
	Title      string      `help:"Title that people see (default: made from the name)." placeholder:"TEXT"`
	Out        string      `help:"Directory to make (default: the bundle's name)." placeholder:"DIR"`
	Facts      string      `type:"existingfile" help:"JSON file with what is known of the model beside its file, such as golden rows and categories: the Python package writes it." placeholder:"FILE"`
	Python     string      `default:"python3" help:"Python that has the training library: it scores the golden rows. If it cannot, millrace does, and the bundle says so." placeholder:"PROGRAM"`
	Model      string      `arg:"" type:"existingfile" help:"LightGBM or XGBoost model file."`
}

// Run makes the bundle beside its place and moves it there when it has passed every check.
func (c *bundleCreateCommand) Run(ctx context.Context, std Streams) (err error) {
	o, err := c.options()
	if err != nil {
		return err
	}
	model, err := os.ReadFile(c.Model)
	if err != nil {
		return Caused(ExitNoInput, err)
	}
	if c.Out == "" {
		c.Out = o.Name
	}
	if _, err := os.Lstat(c.Out); !errors.Is(err, fs.ErrNotExist) {
		return Usage("--out %s: there is something of this name already", c.Out)
	}
	parent := filepath.Dir(filepath.Clean(c.Out)) // a directory of bundles: made with the first of them
	if _, missing := os.Stat(parent); errors.Is(missing, fs.ErrNotExist) {
		if err := os.Mkdir(parent, 0o755); err != nil { //nolint:gosec // a bundle is read by the server's user
			return Caused(ExitIO, err)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, os.Remove(parent))
			}
		}()
	}
	dir, err := os.MkdirTemp(parent, ".bundle-*")
	if err != nil {
		return Caused(ExitIO, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var holdout draft.Table
	if c.Holdout != "" {
		holdout = tableOf(c.Holdout, std)
	}
	report, err := draft.Create(ctx, bundleDir{os.DirFS(dir), dir}, filepath.Base(c.Model), model, tableOf(c.Data, std), holdout, o)
	if err != nil {
		return Caused(ExitData, err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // a bundle is read by the server's user
		return Caused(ExitIO, err)
	}
	if err := os.Rename(dir, c.Out); err != nil {
		return Caused(ExitIO, err)
	}
	_, err = fmt.Fprint(std.Out, createdText(c, report))
	return err
}

// bundleDir is the directory of a bundle that is being made.
type bundleDir struct {
	fs.FS
	path string
}

func (d bundleDir) WriteFile(name string, content []byte) error {
	return os.WriteFile(filepath.Join(d.path, name), content, 0o644) //nolint:gosec // a server's user reads it
}

// notInNames are the characters that a bundle's name has not.
var notInNames = regexp.MustCompile(`[^a-z0-9_-]+`)

func (c *bundleCreateCommand) options() (draft.Options, error) {
	o := draft.Options{
		Name: c.Name, Title: c.Title, ID: c.ID, Value: c.Value, Label: c.Label, Iterations: c.Iterations, Today: time.Now(),
	}
	if c.Holdout != "" && c.Label == "" {
		return o, Usage("--holdout needs --label: without the outcome its rows say nothing")
	}
	var err error
	if o.Numbers, err = c.Numbers.style(); err != nil {
		return o, err
	}
	if o.Bands, err = parseBands(c.Bands); err != nil {
		return o, err
	}
	if o.Categories, o.SortedCategories, err = parseCategories(c.Categories); err != nil {
		return o, err
	}
	if o.Name == "" {
		base := strings.TrimSuffix(filepath.Base(c.Model), filepath.Ext(c.Model))
		o.Name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(base), "-"), "-")
	}
	if o.Name == "" || len(o.Name) > 64 || notInNames.MatchString(o.Name) {
		return o, Usage("--name %s: 1 to 64 lower case letters, digits, - and _", o.Name)
	}
	if o.Title == "" {
		o.Title = strings.ToUpper(o.Name[:1]) + strings.NewReplacer("-", " ", "_", " ").Replace(o.Name[1:])
	}
	o.Library = trainingLibrary(c.Python, c.Model)
	o.Facts, err = readFacts(c.Facts)
	return o, err
}

// readFacts reads the file of --facts and the golden rows beside it; the zero value if there is none.
func readFacts(name string) (draft.Facts, error) {
	var facts struct {
		draft.Facts
		Golden string `json:"golden"` // file name, from the folder of the facts
	}
	if name == "" {
		return facts.Facts, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return facts.Facts, Caused(ExitNoInput, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&facts); err != nil {
		return facts.Facts, Usage("--facts %s: %v", name, err)
	}
	if facts.Golden != "" {
		golden, err := os.ReadFile(filepath.Join(filepath.Dir(name), facts.Golden))
		if err != nil {
			return facts.Facts, Caused(ExitNoInput, err)
		}
		facts.Facts.Golden = string(golden)
	}
	return facts.Facts, nil
}

// parseCategories reads the values of --categories.
func parseCategories(values []string) (stated map[string][]string, sorted bool, err error) {
	stated = map[string][]string{}
	for _, value := range values {
		column, list, ok := strings.Cut(value, "=")
		switch {
		case value == "sorted":
			sorted = true
		case !ok || column == "" || list == "":
			return nil, false, Usage("--categories %s: a column with its categories, as in plan=basic,pro,team, or sorted", value)
		default:
			stated[column] = strings.Split(list, ",")
		}
	}
	return stated, sorted, nil
}

// tableOf opens a CSV file as often as it is needed.
func tableOf(name string, std Streams) draft.Table {
	return func() (engine.Input, func(), error) { return openInput(name, std, new(outputs)) }
}

// createdText says what was made, what was assumed and what to look at.
func createdText(c *bundleCreateCommand, r *draft.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: bundle of %s, which reads %d columns; %s of %s rows of the data scored\n", c.Out, filepath.Base(c.Model),
		r.Columns, count(r.Scored), count(r.Rows))
	if r.Library != "" {
		fmt.Fprintf(&b, "verified: %d golden rows score as %s scores them\n", r.GoldenRows, r.Library)
	} else {
		fmt.Fprintf(&b, "verified: self (%d golden rows scored by millrace itself, not by the library)\n", r.GoldenRows)
	}
	writeList(&b, "Assumed", r.Assumed)
	writeList(&b, "Look at", r.LookAt)
	switch {
	case r.Holdout != nil:
		b.WriteString("\nOf the holdout:")
		b.WriteString(outcomeTables(r.Holdout))
	case r.Training != nil:
		b.WriteString("\nOf the training rows, which the model knows (no measure of how well it predicts):")
		b.WriteString(outcomeTables(r.Training))
	}
	fmt.Fprintf(&b, "\nNext: millrace score --model %s FILE, or serve it with --bundles.\n", c.Out)
	return b.String()
}

func writeList(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, line := range lines {
		text := wrapped("    ", line)
		b.WriteString("  - " + text[len("    "):])
	}
}

// bundleCheckCommand opens a bundle with every check, and reads it as a person would.
type bundleCheckCommand struct {
	Dir string `arg:"" type:"existingdir" help:"Directory of the bundle."`
}

// Run prints a line for each thing to look at.
func (c *bundleCheckCommand) Run(std Streams) error {
	b, err := openModel(c.Dir)
	if err != nil {
		return err
	}
	Warn(std, b.Warnings())
	for _, remark := range b.Lint() {
		if _, err := fmt.Fprintln(std.Out, remark); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(std.Out, "%s version %s: ok: manifest, model and golden rows\n", b.Name(), b.Version())
	return err
}
