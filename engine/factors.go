package engine

import (
	"math"
	"math/bits"
	"strings"

	"github.com/retainwise/millrace/engine/forest"
)

// What is worth telling. Shares are of the sum of all |contributions| of a row, after groups are added up.
const (
	factorsMax      = 3    // of each kind
	factorShareMin  = 0.05 // below, a factor is noise to a reader
	strongShare     = 0.2  // +++
	noticeableShare = 0.1  // ++
)

// Phrasebook knows how to speak about every feature of a model. It is immutable and may be shared.
type Phrasebook struct {
	texts           []FeatureText
	features        []featurePhrases
	groups          []factorGroup
	first           []int         // member of each group
	others          []groupMember // that are not the first ones, in the order of features
	probability     func(raw float64) float64
	sigmoid         *sigmoidTable // nil if the probability is no plain sigmoid of the raw score
	impact          jsonText
	raises          [3]jsonText // how a factor ends, by strength
	lowers          [3]jsonText
	factorsBytesMax int // what a list of factors takes at most
	phraseBytesMax  int // what a phrase takes at most
}

// factorGroup is features that are told as one factor. Sensitive features are never in a group with others: a factor
// that is shown holds nothing of theirs.
type factorGroup struct {
	members   []int
	sensitive bool
}

// groupMember is a feature and its group.
type groupMember struct{ group, feature int }

// NewPhrasebook prepares the texts of a model's features, in the model's order. Probability turns a raw score into what
// the model promises; it must be safe for concurrent use.
func NewPhrasebook(features []FeatureText, probability func(raw float64) float64) *Phrasebook {
	type key struct {
		group     string
		sensitive bool
	}
	b := &Phrasebook{
		texts: features, probability: probability, impact: newJSONText(`,"impact_points":`),
		raises: strengthTexts("+"), lowers: strengthTexts("-"),
	}
	known := map[key]int{}
	for i, f := range features {
		phrases := newFeaturePhrases(f)
		b.features = append(b.features, phrases)
		b.factorsBytesMax = max(b.factorsBytesMax, phrases.factBytesMax())
		b.phraseBytesMax = max(b.phraseBytesMax, phrases.phraseBytesMax())
		k := key{f.Group, f.Sensitive}
		g, ok := known[k]
		if !ok || f.Group == "" {
			g = len(b.groups)
			known[k] = g
			b.groups = append(b.groups, factorGroup{sensitive: f.Sensitive})
			b.first = append(b.first, i)
		} else {
			b.others = append(b.others, groupMember{g, i})
		}
		b.groups[g].members = append(b.groups[g].members, i)
	}
	b.factorsBytesMax += 2*numberBytesMax + len(b.impact[cellForm]) + len(b.raises[2][cellForm]) + len(",")
	b.factorsBytesMax = factorsMax*b.factorsBytesMax + len(`"[]"`)
	return b
}

// RowFacts is one scored row.
type RowFacts struct {
	Rows          forest.Rows // the batch that the row is in, as the model read it
	Row           int         // its place there
	Contributions []float64   // one per feature, in margin units
	Raw           float64     // raw score
	Probability   float64
	Band          string // name of the risk band
}

// Narrator puts rows into words. It is the scratch of one worker: Read a row, then append what is wanted. It allocates
// nothing once its buffers have grown.
type Narrator struct {
	book          *Phrasebook
	row           RowFacts
	risk          factorList
	protective    factorList
	aboveExpected bool // the contributions raise the score above what is expected of a row

	sums     []float64 // of the row's contributions, by group
	visible  []int32   // scratch of audible
	absSums  []float64 // sum of |contribution| by group, over the rows that were read
	rowsRead int64

	text    []byte // phrases of the sentence at hand
	phrases []span
}

// factor is a group's contribution and the feature that speaks for it.
type factor struct {
	feature      int
	contribution float64
	share        float64
}

// factorList holds the strongest factors of a kind, the strongest first.
type factorList struct {
	all [factorsMax]factor
	n   int
}

// NewNarrator returns the scratch of one worker.
func (b *Phrasebook) NewNarrator() *Narrator {
	n := len(b.groups)
	return &Narrator{book: b, sums: make([]float64, n), visible: make([]int32, n), absSums: make([]float64, n)}
}

// Read takes the row that the next calls speak about. It keeps no slice of the row's longer than they last.
//
// Contributions of a group are added up. The member that pushes hardest in the sum's direction speaks for it: its value
// is the one that explains the sum.
func (t *Narrator) Read(row RowFacts) {
	t.row = row
	t.risk.n, t.protective.n = 0, 0
	total, sum := 0.0, 0.0
	t.book.sum(t.sums, row.Contributions)
	moved := t.absSums[:len(t.sums)]
	for i, phi := range t.sums {
		sum += phi
		total += math.Abs(phi)
		moved[i] += math.Abs(phi)
	}
	t.rowsRead++
	t.aboveExpected = sum >= 0
	for _, i := range t.visibleGroups(total) {
		phi := t.sums[i]
		g := &t.book.groups[i]
		share := math.Abs(phi) / total
		if g.sensitive || !(share >= factorShareMin) {
			continue
		}
		f := factor{g.representative(row.Contributions, phi), phi, share}
		if phi > 0 {
			t.risk.insert(f)
		} else {
			t.protective.insert(f)
		}
	}
}

