package forest

// fewRowsMax is the greatest number of rows that are scored one by one. A pack takes about as long as one more.
func (c *Compiled) fewRowsMax() int {
	switch {
	case c.linear:
		return 0 // the values of linear leaves need the row
	case len(c.runs[0].row) > 0:
		return 15
	case c.kernel == kernelAVX2:
		return 10
	}
	return 6
}

// scoreFew scores rows one by one.
func (s *Scorer) scoreFew(dst []float64, rows Rows) {
	classes := len(s.c.runs)
	codes := s.codes[:s.c.columns]
	for row := range rows.Len {
		s.bins.fillRow(codes, rows, row)
		for class := range s.c.runs {
			run, raw := &s.c.runs[class], 0.0
			if s.c.library == XGBoost {
				raw = float64(s.few32(run, float32(s.c.base[class]), codes))
			} else {
				raw = s.few64(run, s.c.base[class], codes)
			}
			dst[row*classes+class] = raw
		}
	}
	s.divide(dst[:rows.Len*classes])
}

func (s *Scorer) few64(run *classRun, sum float64, codes []uint8) float64 {
	for i := range run.row {
		sum = kernelRow64(&run.row[i], sum, codes)
	}
	if len(run.row) > 0 {
		return sum
	}
	p := &s.c.portable
	for i := range run.few {
		g := &run.few[i]
		if s.c.kernel == kernelPortable {
			sum = addEights(g.eights, p, p.small64, sum, codes)
		} else {
			sum = kernelEights64(g.eights, p, sum, codes)
		}
		if g.wide >= 0 {
			first := s.c.trees[g.wide].first
			sum += p.wide64[first+walkWide(p.wide[first:], codes)]
		}
	}
	return sum
}

func (s *Scorer) few32(run *classRun, sum float32, codes []uint8) float32 {
	for i := range run.row {
		sum = kernelRow32(&run.row[i], sum, codes)
	}
	if len(run.row) > 0 {
		return sum
	}
	p := &s.c.portable
	for i := range run.few {
		g := &run.few[i]
		if s.c.kernel == kernelPortable {
			sum = addEights(g.eights, p, p.small32, sum, codes)
		} else {
			sum = kernelEights32(g.eights, p, sum, codes)
		}
		if g.wide >= 0 {
			first := s.c.trees[g.wide].first
			sum += p.wide32[first+walkWide(p.wide[first:], codes)]
		}
	}
	return sum
}

// walkWide returns the node of the leaf that a row reaches; its codes lie side by side.
func walkWide(nodes []uint64, codes []uint8) int {
	for i := uint32(0); ; {
		n := nodes[i]
		next := i + uint32(n) + (uint32(n>>32)&255-uint32(codes[n>>40]))>>31
		if next == i {
			return int(i)
		}
		i = next
	}
}

// addEights adds the leaves that a row reaches to its sum.
func addEights[T float32 | float64](eights []fewTrees, p *portableNodes, values []T, sum T, codes []uint8) T {
	for i := range eights {
		for _, leaf := range walkEight(&eights[i], p.small, codes) {
			sum += values[leaf]
		}
	}
	return sum
}

// walkEight returns the nodes of the leaves that a row reaches in eight trees.
func walkEight(t *fewTrees, nodes []uint32, codes []uint8) [lanes]uint32 {
	i0, i1, i2, i3 := t.roots[0], t.roots[1], t.roots[2], t.roots[3]
	i4, i5, i6, i7 := t.roots[4], t.roots[5], t.roots[6], t.roots[7]
	for range t.steps {
		i0 = stepOne(nodes, codes, i0)
		i1 = stepOne(nodes, codes, i1)
		i2 = stepOne(nodes, codes, i2)
		i3 = stepOne(nodes, codes, i3)
		i4 = stepOne(nodes, codes, i4)
		i5 = stepOne(nodes, codes, i5)
		i6 = stepOne(nodes, codes, i6)
		i7 = stepOne(nodes, codes, i7)
	}
	return [lanes]uint32{i0, i1, i2, i3, i4, i5, i6, i7}
}

func stepOne(nodes []uint32, codes []uint8, i uint32) uint32 {
	n := nodes[i]
	return i + n&255 + (n>>8&255-uint32(codes[n>>16]))>>31
}
