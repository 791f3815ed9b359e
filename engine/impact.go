package engine

import (
	"encoding/binary"
)

// sigmoidTable approximates sigmoids to about 1e-8, which is enough to round most impacts to a tenth of a percentage
// point in a fraction of the time of math.Exp. An approximation is used only where the exact link rounds to the same
// tenth, so results do not depend on the processor's arithmetic.
type sigmoidTable struct {
	factor float64
	values [2*sigmoidRange*sigmoidSteps + 1]float64
	tenths [2 * tenthsRange]shortText // text of each tenth of a percentage point from -tenthsRange on
}

// shortText is a text of up to seven bytes, with its length in the eighth.
type shortText uint64

func newShortText(text []byte) shortText {
	b := [8]byte{7: byte(len(text))}
	copy(b[:7], text)
	return shortText(binary.LittleEndian.Uint64(b[:]))
}

// append appends the text to dst. It overwrites up to eight bytes behind it.
func (s shortText) append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(s))[:len(dst)+int(s>>56)]
}

const (
	sigmoidRange = 20 // half the width of the table in margin units
	sigmoidSteps = 16 // table entries per margin unit
	// tenthsRange is a power of two above the largest difference of two probabilities in tenths of a percentage point.
	tenthsRange = 1024
	// impactMargin is the distance to a rounding boundary, in tenths of a percentage point, within which the exact link
	// decides. The table is exact to 1e-5, a float32 link to 4e-4.
	impactMargin = 1e-3
)

func newSigmoidTable(slope float64) *sigmoidTable {
	s := &sigmoidTable{factor: slope}
	for i := range s.tenths {
		s.tenths[i] = newShortText(appendScaled(nil, int64(i-tenthsRange), 1))
	}
	logistic := newLogistic()
	for i := range s.values {
		s.values[i] = logistic(float64(float64(i)/sigmoidSteps) - sigmoidRange)
	}
	return s
}

// approx returns the sigmoid of a raw score by the Taylor polynomial of degree 3 at the nearest table entry; the
// derivatives of a sigmoid are polynomials in the sigmoid. known is false outside the table.
func (s *sigmoidTable) approx(raw float64) (p float64, known bool) {
	x := float64((float64(raw*s.factor) + sigmoidRange) * sigmoidSteps)
	if !(x >= 0 && x <= float64(len(s.values)-1)) {
		return 0, false
	}
	i := int(x + 0.5)
	h := (x - float64(i)) / sigmoidSteps
	p = s.values[i]
	slope := float64(p * (1 - p))
	curve := 0.5 - p + float64(h*(1.0/6-slope)) // no product is fused with a sum: see the arithmetic of package forest
	return p + float64(h*slope*(1+float64(h*curve))), true
}

// appendImpact appends the percentage points of probability, in tenths, that a factor adds to the row.
func (t *Narrator) appendImpact(dst []byte, f *factor) []byte {
	without := t.row.Raw - f.contribution
	if s := t.book.sigmoid; s != nil {
		if p, known := s.approx(without); known {
			// The tenths are floor(x+0.5); only what is near a whole x+0.5 could be rounded otherwise. Numbers are moved
			// above 0, where a conversion is a floor.
			above := float64(1000*(t.row.Probability-p)) + 0.5 + tenthsRange
			whole := int64(above)
			if rest := above - float64(whole); rest > impactMargin && rest < 1-impactMargin {
				return s.tenths[whole&(2*tenthsRange-1)].append(dst)
			}
		}
	}
	return appendRounded(dst, 100*(t.row.Probability-t.book.probability(without)), 1)
}
