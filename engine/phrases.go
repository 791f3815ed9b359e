package engine

import (
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/engine/forest"
)

// FeatureText is how explanations name a feature of a model and its values.
type FeatureText struct {
	Name       string   // the column's name
	Label      string   // display name; Name if empty
	Unit       string   // of numbers, in the plural: "months"
	Group      string   // features of one group are shown as one factor; empty: no group
	Typical    string   // typical value: a number, or one of Categories
	Sensitive  bool     // counted but never shown
	Categories []string // text of each category code; nil for numbers
	Phrases    Phrases
}

// Phrases are the phrases for the values of a feature. The placeholders {value}, {typical} and {unit} stand for the
// row's value, the typical value and the unit. An empty phrase gets a default made from the label.
type Phrases struct {
	High    string            // number above the typical value
	Low     string            // number below the typical value
	Missing string            // missing value
	Value   string            // category that is not in Values; number without a typical value
	Values  map[string]string // by category, or by number
}

// typicalBand is the largest deviation from the typical value, as a share of it, that is still called typical.
const typicalBand = 0.05

// featurePhrases is a FeatureText with everything precomputed that does not depend on the row.
type featurePhrases struct {
	categories []fixedText // phrase by code; nil for numbers
	values     []valuePhrase
	missing    fixedText
	unknown    fixedText // phrase of a category that the model does not know

	typical                float64 // NaN if there is none
	band                   float64 // largest deviation from typical that is still called typical
	high, low              phraseTemplate
	nearTypical, atTypical phraseTemplate // for numbers near the typical value, and equal to it
	value                  phraseTemplate
	neutral                phraseTemplate // for numbers whose deviation does not explain the contribution
	direction              int            // 1 if the risk rises with the number, -1 if it falls, 0 if neither or unknown

	head     jsonText      // {"feature":"tenure","label":"Tenure","value":
	tail     jsonText      // ,"typical":29,"contribution":
	facts    []jsonText    // head, value and tail by category code; the last one is for missing and unknown categories
	integers []integerText // texts of small integers, by number
}

// integersMax is the number of integers, from 0 on, whose texts are precomputed: enough for most months, counts and
// scores out of 100.
const integersMax = 128

// integerText is the precomputed texts of an integer.
type integerText struct {
	cell           fixedText // output of appendFact in cellForm
	raises, lowers fixedText // output of appendPhrase
}

// precomputeIntegers writes the texts of small integers. p.direction must be set before.
func (p *featurePhrases) precomputeIntegers() {
	if p.categories != nil {
		return
	}
	write := func(text func(dst []byte) []byte) fixedText {
		return newFixedText(string(text(reserve(nil, max(p.phraseBytesMax(), p.factBytesMax())))))
	}
	var whole []integerText
	for n := range integersMax {
		column := &forest.Column{Numbers: []float64{float64(n)}}
		phrase := func(raises bool) fixedText {
			return write(func(dst []byte) []byte { return p.appendPhrase(dst, column, 0, raises) })
		}
		whole = append(whole, integerText{
			cell:   write(func(dst []byte) []byte { return p.appendFact(dst, column, 0, cellForm) }),
			raises: phrase(true), lowers: phrase(false),
		})
	}
	p.integers = whole
}

// integerTextOf returns the precomputed texts of x; nil if x is not a small integer or nothing was precomputed.
func (p *featurePhrases) integerTextOf(x float64) *integerText {
	if n := int64(x); uint64(n) < uint64(len(p.integers)) && float64(n) == x {
		return &p.integers[n]
	}
	return nil
}

// valuePhrase is a number with a phrase of its own.
type valuePhrase struct {
	value float64
	text  fixedText
}

// jsonText is a JSON text, plain and escaped for a quoted CSV cell.
type jsonText [2]fixedText

// Indexes of a jsonText.
const (
	jsonForm = iota
	cellForm
)

func newJSONText(s string) jsonText {
	return jsonText{newFixedText(s), newFixedText(strings.ReplaceAll(s, `"`, `""`))}
}

// phraseTemplate is a phrase, split at the places of the row's value.
type phraseTemplate []phrasePart

