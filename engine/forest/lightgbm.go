package forest

import (
	"bytes"
	"math"
)

// Positions in lightgbmHeaderKeys.
const (
	headerVersion = iota
	headerClasses
	headerPerIteration
	headerMaxFeature
	headerObjective
	headerAverage
	headerNames
	headerInfos
	headerSizes
)

func lightgbmHeaderKeys() []string {
	return []string{
		"version", "num_class", "num_tree_per_iteration", "max_feature_idx", "objective", "average_output",
		"feature_names", "feature_infos", "tree_sizes",
	}
}

// lightgbmReader reads LightGBM's text format, versions 2 to 4.
type lightgbmReader struct {
	lines  lightgbmLines
	meter  *meter
	forest *Forest
	header lightgbmFields
	sizes  []byte // of the trees not yet read
	tree   lightgbmTree
}

func readLightGBM(file []byte, m *meter) (*Forest, error) {
	r := &lightgbmReader{
		lines:  lightgbmLines{file: file, meter: m},
		meter:  m,
		forest: &Forest{Library: LightGBM, Sigmoid: 1},
		header: make(lightgbmFields, len(lightgbmHeaderKeys())),
	}
	r.forest.Source.Format = FormatLightGBM
	for _, step := range []func() error{r.readHeader, r.readFeatures, r.readTrees, r.readTail, r.finish} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.forest, nil
}

func (r *lightgbmReader) readHeader() error {
	r.lines.line() // "tree", by which the format was detected
	keys := lightgbmHeaderKeys()
	if err := r.lines.section(keys, r.header); err != nil {
		return err
	}
	if err := r.setVersion(); err != nil {
		return err
	}
	classes, err := r.header.count(headerClasses, keys, 1)
	if err != nil {
		return err
	}
	perIteration, err := r.header.count(headerPerIteration, keys, 1)
	if err != nil {
		return err
	}
	if classes != perIteration {
		return fault(KindShape, "num_class is %d but num_tree_per_iteration is %d", classes, perIteration)
	}
	if classes > r.meter.limits.Classes {
		return fault(KindLimits, "model has %d classes, the limit is %d", classes, r.meter.limits.Classes)
	}
	r.forest.Classes = classes
	r.forest.Base = make([]float64, classes)
	r.forest.Average = r.header[headerAverage] != nil
	return r.setObjective(string(r.header[headerObjective]))
}

// setVersion accepts the versions that are known. LightGBM itself looks at none, so a file that lost the line, as converters
// write them, is read like one that has it.
func (r *lightgbmReader) setVersion() error {
	if r.header[headerVersion] == nil {
		r.forest.Warnings = append(r.forest.Warnings, "the file does not name its version: it is read as v4")
		return nil
	}
	version := string(r.header[headerVersion])
	if version != "v2" && version != "v3" && version != "v4" {
		return fieldFault(KindVersion, "version", "%s is not supported, only v2, v3 and v4 are", clipped(version))
	}
	r.forest.Source.Version = version
	return nil
}

func (r *lightgbmReader) readFeatures() error {
	last, err := r.header.count(headerMaxFeature, lightgbmHeaderKeys(), 0)
	if err != nil {
		return err
	}
	count := last + 1
	if count > r.meter.limits.Features {
		return fault(KindLimits, "model has %d features, the limit is %d", count, r.meter.limits.Features)
	}
	names, infos := r.header[headerNames], r.header[headerInfos]
	if names == nil {
		return fieldFault(KindField, "feature_names", "is missing")
	}
	if !mayHold(names, count) {
		return fieldFault(KindFeature, "feature_names", "does not name %d features", count)
	}
	const featureBytes = 64
	if err := r.meter.take(count, featureBytes); err != nil {
		return err
	}
	r.forest.Features = make([]Feature, count)
	if err := r.meter.take(len(names), 1); err != nil {
		return err
	}
	err = r.lines.eachToken("feature_names", names, count, func(i int, token []byte) error {
		r.forest.Features[i].Name = string(token)
		return nil
	})
	if err != nil {
		err.(*Error).Kind = KindFeature
		return err
	}
	if infos == nil {
		return nil
	}
	return r.lines.eachToken("feature_infos", infos, count, func(i int, token []byte) error {
		r.forest.Features[i].Categorical = len(token) > 0 && token[0] != '[' && string(token) != "none"
		return nil
	})
}

