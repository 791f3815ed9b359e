package forest

// lanes is the number of walks that run side by side: enough to hide the latency of their loads.
const lanes = 8

// addTree walks a block's rows down a tree that no kernel takes.
func (s *Scorer) addTree(t *portableTree, block, at, rows int) {
	p, codes := &s.c.portable, s.blockCodes(block)
	switch {
	case t.linear != nil:
		s.addLinear(t, codes, block, at, rows)
	case s.sum32 != nil:
		addWide(p.wide[t.first:], p.wide32[t.first:], codes, s.sum32[at:], &s.c.places, rows)
	default:
		addWide(p.wide[t.first:], p.wide64[t.first:], codes, s.sum64[at:], &s.c.places, rows)
	}
}

// addWide adds the leaves that the rows reach to their sums. Rows are taken eight at a time; those behind the last row
// are walked too, and their sums are never read. The walks end when all eight are at a leaf, as large trees may be deep
// in a few places only.
func addWide[T float32 | float64](
	nodes []uint64, values []T, codes []uint8, sums []T, places *[packRows]uint8, rows int,
) {
	for row := 0; row < rows; row += lanes {
		var at [lanes]uint32
		c := codes[row:]
		for moved := true; moved; {
			moved = false
			for lane := range at {
				next := stepWide(nodes, c, at[lane], uint64(lane))
				moved = moved || next != at[lane]
				at[lane] = next
			}
		}
		pack := sums[row&^(packRows-1):]
		for lane, leaf := range at {
			pack[places[(row+lane)&(packRows-1)]] += values[leaf]
		}
	}
}

func stepWide(nodes []uint64, codes []uint8, i uint32, row uint64) uint32 {
	n := nodes[i]
	code := uint32(codes[n>>40<<8+row])
	return i + uint32(n) + (uint32(n>>32)&255-code)>>31
}

// addLinear adds the linear models of the leaves that the rows reach.
func (s *Scorer) addLinear(t *portableTree, codes []uint8, block, at, rows int) {
	nodes := s.c.portable.wide[t.first:]
	for row := range rows {
		i, c := uint32(0), codes[row:]
		for next := stepWide(nodes, c, i, 0); next != i; next = stepWide(nodes, c, i, 0) {
			i = next
		}
		leaf := s.c.portable.leafOf[t.first+int(i)]
		value := t.leaves[leaf].linearValue(&t.linear[leaf], s.bins.rows, s.first+block*blockRows+row)
		place := at + row&^(packRows-1) + int(s.c.places[row&(packRows-1)])
		if s.sum32 != nil {
			s.sum32[place] += float32(value)
		} else {
			s.sum64[place] += value
		}
	}
}

// linearValue rounds every product, so that no platform fuses it with the sum.
func (l *Leaf) linearValue(m *Linear, rows Rows, row int) float64 {
	sum := m.Const
	for i, feature := range m.Features {
		x := rows.Columns[feature].At(row)
		if x != x {
			return l.Value
		}
		sum += float64(m.Coefficients[i] * withoutDust(x))
	}
	return sum
}
