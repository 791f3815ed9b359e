package engine

import (
	"math"
	"math/bits"
	"strings"

	"github.com/retainwise/millrace/engine/forest"
)

// Which factors are shown, and how strong they are called. Shares are of the sum of a row's |contributions| by factor.
const (
	factorsMax      = 3    // per direction
	factorShareMin  = 0.05 // weaker factors are left out as noise
	strongShare     = 0.2  // +++
	noticeableShare = 0.1  // ++
)

// Phrasebook holds the texts of every feature of a model, prepared for [Narrator]. It is immutable and safe for
// concurrent use.
type Phrasebook struct {
	texts           []FeatureText
	features        []featurePhrases
	groups          []factorGroup
	first           []int         // first feature of each group
	others          []groupMember // all other features with a group, in the order of features
	probability     func(raw float64) float64
	sigmoid         *sigmoidTable // nil unless the probability is a plain sigmoid of the raw score
	impact          jsonText
	raises          [3]jsonText // end of a factor's JSON object, by strength
	lowers          [3]jsonText
	factorsBytesMax int // of a list of factors
	phraseBytesMax  int // of a phrase
}

// factorGroup is a set of features shown as one factor. Sensitive features never share a group with others, so a
// visible factor contains none of their contribution.
type factorGroup struct {
	members   []int
	sensitive bool
}

// groupMember is a feature and the group it belongs to.
type groupMember struct{ group, feature int }

// NewPhrasebook prepares the texts of a model's features, given in the model's order. probability converts a raw score
// to the model's probability; it must be safe for concurrent use.
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

// RowFacts is one scored row with its contributions.
type RowFacts struct {
	Rows          forest.Rows // batch of the row, as the model read it
	Row           int         // index in Rows
	Contributions []float64   // one per feature in margin units; a bias behind them is ignored
	Raw           float64     // raw score
	Probability   float64
	Band          string // name of the risk band
}

// Narrator explains rows in words. Call Read with a row, then any of the Append methods. A Narrator belongs to one
// goroutine; it allocates nothing once its buffers have grown.
type Narrator struct {
	book          *Phrasebook
	row           RowFacts
	risk          factorList
	protective    factorList
	aboveExpected bool // the contributions sum to 0 or more

	sums     []float64 // contributions of the row by group
	visible  []int32   // scratch of visibleGroups
	absSums  []float64 // sum of |contribution| by group over the rows read
	rowsRead int64

	text    []byte // phrases of the current sentence
	phrases []span
}

// factor is the contribution of a group, represented by one of its features.
type factor struct {
	feature      int
	contribution float64
	share        float64
}

// factorList holds the strongest factors of one direction, the strongest first.
type factorList struct {
	all [factorsMax]factor
	n   int
}

// NewNarrator returns a Narrator for one goroutine.
func (b *Phrasebook) NewNarrator() *Narrator {
	n := len(b.groups)
	return &Narrator{book: b, sums: make([]float64, n), visible: make([]int32, n), absSums: make([]float64, n)}
}

// Read sets the row that the next Append calls explain. The slices of row must not change until then.
//
// Contributions of a group are added up. The member with the largest contribution in the direction of the sum represents
// the group: its value explains the sum best.
func (t *Narrator) Read(row RowFacts) {
	t.row = row
	t.risk.n, t.protective.n = 0, 0
	total, sum := 0.0, 0.0
	t.book.sum(t.sums, row.Contributions)
	absSums := t.absSums[:len(t.sums)]
	for i, phi := range t.sums {
		sum += phi
		total += math.Abs(phi)
		absSums[i] += math.Abs(phi)
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

// visibleGroups returns the groups that may be strong enough to show, which saves a division for the others. The choice
// is unpredictable, so the list is made without branches: the bits of non-negative floats have the order of the
// numbers.
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

// sum adds contributions up by group into sums.
func (b *Phrasebook) sum(sums, contributions []float64) {
	sums = sums[:len(b.first)]
	for i, m := range b.first {
		sums[i] = contributions[m] + 0 // never -0
	}
	for _, m := range b.others {
		sums[m.group] += contributions[m.feature]
	}
}

// representative returns the feature with the largest contribution in the given direction.
func (g *factorGroup) representative(contributions []float64, direction float64) int {
	best := g.members[0]
	for _, m := range g.members[1:] {
		if math.Copysign(1, direction)*(contributions[m]-contributions[best]) > 0 {
			best = m
		}
	}
	return best
}

// insert keeps the list sorted; of equal factors the earlier one stays in front. The position is found by counting
// comparisons without branches, as it is unpredictable.
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
	for i := l.n - 1; i > at; i-- { // at most twice
		l.all[i] = l.all[i-1]
	}
	l.all[at] = f
}

// AppendRiskFactors appends a JSON array of the factors that raise the row's risk, the strongest first. The objects have
// feature, label, value, typical, contribution (margin units), impact_points (percentage points of probability that
// would go without it; they do not add up) and strength.
func (t *Narrator) AppendRiskFactors(dst []byte) []byte {
	return t.appendFactors(reserve(dst, t.book.factorsBytesMax), &t.risk, jsonForm)
}

// AppendProtectiveFactors appends the factors that lower the row's risk in the form of [Narrator.AppendRiskFactors].
func (t *Narrator) AppendProtectiveFactors(dst []byte) []byte {
	return t.appendFactors(reserve(dst, t.book.factorsBytesMax), &t.protective, jsonForm)
}

// AppendRiskCell appends the array of [Narrator.AppendRiskFactors] as a CSV cell: quoted, unless the array is empty.
func (t *Narrator) AppendRiskCell(dst []byte) []byte {
	return t.appendCell(dst, &t.risk)
}

// AppendProtectiveCell appends the array of [Narrator.AppendProtectiveFactors] as a CSV cell: quoted, unless the array
// is empty.
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

// appendFactors appends a list to dst, which must have the capacity; see reserve.
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

// strength returns the end of a factor's JSON object, which states its share of the row's contributions.
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

// strengthTexts returns the ends of a factor's JSON object from weak to strong.
func strengthTexts(sign string) (texts [3]jsonText) {
	for i := range texts {
		texts[i] = newJSONText(`,"strength":"` + strings.Repeat(sign, i+1) + `"}`)
	}
	return texts
}