func (r *lightgbmReader) readTrees() error {
	r.sizes = r.header[headerSizes]
	checkSizes := r.sizes != nil
	// A tree's size cannot hold once line ends were rewritten.
	exact := checkSizes && !bytes.HasPrefix(r.lines.file, []byte("tree\r"))
	for i := 0; ; i++ {
		line, _ := r.lines.line() // section stops at a line that ends trees or begins one, so there is one
		if endsTrees(line) {
			break
		}
		start := r.lines.start
		if err := r.readTree(i, line); err != nil {
			return inTree(err, i)
		}
		if checkSizes {
			if err := r.checkSize(r.lines.file[start:r.lines.next], exact); err != nil {
				return inTree(err, i)
			}
		}
	}
	if checkSizes && len(bytes.TrimSpace(r.sizes)) > 0 {
		return fieldFault(KindTruncated, "tree_sizes", "names more trees than the %d that follow", len(r.forest.Trees))
	}
	return nil
}

// readTree reads the tree whose first line is given and leaves the lines at the next section.
func (r *lightgbmReader) readTree(i int, line []byte) error {
	if number, ok := parseInt(line[len("Tree="):]); !ok || number != int64(i) {
		return fieldFault(KindTruncated, "Tree", "%s follows where tree %d belongs", clipped(line), i)
	}
	if i >= r.meter.limits.Trees {
		return fault(KindLimits, "model has more than %d trees", r.meter.limits.Trees)
	}
	// Trees grow by doubling: the slice they outgrow is still there while it is copied.
	const treeBytes = 3 * 160
	if err := r.meter.take(1, treeBytes); err != nil {
		return err
	}
	tree, err := r.tree.read(&r.lines)
	if err != nil {
		return err
	}
	tree.Class = i % r.forest.Classes
	r.forest.Trees = append(r.forest.Trees, tree)
	return nil
}

// checkSize compares the bytes that a tree took with the next entry of tree_sizes. Blank lines may follow the last tree.
func (r *lightgbmReader) checkSize(took []byte, exact bool) error {
	var token []byte
	token, r.sizes, _ = bytes.Cut(bytes.TrimLeft(r.sizes, " "), []byte(" "))
	size, ok := parseInt(token)
	switch {
	case len(token) == 0:
		return fieldFault(KindTruncated, "tree_sizes", "names fewer trees than follow")
	case !ok:
		return fieldFault(KindField, "tree_sizes", "%s is no size", clipped(token))
	case exact && (size < 0 || size > int64(len(took)) || len(bytes.TrimLeft(took[size:], "\n")) > 0):
		return fieldFault(KindTruncated, "tree_sizes", "tree has %d bytes, not the %d of the header", len(took), size)
	}
	return nil
}

func (r *lightgbmReader) finish() error {
	f := r.forest
	if len(f.Trees)%f.Classes != 0 {
		return fault(KindShape, "%d trees cannot be shared by %d classes", len(f.Trees), f.Classes)
	}
	f.Iterations = len(f.Trees) / f.Classes
	if f.Iterations >= math.MaxInt32 {
		return fault(KindLimits, "model has %d iterations", f.Iterations)
	}
	f.Rounds = evenRounds(f.Iterations, f.Classes)
	return nil
}

// evenRounds returns Forest.Rounds for iterations of equal size.
func evenRounds(iterations, trees int) []int32 {
	rounds := make([]int32, iterations+1)
	for i := range rounds {
		rounds[i] = int32(i * trees)
	}
	return rounds
}