// visibleGroups lists the groups that may be no noise: they are spared a division. Which ones they are is hard to guess, so the
// list is made without a branch, of the bits of numbers that are not negative, which have the numbers' order.
func (t *Narrator) visibleGroups(total float64) []int32 {
	surelyNoise := math.Float64bits(total * (factorShareMin * 0.999))
	list, n := t.visible[:len(t.sums)], 0
	for i, phi := range t.sums {
		list[n] = int32(i)
		_, noise := bits.Sub64(math.Float64bits(math.Abs(phi)), surelyNoise, 0)
		n += int(1 - noise)
	}
	return list[:n]
}

// sum adds contributions up by group.
func (b *Phrasebook) sum(sums, contributions []float64) {
	sums = sums[:len(b.first)]
	for i, m := range b.first {
		sums[i] = contributions[m] + 0 // never -0
	}
	for _, m := range b.others {
		sums[m.group] += contributions[m.feature]
	}
}

func (g *factorGroup) representative(contributions []float64, direction float64) int {
	best := g.members[0]
	for _, m := range g.members[1:] {
		if math.Copysign(1, direction)*(contributions[m]-contributions[best]) > 0 {
			best = m
		}
	}
	return best
}

// insert keeps the list sorted; among equals the earlier one stays in front. Every factor that is not weaker moves it on:
// comparisons are counted, not branched on, as where a factor belongs is hard to guess.
func (l *factorList) insert(f factor) {
	at := 0
	for i := range l.n {
		if l.all[i].share >= f.share {
			at++
		}
	}
	if at == factorsMax {
		return
	}
	l.n = min(l.n+1, factorsMax)
	for i := l.n - 1; i > at; i-- { // two at most
		l.all[i] = l.all[i-1]
	}
	l.all[at] = f
}

// AppendRiskFactors appends the factors that raise the row's risk, the strongest first: a JSON array of objects with
// feature, label, value, typical, contribution (margin units), impact_points (percentage points of probability that
// would go without it; they do not add up) and strength.
func (t *Narrator) AppendRiskFactors(dst []byte) []byte {
	return t.appendFactors(reserve(dst, t.book.factorsBytesMax), &t.risk, jsonForm)
}

// AppendProtectiveFactors appends the factors that lower the row's risk, like [Narrator.AppendRiskFactors].
func (t *Narrator) AppendProtectiveFactors(dst []byte) []byte {
	return t.appendFactors(reserve(dst, t.book.factorsBytesMax), &t.protective, jsonForm)
}

// AppendRiskCell appends what [Narrator.AppendRiskFactors] appends as a cell of a CSV file: in quotes, unless it is empty.
func (t *Narrator) AppendRiskCell(dst []byte) []byte {
	return t.appendCell(dst, &t.risk)
}

// AppendProtectiveCell is to [Narrator.AppendProtectiveFactors] what [Narrator.AppendRiskCell] is to AppendRiskFactors.
func (t *Narrator) AppendProtectiveCell(dst []byte) []byte {
	return t.appendCell(dst, &t.protective)
}

func (t *Narrator) appendCell(dst []byte, l *factorList) []byte {
	if l.n == 0 {
		return append(dst, "[]"...)
	}
	dst = reserve(dst, t.book.factorsBytesMax)
	return append(t.appendFactors(append(dst, '"'), l, cellForm), '"')
}

// appendFactors appends a list to dst, which must have room.
func (t *Narrator) appendFactors(dst []byte, l *factorList, form int) []byte {
	dst = append(dst, '[')
	for i := range l.n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = t.appendFactor(dst, &l.all[i], form)
	}
	return append(dst, ']')
}

func (t *Narrator) appendFactor(dst []byte, f *factor, form int) []byte {
	p := &t.book.features[f.feature]
	dst = p.appendFact(dst, &t.row.Rows.Columns[f.feature], t.row.Row, form)
	dst = appendRounded(dst, f.contribution, 4)
	dst = t.book.impact[form].append(dst)
	dst = t.appendImpact(dst, f)
	return t.book.strength(f)[form].append(dst)
}

// strength says how much of the row's contributions a factor is: how its object ends.
func (b *Phrasebook) strength(f *factor) *jsonText {
	signs := &b.raises
	if f.contribution < 0 {
		signs = &b.lowers
	}
	switch {
	case f.share >= strongShare:
		return &signs[2]
	case f.share >= noticeableShare:
		return &signs[1]
	}
	return &signs[0]
}

// strengthTexts are the ends of factors from weak to strong.
func strengthTexts(sign string) (texts [3]jsonText) {
	for i := range texts {
		texts[i] = newJSONText(`,"strength":"` + strings.Repeat(sign, i+1) + `"}`)
	}
	return texts
}
