package forest

import "math/bits"

// fillRow writes the codes of one row to dst, one byte a column. It is for calls with too few rows to fill a block.
func (b *binner) fillRow(dst []uint8, rows Rows, row int, s *binScratch) {
	for i := range b.features {
		f := &b.features[i]
		column := &rows.Columns[f.feature]
		x := column.At(row)
		for j := range f.numeric {
			f.numeric[j].fillRow(dst, x)
		}
		if len(f.sets) > 0 {
			one := [1]float64{x}
			f.fillSets(dst[f.first:], 1, one[:], s)
		}
	}
}

// fillRow writes the codes of one number.
func (n *numericBins) fillRow(dst []uint8, x float64) {
	nan := isNaNMask(x)
	missing := nan
	key := orderedKey(x)
	if n.narrow {
		key = orderedKey(float64(float32(x)))
	}
	switch n.missing {
	case MissingNone:
		key, missing = key&^nan|orderedKey(0)&nan, 0
	case MissingZero:
		missing |= isZeroMask(x)
	case MissingNaN:
	}
	if n.narrowKeys == nil {
		n.fillRowParts(dst, key, uint8(missing))
		return
	}
	var rank uint8
	for step := uint8(n.steps); step > 0; step >>= 1 {
		_, borrow := bits.Sub64(n.narrowKeys[rank+step-1], key, 0)
		rank += step & -uint8(borrow)
	}
	n.putRow(dst, 0, rank|uint8(missing))
}

func (n *numericBins) fillRowParts(dst []uint8, key uint64, missing uint8) {
	rank := 0
	for step := n.steps; step > 0; step >>= 1 {
		_, borrow := bits.Sub64(n.keys[rank+step-1], key, 0)
		rank += step & -int(borrow)
	}
	for part := range n.parts {
		n.putRow(dst, part, uint8(min(max(rank-part*columnThresholds, 0), columnThresholds))|missing)
	}
}

func (n *numericBins) putRow(dst []uint8, part int, code uint8) {
	dst[n.base+part] = code
	if twin := n.twins[part]; twin >= 0 {
		dst[twin] = code + 1
	}
}
