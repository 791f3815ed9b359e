package draft

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/retainwise/millrace/engine"
)

// yaml writes bundle.yaml in the order in which a person reads it: what the model is, its bands, its columns with the most
// important first in their comments, and at the end the training profile, which is not for editing.
func (d *description) yaml() []byte {
	w := new(yamlText)
	w.line("# Drafted from a model file and its training rows. Read it, correct it, then make the manifest anew:")
	w.line("#   sha256sum %s %s %s > %s", bundleFile, goldenFile, quoted(d.model.file), engine.ManifestFile)
	w.line("name: %s", quoted(d.Name))
	w.line("version: '1'")
	w.line("title: %s", quoted(d.Title))
	w.line("model: %s", quoted(d.model.file))
	w.optional("iterations", d.Iterations)
	w.line("probability: true")
	if d.goldens.verified != "" {
		w.line("verified: %s  # golden rows: %s", d.goldens.verified, d.verifier())
	}
	w.optional("id", d.ID)
	w.optional("value", d.Value)
	if names := d.segments(); len(names) > 0 {
		w.line("segments: %s", flow(names))
	}
	d.writeBands(w)
	w.line("")
	w.line("# label, unit and phrases are what people read; phrases may have high, low, missing, value and values.")
	w.line("# sensitive: true counts but is never given as a reason; actionable: true marks what can be changed.")
	w.line("columns:")
	for i := range d.columns {
		d.columns[i].write(w)
	}
	w.line("")
	d.writeTraining(w)
	return []byte(w.String())
}

// verifier says in words what scored the golden rows.
func (d *description) verifier() string {
	if d.goldens.library != "" {
		return "scored by " + d.goldens.library
	}
	return "scored by millrace itself, not by the library that trained the model"
}

func (d *description) writeBands(w *yamlText) {
	bands := d.Bands
	if len(bands) == 0 { // not chosen yet
		bands = []engine.Band{{Name: "high", Below: math.Inf(1)}}
	}
	w.line("bands:")
	for _, b := range bands {
		if math.IsInf(b.Below, 1) {
			w.line("  - {name: %s}", quoted(b.Name))
		} else {
			w.line("  - {name: %s, below: %s}", quoted(b.Name), decimal(b.Below))
		}
	}
	if c := d.calibration.of; c != nil {
		w.line("calibration: %s", calibrationText(c))
	}
}

func calibrationText(c *engine.Calibration) string {
	if len(c.X) > 0 {
		return fmt.Sprintf("{method: %s, x: %s, y: %s}", quoted(c.Method), numbers(c.X), numbers(c.Y))
	}
	return fmt.Sprintf("{method: %s, slope: %s, intercept: %s}", quoted(c.Method), decimal(c.Slope), decimal(c.Intercept))
}

// anchor names the list of words for a missing value, which most columns share.
const anchor = "none"

func (c *column) write(w *yamlText) {
	comment := ""
	if c.importance > 0 {
		comment = fmt.Sprintf("  # %.1f %% of the model", 100*c.importance)
	}
	w.line("  - name: %s%s", quoted(c.name), comment)
	w.line("    type: %s", c.kind)
	if c.required {
		w.line("    required: true")
	}
	if c.kind == text {
		w.line("    not_empty: true")
		return
	}
	if c.notEmpty {
		w.line("    not_empty: true")
	}
	if c.known && c.kind == category {
		w.line("    unknown: reject")
	}
	w.line("    label: %s", quoted(c.wording.label))
	switch {
	case c.kind == category:
		w.optional("    typical", c.typical)
	case c.typical != "":
		w.line("    typical: %s", c.typical)
		fallthrough
	default:
		w.optional("    unit", c.wording.unit)
	}
	if c.wording.sensitive {
		w.line("    sensitive: true")
	}
	c.writeValues(w)
	switch {
	case !slices.Equal(c.missing, missingWords):
		w.line("    missing: %s", flow(c.missing))
	case w.anchored:
		w.line("    missing: *%s", anchor)
	default:
		w.anchored = true
		w.line("    missing: &%s %s", anchor, flow(c.missing))
	}
	c.writePhrases(w)
}

