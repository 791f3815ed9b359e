package forest

// lanes is the number of walks that run side by side: enough to hide the latency of their loads.
const lanes = 8

// portableGroupBytes is how much of a forest passes over all blocks before the next part does.
const portableGroupBytes = 256 << 10

// scorePortable walks eight rows at a time down every tree.
func (s *Scorer) scorePortable(n int) {
	stride := s.blocks * blockRows
	for class, run := range s.c.runs {
		for first := run.first; first < run.last; {
			last := s.c.groupEnd(first, run.last)
			for block := 0; block*blockRows < n; block++ {
				at := class*stride + block*blockRows
				rows := min(blockRows, n-block*blockRows)
				for i := first; i < last; i++ {
					s.addTree(&s.c.trees[i], block, at, rows)
				}
			}
			first = last
		}
	}
}

// groupEnd is the end of the group of trees that starts at first.
func (c *Compiled) groupEnd(first, last int) int {
	const nodeBytes = 12
	end, bytes := first, 0
	for end < last && (end == first || bytes < portableGroupBytes) {
		bytes += nodeBytes * c.trees[end].nodes
		end++
	}
	return end
}

func (s *Scorer) addTree(t *portableTree, block, at, rows int) {
	p, codes := &s.c.portable, s.blockCodes(block)
	xgboost := s.c.library == XGBoost
	switch {
	case t.linear != nil:
		s.addLinear(t, codes, block, at, rows)
	case t.wide && xgboost:
		addWide(p.wide[t.first:], p.wide32[t.first:], codes, s.sum32[at:], &s.c.places, rows)
	case t.wide:
		addWide(p.wide[t.first:], p.wide64[t.first:], codes, s.sum64[at:], &s.c.places, rows)
	case xgboost:
		values := (*[256]float32)(p.small32[t.first:])
		addSmall((*[256]uint32)(p.small[t.first:]), values, codes, s.sum32[at:], rows, t.depth)
	default:
		values := (*[256]float64)(p.small64[t.first:])
		addSmall((*[256]uint32)(p.small[t.first:]), values, codes, s.sum64[at:], rows, t.depth)
	}
}

// addSmall adds the leaves that the rows reach to their sums. Rows are taken eight at a time; those behind the last
// row are walked too, and their sums are never read.
func addSmall[T float32 | float64](
	nodes *[256]uint32, values *[256]T, codes []uint8, sums []T, rows, depth int,
) {
	for row := 0; row < rows; row += lanes {
		var i0, i1, i2, i3, i4, i5, i6, i7 uint8
		c := codes[row:]
		for range depth {
			i0 = stepSmall(nodes, c, i0, 0)
			i1 = stepSmall(nodes, c, i1, 1)
			i2 = stepSmall(nodes, c, i2, 2)
			i3 = stepSmall(nodes, c, i3, 3)
			i4 = stepSmall(nodes, c, i4, 4)
			i5 = stepSmall(nodes, c, i5, 5)
			i6 = stepSmall(nodes, c, i6, 6)
			i7 = stepSmall(nodes, c, i7, 7)
		}
		out := sums[row : row+lanes : row+lanes]
		out[0] += values[i0]
		out[1] += values[i1]
		out[2] += values[i2]
		out[3] += values[i3]
		out[4] += values[i4]
		out[5] += values[i5]
		out[6] += values[i6]
		out[7] += values[i7]
	}
}

func stepSmall(nodes *[256]uint32, codes []uint8, i uint8, row uint32) uint8 {
	n := nodes[i]
	code := uint32(codes[n>>16<<8+row])
	return i + uint8(n) + uint8((n>>8&255-code)>>31)
}

// addWide does the same for a tree of any size. Its walks end when all eight are at a leaf, as such trees may be deep
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
		if s.c.library == XGBoost {
			s.sum32[at+row] += float32(value)
		} else {
			s.sum64[at+row] += value
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
		sum += float64(m.Coefficients[i] * x)
	}
	return sum
}
