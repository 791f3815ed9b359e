package forest

// Categories are small integers held as numbers. Compact categories fit a byte: those of the sets keep their number,
// all others share one, as no set holds them.
const (
	otherCategory   = 254 // compact: not in any set
	missingCategory = 255 // compact: missing

	noCategory  = -1 // not in any set
	nanCategory = -2 // missing
)

// category truncates as the library does. XGBoost refuses everything below zero and from 2^24 on; LightGBM truncates
// first, so that -0.5 is category 0.
func category(x float64, narrow bool) int32 {
	if x != x {
		return nanCategory
	}
	if narrow {
		x = float64(float32(x))
		if x < 0 || x >= 1<<24 {
			return noCategory
		}
		return int32(x)
	}
	if x <= -1 || x >= 1<<31 {
		return noCategory
	}
	return int32(x)
}

// code is 0 if the category goes left and 255 if it goes right.
func (s *setBins) code(category int32) uint8 {
	left := false
	switch {
	case category == nanCategory:
		left = s.missingLeft
	default:
		word := int(category >> 5)
		inSet := category >= 0 && word < len(s.bits) && s.bits[word]>>(category&31)&1 == 1
		left = inSet != s.narrow // LightGBM sends the set left, XGBoost sends it right
	}
	if left {
		return 0
	}
	return missingCode
}

func (s *setBins) compactTable() *[256]uint8 {
	var table [256]uint8
	for c := range int32(otherCategory) {
		table[c] = s.code(c)
	}
	table[otherCategory] = s.code(noCategory)
	table[missingCategory] = s.code(nanCategory)
	return &table
}

// fillSets writes the set columns of one feature; narrow is the same for all of a forest's sets.
func (f *featureBins) fillSets(dst []uint8, stride int, x []float64, s *binScratch) {
	for i, v := range x {
		s.cats[i] = category(v, f.sets[0].narrow)
	}
	compact := f.sets[0].table != nil
	if compact {
		for i := range x {
			s.missing[i] = compactCategory(s.cats[i])
		}
	}
	for k := range f.sets {
		set := &f.sets[k]
		column := dst[(set.column-f.first)*stride:][:len(x)]
		if compact {
			for i := range column {
				column[i] = set.table[s.missing[i]]
			}
			continue
		}
		for i := range column {
			column[i] = set.code(s.cats[i])
		}
	}
}

func compactCategory(category int32) uint8 {
	switch {
	case category == nanCategory:
		return missingCategory
	case category < 0 || category > otherCategory:
		return otherCategory
	}
	return uint8(category)
}
