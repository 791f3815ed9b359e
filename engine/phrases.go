package engine

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/engine/forest"
)

// FeatureText says how to speak about one feature of a model.
type FeatureText struct {
	Name       string   // the column's name
	Label      string   // for people; the name if empty
	Unit       string   // of numbers, in the plural: "months"
	Group      string   // features of one group are told as one factor; empty: alone
	Typical    string   // the usual value: a number, or one of Categories
	Sensitive  bool     // counted, but never shown
	Categories []string // text of each category code; nil for numbers
	Phrases    Phrases
}

// Phrases are the words for the values of a feature. {value}, {typical} and {unit} stand for the row's value, the
// feature's typical value and its unit. An empty phrase is made up from the label.
type Phrases struct {
	High    string            // number above the typical value
	Low     string            // number below the typical value
	Missing string            // no value
	Value   string            // any category that Values does not name; number with no typical value to compare it with
	Values  map[string]string // by category, or by number
}

// typicalBand is how far from the typical value a number may be, as a share of it, and still be called typical.
const typicalBand = 0.05

// featurePhrases is a feature's text made ready: whatever can be written before the row is known is written.
type featurePhrases struct {
	categories []piece // phrase by code; nil for numbers
	values     []spokenValue
	missing    piece
	unknown    piece // category that the model does not know

	typical    float64 // NaN if there is none
	band       float64 // half the width of what counts as typical
	high, low  phrase
	near, same phrase // close to the typical value, and just that
	value      phrase
	plain      phrase // far from the typical value, which is not why the score moved
	direction  int    // of the risk where the number rises: 1 up, -1 down, 0 neither or not known

	head  jsonText    // {"feature":"tenure","label":"Tenure","value":
	tail  jsonText    // ,"typical":29,"contribution":
	facts []jsonText  // head, value and tail by code; the last one is for what is no category
	whole []wholeText // what is told of small whole numbers, by number
}

// wholeMax bounds the whole numbers, from 0 on, whose words are written before the row is known: most months, counts and
// scores out of a hundred.
const wholeMax = 128

// wholeText is what is told of a number.
type wholeText struct {
	cell           piece // the fact, as it stands in a cell
	raises, lowers piece // the phrase
}

// writeWhole writes the words of small whole numbers. The direction must be known.
func (p *featurePhrases) writeWhole() {
	if p.categories != nil {
		return
	}
	write := func(text func(dst []byte) []byte) piece {
		return newPiece(string(text(withRoom(nil, max(p.phraseRoom(), p.factRoom())))))
	}
	var whole []wholeText
	for n := range wholeMax {
		column := &forest.Column{Numbers: []float64{float64(n)}}
		phrase := func(raises bool) piece {
			return write(func(dst []byte) []byte { return p.appendPhrase(dst, column, 0, raises) })
		}
		whole = append(whole, wholeText{
			cell:   write(func(dst []byte) []byte { return p.appendFact(dst, column, 0, cellForm) }),
			raises: phrase(true), lowers: phrase(false),
		})
	}
	p.whole = whole
}

// wholeOf gives the text of a small whole number; nil if x is none, or nothing was written.
func (p *featurePhrases) wholeOf(x float64) *wholeText {
	if n := int64(x); uint64(n) < uint64(len(p.whole)) && float64(n) == x {
		return &p.whole[n]
	}
	return nil
}

// spokenValue is a number that has words of its own.
type spokenValue struct {
	value float64
	words piece
}

// jsonText is JSON as it is, and as it stands in a quoted CSV cell.
type jsonText [2]piece

// The two forms of a jsonText.
const (
	jsonForm = iota
	cellForm
)

func newJSONText(s string) jsonText {
	return jsonText{newPiece(s), newPiece(strings.ReplaceAll(s, `"`, `""`))}
}

// phrase is text around the places where the row's value goes.
type phrase []phrasePart

// phrasePart is text and, unless it is the last, the value behind it.
type phrasePart struct {
	text piece
	one  piece // instead of text if the value before it is 1: " month" for " months"
}

func newFeaturePhrases(f FeatureText) featurePhrases {
	label := f.Label
	if label == "" {
		label = f.Name
	}
	spoken := lowerFirst(label)
	p := featurePhrases{
		missing: newPiece(f.fill(or(f.Phrases.Missing, spoken+" not known"))),
		unknown: newPiece("unrecognised " + spoken),
		typical: math.NaN(),
	}
	head := `{"feature":` + quoteJSON(f.Name) + `,"label":` + quoteJSON(label) + `,"value":`
	tail := p.readTypical(f)
	p.head, p.tail = newJSONText(head), newJSONText(tail)
	if f.Categories != nil {
		p.readCategories(f, spoken, head, tail)
		return p
	}
	p.readNumbers(f, spoken)
	return p
}

// readTypical returns what follows a value: JSON that tells the typical one.
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

func (p *featurePhrases) readCategories(f FeatureText, spoken, head, tail string) {
	p.categories = []piece{}
	for _, category := range f.Categories {
		text := or(f.Phrases.Values[category], or(f.Phrases.Value, spoken+": {value}"))
		p.categories = append(p.categories, newPiece(strings.ReplaceAll(f.fill(text), "{value}", category)))
		p.facts = append(p.facts, newJSONText(head+quoteJSON(category)+tail))
	}
	p.facts = append(p.facts, newJSONText(head+"null"+tail))
}

