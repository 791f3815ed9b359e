package engine

import (
	"encoding/binary"
)

// sigmoidTable gives sigmoids to about 1e-8: enough to round most impacts to a tenth of a percentage point, in a
// fraction of the time of an exponential. What it gives is never written unless the link itself would be rounded to the
// same tenth, so that results do not depend on how a processor calculates here.
type sigmoidTable struct {
	factor float64
	at     [2*sigmoidReach*sigmoidSteps + 1]float64
	tenths [2 * tenthsReach]shortText // of a percentage point, from -tenthsReach on
}

// shortText is up to seven bytes; the eighth is how many.
type shortText uint64

func newShortText(text []byte) shortText {
	b := [8]byte{7: byte(len(text))}
	copy(b[:7], text)
	return shortText(binary.LittleEndian.Uint64(b[:]))
}

// append appends the text to dst; up to eight bytes behind it are spoilt.
func (s shortText) append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(s))[:len(dst)+int(s>>56)]
}

const (
	sigmoidReach = 20 // of the table to both sides, in margin units
	sigmoidSteps = 16 // of the table in one unit
	// tenthsReach is a power of two above the tenths of a percentage point between two probabilities.
	tenthsReach = 1024
	// impactDoubt is how near to the middle between two tenths a sum may lie before it is left to the link. In tenths of
	// a percentage point the table is right to 1e-5, a link in float32 to 4e-4.
	impactDoubt = 1e-3
)

func newSigmoidTable(factor float64) *sigmoidTable {
	s := &sigmoidTable{factor: factor}
	for i := range s.tenths {
		s.tenths[i] = newShortText(appendScaled(nil, int64(i-tenthsReach), 1))
	}
	logistic := newLogistic()
	for i := range s.at {
		s.at[i] = logistic(float64(float64(i)/sigmoidSteps) - sigmoidReach)
	}
	return s
}

// near is the sigmoid of a raw score, from the Taylor polynomial of degree 3 at the nearest point of the table: the
// derivatives of a sigmoid are polynomials in the sigmoid. Raw scores outside of the table are not known.
func (s *sigmoidTable) near(raw float64) (p float64, known bool) {
	x := float64((float64(raw*s.factor) + sigmoidReach) * sigmoidSteps)
	if !(x >= 0 && x <= float64(len(s.at)-1)) {
		return 0, false
	}
	i := int(x + 0.5)
	h := (x - float64(i)) / sigmoidSteps
	p = s.at[i]
	slope := float64(p * (1 - p))
	curve := 0.5 - p + float64(h*(1.0/6-slope)) // no product is fused with a sum: see the arithmetic of package forest
	return p + float64(h*slope*(1+float64(h*curve))), true
}

// appendImpact appends how many percentage points of probability a factor adds to the row's, in tenths.
func (t *Teller) appendImpact(dst []byte, f *factor) []byte {
	without := t.row.Raw - f.contribution
	if s := t.book.sigmoid; s != nil {
		if p, known := s.near(without); known {
			// The tenths are floor(x+0.5); only what is near a whole x+0.5 could be rounded otherwise. Numbers are moved
			// above 0, where a conversion is a floor.
			above := float64(1000*(t.row.Probability-p)) + 0.5 + tenthsReach
			whole := int64(above)
			if rest := above - float64(whole); rest > impactDoubt && rest < 1-impactDoubt {
				return s.tenths[whole&(2*tenthsReach-1)].append(dst)
			}
		}
	}
	return appendRounded(dst, 100*(t.row.Probability-t.book.probability(without)), 1)
}