func (c *column) writeValues(w *yamlText) {
	if c.kind == category {
		w.line("    categories: %s", flow(c.categories))
		if len(c.spellings) > 0 {
			w.line("    spellings:")
			for _, other := range slices.Sorted(maps.Keys(c.spellings)) {
				w.line("      %s: %s", quoted(other), quoted(c.spellings[other]))
			}
		}
		return
	}
	if c.min <= c.max {
		w.line("    min: %s", decimal(c.min))
		w.line("    max: %s", decimal(c.max))
	}
}

func (c *column) writePhrases(w *yamlText) {
	spoken := firstLower(c.wording.label)
	switch {
	case c.kind == category && isYesNo(c.categories):
		w.line("    phrases:")
		w.line("      values: {%s: %s, %s: %s}", quoted(c.categories[0]), quoted("no "+spoken), quoted(c.categories[1]), quoted(spoken))
	case c.kind == number && c.wording.high != "":
		w.line("    phrases:")
		w.line("      high: %s", quoted(c.wording.high))
		w.line("      low: %s", quoted(c.wording.low))
	}
}

// isYesNo reports whether categories are "No" and "Yes" in any case, in this order.
func isYesNo(categories []string) bool {
	return len(categories) == 2 && strings.EqualFold(categories[0], "no") && strings.EqualFold(categories[1], "yes")
}

// writeTraining writes the profile that uploads are compared with.
func (d *description) writeTraining(w *yamlText) {
	if d.rows == 0 { // not measured yet
		return
	}
	w.line("# What uploads are compared with, to notice drift.")
	w.line("training:")
	w.line("  rows: %d", d.scored)
	w.line("  date: '%s'", d.Today.Format("2006-01-02"))
	if d.ofHoldout {
		if auc := d.holdout.AUC; auc != nil {
			w.line("  auc: %s  # of the holdout", decimal(*auc))
		}
		w.line("  score_shares: %s  # of the holdout", numbers(d.shares))
	} else {
		if d.training != nil && d.training.AUC != nil {
			w.line("  # AUC of the training rows themselves, which flatters: %s", decimal(*d.training.AUC))
		}
		w.line("  score_shares: %s  # of the training rows themselves", numbers(d.shares))
	}
	w.line("  columns:")
	for i := range d.columns {
		c := &d.columns[i]
		if c.kind == text || len(c.shares) == 0 {
			continue
		}
		w.line("    %s:", quoted(c.name))
		w.line("      missing: %s", decimal(c.absent))
		if c.kind == number {
			w.line("      edges: %s", numbers(c.edges))
		}
		w.line("      shares: %s", numbers(c.shares))
	}
}

// yamlText is a file being written.
type yamlText struct {
	strings.Builder
	anchored bool // the list of words for a missing value has its name
}

func (w *yamlText) line(format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...) // a strings.Builder takes everything
	_ = w.WriteByte('\n')
}

// optional writes a key unless its value is empty.
func (w *yamlText) optional(key, value string) {
	if value != "" {
		w.line("%s: %s", key, quoted(value))
	}
}

// quoted writes a text as YAML reads it back: plain where every version of YAML takes it for a text, also within a list.
func quoted(s string) string {
	if plainText.MatchString(s) && !slices.Contains(notTexts, strings.ToLower(s)) {
		return s
	}
	node := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.SingleQuotedStyle}
	if strings.ContainsFunc(s, unicode.IsControl) {
		node.Style = yaml.DoubleQuotedStyle
	}
	out, err := yaml.Marshal(&node)
	if err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(string(out), "\n")
}

var plainText = regexp.MustCompile(`^\pL[\pL\pN_/.-]*( [\pL\pN_/.-]+)*$`)

// notTexts are the words that some version of YAML takes for something else than a text.
var notTexts = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}

func flow(texts []string) string {
	parts := make([]string, len(texts))
	for i, s := range texts {
		parts[i] = quoted(s)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func numbers(values []float64) string {
	parts := make([]string, len(values))
	for i, x := range values {
		parts[i] = decimal(x)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
