package forest

// rowPart is one column of thresholds of a row that is binned by vectors. The assembly knows its layout.
type rowPart struct {
	bins   *vectorBins
	value  uint32 // position among the row's numbers
	column uint32
	twin   uint32 // the column itself if there is no twin
	_      uint32
}

// rowPlan is how single rows are binned: numbers by vectors where that is possible, and the other features one by one.
type rowPlan struct {
	features []int // of the numbers, one for each numericBins
	narrow   []rowPart
	wide     []rowPart
	oneByOne []int // positions in binner.features that have something else
}

// planRows bins every feature for itself.
func (b *binner) planRows() {
	for i := range b.features {
		b.row.oneByOne = append(b.row.oneByOne, i)
	}
}

// planRowVectors bins one by one what vectors cannot do.
func (b *binner) planRowVectors() {
	for i := range b.features {
		f := &b.features[i]
		oneByOne := len(f.sets) > 0
		for j := range f.numeric {
			f.numeric[j].inRowPlan = f.numeric[j].vector != nil
			if f.numeric[j].inRowPlan {
				b.row.add(&f.numeric[j], f.feature)
			} else {
				oneByOne = true
			}
		}
		if oneByOne {
			b.row.oneByOne = append(b.row.oneByOne, i)
		}
	}
}

func (p *rowPlan) add(n *numericBins, feature int) {
	for part, bins := range n.vector {
		column, twin := n.base+part, n.twins[part]
		if twin < 0 {
			twin = column
		}
		entry := rowPart{bins: bins, value: uint32(len(p.features)), column: uint32(column), twin: uint32(twin)}
		if n.narrow {
			p.narrow = append(p.narrow, entry)
		} else {
			p.wide = append(p.wide, entry)
		}
	}
	p.features = append(p.features, feature)
}

// fillRow writes the codes of one row to dst, one byte a column. It is for calls with too few rows to fill a block.
func (b *bins) fillRow(dst []uint8, rows Rows, row int) {
	plan := &b.binner.row
	for i, feature := range plan.features {
		b.values[i] = rows.Columns[feature].At(row)
	}
	binRow(dst, b.values, plan.wide, false)
	binRow(dst, b.values, plan.narrow, true)
	for _, i := range plan.oneByOne {
		f := &b.features[i]
		x := rows.Columns[f.feature].At(row)
		for j := range f.numeric {
			if !f.numeric[j].inRowPlan {
				f.numeric[j].fillRow(dst, x, &b.scratch)
			}
		}
		if len(f.sets) > 0 {
			b.numbers[0] = x
			f.fillSets(dst[f.first:], 1, b.numbers[:1], &b.scratch)
		}
	}
}

// fillRow writes the codes of one number.
func (n *numericBins) fillRow(dst []uint8, x float64, s *binScratch) {
	one := [1]float64{x}
	s.prepare(one[:], n.narrow, n.missing)
	rank := int(n.search.rank(s.numbers[0], orderedKey(s.numbers[0])))
	for part, twin := range n.twins {
		code := uint8(min(max(rank-part*columnThresholds, 0), columnThresholds)) | s.missing[0]
		dst[n.base+part] = code
		if twin >= 0 {
			dst[twin] = code + 1
		}
	}
}
