package forest

import "math"

// xgboostTree reads trees, one after the other, into arrays that it reuses.
type xgboostTree struct {
	x                    *xgboostReader
	left, right, feature []int32
	value                []float32 // threshold of a node, value of a leaf
	hessian              []float32
	defaultLeft, isSet   []uint8
	setNode              []int32
	setStart, setSize    []int64
	setCategory          []int32
	setUsed              int64 // categories that lists were made of so far
	param                xgboostTreeParam

	index   []int32 // of a file's node in the forest: inner nodes from 0, leaf l as ^l
	stack   []int32
	setOf   []int32 // position in setNode of each node, -1 without
	reached int
	leaves  int
}

// xgboostTreeParam is tree_param, in which every value is text.
type xgboostTreeParam struct{ nodes, deleted, leafVector int64 }

// unreached marks a node in index that no path from the root leads to.
const unreached = int32(-1 << 31)

func (t *xgboostTree) read(x *xgboostReader, number int, first event) (Tree, error) {
	t.x = x
	t.clear()
	err := x.objectFrom("trees", first, func(key string) error { return t.readField(key, number) })
	if err != nil {
		return Tree{}, err
	}
	for _, step := range []func() error{t.check, t.walk, t.number} {
		if err := step(); err != nil {
			return Tree{}, err
		}
	}
	return t.build()
}

func (t *xgboostTree) clear() {
	t.left, t.right, t.feature, t.value = t.left[:0], t.right[:0], t.feature[:0], t.value[:0]
	t.hessian, t.defaultLeft, t.isSet = t.hessian[:0], t.defaultLeft[:0], t.isSet[:0]
	t.setNode, t.setStart, t.setSize, t.setCategory = t.setNode[:0], t.setStart[:0], t.setSize[:0], t.setCategory[:0]
	t.param, t.setUsed = xgboostTreeParam{nodes: -1, deleted: -1}, 0
}

func (t *xgboostTree) readField(key string, number int) error {
	x := t.x
	switch key {
	case "left_children":
		return readArray(x, key, &t.left, int32Of)
	case "right_children":
		return readArray(x, key, &t.right, int32Of)
	case "split_indices":
		return readArray(x, key, &t.feature, int32Of)
	case "split_conditions":
		return readArray(x, key, &t.value, event.asFloat32)
	case "sum_hessian":
		return readArray(x, key, &t.hessian, event.asFloat32)
	case "default_left":
		return readArray(x, key, &t.defaultLeft, flagOf)
	case "split_type":
		return readArray(x, key, &t.isSet, flagOf)
	case "categories_nodes":
		return readArray(x, key, &t.setNode, int32Of)
	case "categories_segments":
		return readArray(x, key, &t.setStart, int64Of)
	case "categories_sizes":
		return readArray(x, key, &t.setSize, int64Of)
	case "categories":
		return readArray(x, key, &t.setCategory, int32Of)
	case "tree_param":
		return x.object(key, t.readParam)
	case "id":
		return t.readNumber(number)
	}
	return x.skip()
}

func (t *xgboostTree) readParam(key string) error {
	switch key {
	case "num_nodes":
		return t.x.textInt(key, &t.param.nodes)
	case "num_deleted":
		return t.x.textInt(key, &t.param.deleted)
	case "size_leaf_vector":
		return t.x.textInt(key, &t.param.leafVector)
	}
	return t.x.skip()
}

func (t *xgboostTree) readNumber(want int) error {
	e, err := t.x.in.next()
	if err != nil {
		return err
	}
	if id, ok := e.asInt(); !ok || id != int64(want) {
		return fieldFault(KindShape, "id", "is not %d", want)
	}
	return nil
}

// check compares the lengths of the arrays.
func (t *xgboostTree) check() error {
	if t.param.leafVector > 1 {
		return fieldFault(KindUnsupported, "size_leaf_vector", "leaves that hold vectors are not supported; "+
			"train with multi_strategy=\"one_output_per_tree\"")
	}
	nodes := int(t.param.nodes)
	if t.param.nodes < 1 || t.param.nodes > int64(t.x.meter.limits.Nodes) {
		return fieldFault(KindField, "num_nodes", "is missing or out of range")
	}
	for _, a := range []struct {
		field  string
		length int
	}{
		{"left_children", len(t.left)},
		{"right_children", len(t.right)},
		{"split_indices", len(t.feature)},
		{"split_conditions", len(t.value)},
		{"default_left", len(t.defaultLeft)},
		{"sum_hessian", len(t.hessian)},
		{"split_type", len(t.isSet)},
	} {
		optional := a.field == "split_type" || a.field == "sum_hessian"
		if a.length != nodes && !(optional && a.length == 0) {
			return fieldFault(KindField, a.field, "has %d values, want %d", a.length, nodes)
		}
	}
	if len(t.setStart) != len(t.setNode) || len(t.setSize) != len(t.setNode) {
		return fieldFault(KindCategory, "categories_nodes", "differs in length from its segments or sizes")
	}
	return t.x.meter.takeNodes(nodes)
}

// walk goes from the root to every leaf. The order of nodes in the file means nothing, and nodes that pruning deleted
// may lie anywhere.
func (t *xgboostTree) walk() error {
	nodes := len(t.left)
	for len(t.index) < nodes {
		var err error
		if t.index, err = grow(t.x.meter, t.index); err != nil {
			return err
		}
		t.index = t.index[:cap(t.index)]
	}
	for i := range nodes {
		t.index[i] = unreached
	}
	t.reached, t.leaves = 1, 0
	t.index[0] = 0
	t.stack = append(t.stack[:0], 0)
	for len(t.stack) > 0 {
		i := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		if t.left[i] == -1 && t.right[i] == -1 {
			t.leaves++
			continue
		}
		for _, child := range [2]int32{t.right[i], t.left[i]} {
			if err := t.enter(i, child); err != nil {
				return err
			}
		}
	}
	if unseen := int64(nodes - t.reached); unseen != t.deleted() {
		return fault(KindTree, "%d nodes cannot be reached but %d are deleted", unseen, t.deleted())
	}
	return nil
}

// deleted is the number of nodes that pruning deleted. XGBoost 1.0 does not write it; the nodes bear a mark.
func (t *xgboostTree) deleted() int64 {
	if t.param.deleted >= 0 {
		return t.param.deleted
	}
	marked := int64(0)
	for i, feature := range t.feature {
		if feature == math.MaxInt32 && t.index[i] == unreached {
			marked++
		}
	}
	return marked
}

func (t *xgboostTree) enter(parent, child int32) error {
	switch {
	case child < 0 || int(child) >= len(t.left):
		return inNode(fault(KindTree, "child %d is out of range", child), parent)
	case t.index[child] != unreached:
		return inNode(fault(KindTree, "child %d has two parents", child), parent)
	}
	t.index[child] = 0
	t.reached++
	if len(t.stack) == cap(t.stack) {
		var err error
		if t.stack, err = grow(t.x.meter, t.stack); err != nil {
			return err
		}
	}
	t.stack = append(t.stack, child)
	return nil
}

// number gives the reached nodes their place in the forest, in the file's order.
func (t *xgboostTree) number() error {
	inner, leaf := int32(0), int32(0)
	for i := range t.left {
		switch {
		case t.index[i] == unreached:
		case t.left[i] == -1:
			t.index[i] = ^leaf
			leaf++
		default:
			t.index[i] = inner
			inner++
		}
	}
	return t.placeSets()
}

// inNode names the node an error was found in.
func inNode(e *Error, node int32) error {
	e.Node = int(node)
	return e
}
