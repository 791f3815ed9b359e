package forest

import "slices"

// binCollector gathers the tests of a forest before their columns are laid out.
type binCollector struct {
	numeric map[numericKey][]float64
	left    map[numericKey]map[float64]bool // thresholds of nodes that send missing values left
	sets    map[setKey][]uint32
	order   []setKey // of first use: the layout must not depend on map order
	used    []bool   // by feature
	kernel  kernel
}

func newBinCollector(features int) *binCollector {
	return &binCollector{
		numeric: map[numericKey][]float64{},
		left:    map[numericKey]map[float64]bool{},
		sets:    map[setKey][]uint32{},
		used:    make([]bool, features),
	}
}

func (c *binCollector) add(t *Tree, n *Node) {
	c.used[n.Feature] = true
	if n.isSet() {
		key := n.setKey(t)
		if _, known := c.sets[key]; !known {
			c.sets[key] = t.Sets[n.Set][:len(key.bits)/4]
			c.order = append(c.order, key)
		}
		return
	}
	key, threshold := n.numericKey(), n.Threshold+0
	c.numeric[key] = append(c.numeric[key], threshold)
	if n.DefaultLeft && n.Missing != MissingNone {
		if c.left[key] == nil {
			c.left[key] = map[float64]bool{}
		}
		c.left[key][threshold] = true
	}
}

func (c *binCollector) layOut() *binner {
	b := &binner{numeric: map[numericKey]numericPlace{}, sets: map[setKey]int{}}
	setsOf := map[int][]setKey{}
	for _, key := range c.order {
		setsOf[int(key.feature)] = append(setsOf[int(key.feature)], key)
	}
	for feature, used := range c.used {
		if !used {
			continue
		}
		fb := featureBins{feature: feature, first: b.columns}
		for _, narrow := range []bool{false, true} {
			for _, missing := range []Missing{MissingNone, MissingZero, MissingNaN} {
				c.layOutNumeric(b, &fb, numericKey{int32(feature), narrow, missing})
			}
		}
		c.layOutSets(b, &fb, setsOf[feature])
		fb.count = b.columns - fb.first
		b.features = append(b.features, fb)
	}
	b.columns = max(b.columns, 1) // leaves read a byte too, and ignore it
	return b
}

func (c *binCollector) layOutNumeric(b *binner, fb *featureBins, key numericKey) {
	all := c.numeric[key]
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	thresholds := slices.Clone(slices.Compact(all))
	parts := (len(thresholds) + columnThresholds - 1) / columnThresholds
	bins := numericBins{
		narrow: key.narrow, missing: key.missing, thresholds: thresholds,
		base: b.columns, parts: parts, twins: slices.Repeat([]int{-1}, parts),
	}
	bins.search = newRankSearch(thresholds, key.narrow)
	b.columns += parts
	if c.kernel != kernelPortable {
		bins.prepareVector(c.kernel)
	}
	for part := range bins.twins {
		low, high := bins.part(part)
		if slices.ContainsFunc(thresholds[low:high], func(t float64) bool { return c.left[key][t] }) {
			bins.twins[part] = b.columns
			b.columns++
		}
	}
	b.numeric[key] = numericPlace{len(b.features), len(fb.numeric)}
	fb.numeric = append(fb.numeric, bins)
}

// part is the range of a column's thresholds.
func (n *numericBins) part(part int) (low, high int) {
	return part * columnThresholds, min((part+1)*columnThresholds, len(n.thresholds))
}

func (n *numericBins) prepareVector(k kernel) {
	all := make([]*vectorBins, n.parts)
	for part := range all {
		low, high := n.part(part)
		v, ok := newVectorBins(n.thresholds[low:high], n.narrow, n.missing)
		if !ok {
			return
		}
		all[part] = v
	}
	n.vector, n.kernel = all, k
}

func (c *binCollector) layOutSets(b *binner, fb *featureBins, keys []setKey) {
	categories := 0
	for _, key := range keys {
		categories = max(categories, 8*len(key.bits))
	}
	for _, key := range keys {
		s := setBins{column: b.columns, bits: c.sets[key], narrow: key.narrow, missingLeft: key.missingLeft}
		if categories <= otherCategory {
			s.table = s.compactTable()
		}
		b.sets[key] = b.columns
		b.columns++
		fb.sets = append(fb.sets, s)
	}
}