func (p *featurePhrases) readNumbers(f FeatureText, spoken string) {
	for text, words := range f.Phrases.Values {
		if x, err := strconv.ParseFloat(text, 64); err == nil {
			p.values = append(p.values, spokenValue{x, newPiece(f.fill(words))})
		}
	}
	measured, compared := "{value}", "{value}, typical {typical}"
	if f.Unit != "" {
		measured, compared = "{value} {unit}", "{value} {unit}, typical {typical}"
	}
	p.high = f.compile(or(f.Phrases.High, "high "+spoken+" ("+compared+")"))
	p.low = f.compile(or(f.Phrases.Low, "low "+spoken+" ("+compared+")"))
	p.near = f.compile(or(f.Phrases.Value, spoken+" near the typical level ("+compared+")"))
	p.same = f.compile(or(f.Phrases.Value, spoken+" at the typical level ("+measured+")"))
	p.value = f.compile(or(f.Phrases.Value, spoken+" "+measured))
	p.plain = f.compile(or(f.Phrases.Value, spoken+" ("+compared+")"))
}

// fill puts in what is known before the row.
func (f *FeatureText) fill(text string) string {
	return strings.NewReplacer("{typical}", f.Typical, "{unit}", f.Unit).Replace(text)
}

// compile cuts a phrase at its values. Where the unit follows a value it gets a singular: 1 month.
func (f *FeatureText) compile(text string) phrase {
	plural, _, _ := strings.Cut(f.Unit, " ")
	singular, isPlural := strings.CutSuffix(plural, "s")
	var p phrase
	for _, part := range strings.Split(f.fill(text), "{value}") {
		one := part
		rest, ok := strings.CutPrefix(part, " "+plural)
		if ok && isPlural && (rest == "" || !unicode.IsLetter(firstRune(rest))) {
			one = " " + singular + rest
		}
		p = append(p, phrasePart{newPiece(part), newPiece(one)})
	}
	return p
}

// append appends the phrase to dst, which must have room.
func (p phrase) append(dst []byte, value float64) []byte {
	dst = p[0].text.append(dst)
	for i := range p[1:] {
		first, text := len(dst), p[1+i].text
		dst = appendSpoken(dst, value)
		if len(dst) == first+1 && dst[first] == '1' {
			text = p[1+i].one
		}
		dst = text.append(dst)
	}
	return dst
}

// room is what the phrase takes at most.
func (p phrase) room() int {
	n := 0
	for i := range p {
		n += numberRoom + max(len(p[i].text), len(p[i].one))
	}
	return n
}

// factRoom is what appendFact appends at most, in the longer form.
func (p *featurePhrases) factRoom() int {
	n := len(p.head[cellForm]) + numberRoom + len(p.tail[cellForm])
	for i := range p.facts {
		n = max(n, len(p.facts[i][cellForm]))
	}
	return n
}

// phraseRoom is what appendPhrase appends at most.
func (p *featurePhrases) phraseRoom() int {
	n := max(len(p.missing), len(p.unknown))
	for _, text := range p.categories {
		n = max(n, len(text))
	}
	for i := range p.values {
		n = max(n, len(p.values[i].words))
	}
	for _, text := range []phrase{p.high, p.low, p.near, p.same, p.value, p.plain} {
		n = max(n, text.room())
	}
	return n
}

// appendPhrase appends the words for a row's value, which raises the risk or lowers it. dst must have room.
func (p *featurePhrases) appendPhrase(dst []byte, column *forest.Column, row int, raises bool) []byte {
	if column.Codes != nil {
		return p.categoryPhrase(int(column.Codes[row])).append(dst)
	}
	x := column.Numbers[row]
	if w := p.wholeOf(x); w != nil {
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
			return p.values[i].words.append(dst)
		}
	}
	return p.numberPhrase(x, raises).append(dst, x)
}

// categoryPhrase knows the two codes behind the categories: missing and unknown.
func (p *featurePhrases) categoryPhrase(code int) piece {
	switch {
	case code < len(p.categories):
		return p.categories[code]
	case code == len(p.categories):
		return p.missing
	}
	return p.unknown
}

// numberPhrase calls a number high or low, unless the other way round would be expected to move the score so: 18 months
// may be short beside the typical customer and still speak for staying, as a contribution compares with all customers.
func (p *featurePhrases) numberPhrase(x float64, raises bool) phrase {
	distance := x - p.typical
	expected := p.direction > 0 == (distance > 0) // to raise the risk
	switch {
	case math.IsNaN(distance):
		return p.value
	case distance == 0:
		return p.same
	case math.Abs(distance) <= p.band:
		return p.near
	case p.direction != 0 && raises != expected:
		return p.plain
	case distance > 0:
		return p.high
	}
	return p.low
}

// appendFact appends what is told of a row's value, a number, a string or null, before its contribution. dst must have
// room.
func (p *featurePhrases) appendFact(dst []byte, column *forest.Column, row, form int) []byte {
	if column.Codes != nil {
		return p.facts[min(int(column.Codes[row]), len(p.facts)-1)][form].append(dst)
	}
	if w := p.wholeOf(column.Numbers[row]); w != nil && form == cellForm {
		return w.cell.append(dst)
	}
	dst = appendNumber(p.head[form].append(dst), column.Numbers[row])
	return p.tail[form].append(dst)
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// lowerFirst makes a label fit into a sentence; it leaves names like "NPS score" alone.
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