// phrasePart is a text. In all parts but the first it follows a value.
type phrasePart struct {
	text     fixedText
	singular fixedText // replaces text if the value before it is 1: " month" for " months"
}

func newFeaturePhrases(f FeatureText) featurePhrases {
	label, lowered := f.label(), f.spoken()
	p := featurePhrases{
		missing: newFixedText(f.fill(cmp.Or(f.Phrases.Missing, lowered+" not known"))),
		unknown: newFixedText("unrecognised " + lowered),
		typical: math.NaN(),
	}
	head := `{"feature":` + quoteJSON(f.Name) + `,"label":` + quoteJSON(label) + `,"value":`
	tail := p.readTypical(f)
	p.head, p.tail = newJSONText(head), newJSONText(tail)
	if f.Categories != nil {
		p.readCategories(f, lowered, head, tail)
		return p
	}
	p.readNumbers(f, lowered)
	return p
}

// readTypical returns the JSON between a value and its contribution, which states the typical value.
func (p *featurePhrases) readTypical(f FeatureText) string {
	typical := "null"
	if f.Typical != "" {
		typical = quoteJSON(f.Typical)
	}
	if x, err := strconv.ParseFloat(f.Typical, 64); err == nil && f.Categories == nil && !math.IsInf(x, 0) {
		p.typical, p.band = x, math.Abs(x)*typicalBand
		typical = string(appendNumber(nil, x))
	}
	return `,"typical":` + typical + `,"contribution":`
}

func (p *featurePhrases) readCategories(f FeatureText, lowered, head, tail string) {
	p.categories = []fixedText{}
	for _, category := range f.Categories {
		text := cmp.Or(f.Phrases.Values[category], f.Phrases.Value, lowered+": {value}")
		p.categories = append(p.categories, newFixedText(strings.ReplaceAll(f.fill(text), "{value}", category)))
		p.facts = append(p.facts, newJSONText(head+quoteJSON(category)+tail))
	}
	p.facts = append(p.facts, newJSONText(head+"null"+tail))
}

func (p *featurePhrases) readNumbers(f FeatureText, lowered string) {
	for text, words := range f.Phrases.Values {
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			p.values = append(p.values, valuePhrase{x, newFixedText(f.fill(words))})
		}
	}
	measured, compared := "{value}", "{value}, typical {typical}"
	if f.Unit != "" {
		measured, compared = "{value} {unit}", "{value} {unit}, typical {typical}"
	}
	p.high = f.compile(cmp.Or(f.Phrases.High, "high "+lowered+" ("+compared+")"))
	p.low = f.compile(cmp.Or(f.Phrases.Low, "low "+lowered+" ("+compared+")"))
	p.nearTypical = f.compile(cmp.Or(f.Phrases.Value, lowered+" near the typical level ("+compared+")"))
	p.atTypical = f.compile(cmp.Or(f.Phrases.Value, lowered+" at the typical level ("+measured+")"))
	p.value = f.compile(cmp.Or(f.Phrases.Value, lowered+" "+measured))
	p.neutral = f.compile(cmp.Or(f.Phrases.Value, lowered+" ("+compared+")"))
}

// fill replaces the placeholders that do not depend on the row.
func (f *FeatureText) fill(text string) string {
	return strings.NewReplacer("{typical}", f.Typical, "{unit}", f.Unit).Replace(text)
}

// compile splits a phrase at its values. A plural unit behind a value gets a singular form: 1 month.
func (f *FeatureText) compile(text string) phraseTemplate {
	plural, _, _ := strings.Cut(f.Unit, " ")
	singular, isPlural := strings.CutSuffix(plural, "s")
	var p phraseTemplate
	for _, part := range strings.Split(f.fill(text), "{value}") {
		singularPart := part
		rest, ok := strings.CutPrefix(part, " "+plural)
		if ok && isPlural && (rest == "" || !unicode.IsLetter(firstRune(rest))) {
			singularPart = " " + singular + rest
		}
		p = append(p, phrasePart{newFixedText(part), newFixedText(singularPart)})
	}
	return p
}

