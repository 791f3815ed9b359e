package forest

// readLinear reads the linear models of a tree's leaves. The leaves' lists of features and coefficients are each
// followed by one more space, so an empty list shows only as more spaces: the tokens are counted by num_features.
func (t *lightgbmTree) readLinear() error {
	flag := t.fields[treeIsLinear]
	if flag == nil || string(flag) == "0" {
		return nil
	}
	if string(flag) != "1" {
		return fieldFault(KindField, "is_linear", "%s is neither 0 nor 1", clipped(flag))
	}
	leaves := len(t.tree.Leaves)
	if leaves == 1 && len(t.fields[treeLinearCounts]) == 0 {
		return nil // a tree of one leaf is its value
	}
	if err := t.lines.meter.take(leaves, linearBytes+8); err != nil {
		return err
	}
	t.tree.Linear = make([]Linear, leaves)
	linear := t.tree.Linear
	err := t.lines.floats("leaf_const", t.fields[treeLeafConst], leaves, func(i int, v float64) {
		linear[i].Const = v
	})
	if err != nil {
		return err
	}
	total, err := t.allocateTerms()
	if err != nil {
		return err
	}
	if err := t.readTerms(total); err != nil {
		return err
	}
	for i := range linear {
		if len(linear[i].Features) == 0 { // it adds its constant to every row
			t.tree.Leaves[i].Value = linear[i].Const
		}
	}
	return nil
}

// allocateTerms makes every leaf's lists by num_features and returns their total length.
func (t *lightgbmTree) allocateTerms() (int, error) {
	linear, total, bad := t.tree.Linear, 0, false
	room := len(t.fields[treeLinearFeatures])
	counts := make([]int32, 0, 64)
	err := t.lines.ints("num_features", t.fields[treeLinearCounts], len(linear), func(_ int, v int32) {
		bad = bad || v < 0 || int(v) > room
		total += int(v)
		counts = append(counts, v)
	})
	if err != nil {
		return 0, err
	}
	if bad || total > room {
		return 0, fieldFault(KindField, "num_features", "names more features than leaf_features holds")
	}
	if err := t.lines.meter.take(total, 12); err != nil {
		return 0, err
	}
	features, coefficients := make([]int32, total), make([]float64, total)
	for i, n := range counts {
		linear[i].Features, features = features[:n:n], features[n:]
		linear[i].Coefficients, coefficients = coefficients[:n:n], coefficients[n:]
	}
	return total, nil
}

func (t *lightgbmTree) readTerms(total int) error {
	leaf, at := 0, 0
	advance := func() {
		for at == len(t.tree.Linear[leaf].Features) {
			leaf, at = leaf+1, 0
		}
	}
	err := t.lines.ints("leaf_features", t.fields[treeLinearFeatures], total, func(_ int, v int32) {
		advance()
		t.tree.Linear[leaf].Features[at] = v
		at++
	})
	if err != nil {
		return err
	}
	leaf, at = 0, 0
	return t.lines.floats("leaf_coeff", t.fields[treeLinearCoefficients], total, func(_ int, v float64) {
		advance()
		t.tree.Linear[leaf].Coefficients[at] = v
		at++
	})
}