// append appends the phrase to dst, which must have the capacity; see [reserve].
func (p phraseTemplate) append(dst []byte, value float64) []byte {
	dst = p[0].text.append(dst)
	for i := range p[1:] {
		first, text := len(dst), p[1+i].text
		dst = appendReadable(dst, value)
		if len(dst) == first+1 && dst[first] == '1' {
			text = p[1+i].singular
		}
		dst = text.append(dst)
	}
	return dst
}

// bytesMax bounds what append appends.
func (p phraseTemplate) bytesMax() int {
	n := 0
	for i := range p {
		n += numberBytesMax + max(len(p[i].text), len(p[i].singular))
	}
	return n
}

// factBytesMax bounds what appendFact appends, in the longer form.
func (p *featurePhrases) factBytesMax() int {
	n := len(p.head[cellForm]) + numberBytesMax + len(p.tail[cellForm])
	for i := range p.facts {
		n = max(n, len(p.facts[i][cellForm]))
	}
	return n
}

// phraseBytesMax bounds what appendPhrase appends.
func (p *featurePhrases) phraseBytesMax() int {
	n := max(len(p.missing), len(p.unknown))
	for _, text := range p.categories {
		n = max(n, len(text))
	}
	for i := range p.values {
		n = max(n, len(p.values[i].text))
	}
	for _, text := range []phraseTemplate{p.high, p.low, p.nearTypical, p.atTypical, p.value, p.neutral} {
		n = max(n, text.bytesMax())
	}
	return n
}

// appendPhrase appends the phrase for a row's value; raises says whether the value raises or lowers the risk. dst must
// have the capacity; see reserve.
func (p *featurePhrases) appendPhrase(dst []byte, column *forest.Column, row int, raises bool) []byte {
	if column.Codes != nil {
		return p.categoryPhrase(int(column.Codes[row])).append(dst)
	}
	x := column.Numbers[row]
	if w := p.integerTextOf(x); w != nil {
		if raises {
			return w.raises.append(dst)
		}
		return w.lowers.append(dst)
	}
	if math.IsNaN(x) {
		return p.missing.append(dst)
	}
	for i := range p.values { // one or two
		if p.values[i].value == x {
			return p.values[i].text.append(dst)
		}
	}
	return p.numberPhrase(x, raises).append(dst, x)
}

// categoryPhrase accepts the two codes after the categories: missing and unknown.
func (p *featurePhrases) categoryPhrase(code int) fixedText {
	switch {
	case code < len(p.categories):
		return p.categories[code]
	case code == len(p.categories):
		return p.missing
	}
	return p.unknown
}

// numberPhrase chooses the phrase for a number. It says high or low only if that deviation is expected to move the
// score as it did: 18 months may be short beside the typical customer and still lower the risk, as a contribution
// compares with all customers.
func (p *featurePhrases) numberPhrase(x float64, raises bool) phraseTemplate {
	distance := x - p.typical
	expected := p.direction > 0 == (distance > 0) // to raise the risk
	switch {
	case math.IsNaN(distance):
		return p.value
	case distance == 0:
		return p.atTypical
	case math.Abs(distance) <= p.band:
		return p.nearTypical
	case p.direction != 0 && raises != expected:
		return p.neutral
	case distance > 0:
		return p.high
	}
	return p.low
}

// appendFact appends the beginning of a factor's JSON object up to its contribution, with the row's value as a number,
// a string or null. dst must have the capacity; see reserve.
func (p *featurePhrases) appendFact(dst []byte, column *forest.Column, row, form int) []byte {
	if column.Codes != nil {
		return p.facts[min(int(column.Codes[row]), len(p.facts)-1)][form].append(dst)
	}
	if w := p.integerTextOf(column.Numbers[row]); w != nil && form == cellForm {
		return w.cell.append(dst)
	}
	dst = appendNumber(p.head[form].append(dst), column.Numbers[row])
	return p.tail[form].append(dst)
}

// lowerFirst lowers the first letter of a label for use in a sentence, but leaves names like "NPS score" alone.
func lowerFirst(label string) string {
	first, size := utf8.DecodeRuneInString(label)
	if !unicode.IsUpper(first) || unicode.IsUpper(firstRune(label[size:])) {
		return label
	}
	return string(unicode.ToLower(first)) + label[size:]
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func quoteJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
