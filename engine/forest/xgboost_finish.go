package forest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// xgboostObjective returns the link of an objective, and whether base_score is given on the side of the link's result.
func xgboostObjective(name string) (link Link, baseIsLinked, known bool) {
	switch name {
	case "binary:logistic", "reg:logistic":
		return LinkSigmoid, true, true
	case "count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft":
		return LinkExp, true, true
	case "multi:softmax", "multi:softprob":
		return LinkSoftmax, false, true
	case "binary:hinge":
		return LinkHinge, false, true
	case "binary:logitraw", "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror",
		"reg:absoluteerror", "reg:quantileerror", "reg:expectileerror", "rank:pairwise", "rank:ndcg", "rank:map":
		return LinkIdentity, false, true
	}
	return LinkIdentity, false, false
}

func (x *xgboostReader) setObjective() error {
	f := x.forest
	link, _, known := xgboostObjective(f.Objective)
	if !known {
		return fieldFault(KindUnsupported, "objective.name", "%s is not supported", clipped(f.Objective))
	}
	f.Link = link
	if x.param.target > 1 && x.param.classes > 1 {
		return fieldFault(KindUnsupported, "num_target", "models of more than one target with classes are not supported; "+
			"train a model for each target")
	}
	if most := max(x.param.classes, x.param.target); most > int64(x.meter.limits.Classes) {
		return fault(KindLimits, "model has %d classes, the limit is %d", most, x.meter.limits.Classes)
	}
	if x.param.classes < 0 || x.param.classes > 1 && link != LinkSoftmax && f.Objective != "reg:squarederror" {
		return fault(KindShape, "objective %s does not fit %d classes", f.Objective, x.param.classes)
	}
	f.Classes = max(1, int(x.param.classes), int(x.param.target))
	return nil
}

// setBase turns base_score, one number or a list of them, into a margin per class, in float32 as XGBoost does.
func (x *xgboostReader) setBase() error {
	f := x.forest
	text := strings.TrimSpace(x.param.base)
	if list, ok := cutBrackets(text); ok {
		text = list
	}
	tokens := strings.Split(text, ",")
	if len(tokens) != 1 && len(tokens) != f.Classes {
		return fieldFault(KindShape, "base_score", "has %d values for %d classes", len(tokens), f.Classes)
	}
	f.Base = make([]float64, f.Classes)
	for i := range f.Base {
		token := tokens[min(i, len(tokens)-1)]
		v, ok := parseFloat([]byte(strings.TrimSpace(token)), 32)
		if !ok {
			return fieldFault(KindField, "base_score", "%s is no number", clipped(token))
		}
		margin, ok := x.margin(float32(v))
		if !ok {
			return fieldFault(KindValue, "base_score", "%s is out of range for %s", clipped(token), f.Objective)
		}
		f.Base[i] = float64(margin)
	}
	return nil
}

func cutBrackets(text string) (list string, ok bool) {
	for _, pair := range []string{"[]", "()"} {
		if len(text) >= 2 && text[0] == pair[0] && text[len(text)-1] == pair[1] {
			return text[1 : len(text)-1], true
		}
	}
	return "", false
}

// margin takes a base score through the inverse of the link.
func (x *xgboostReader) margin(base float32) (margin float32, ok bool) {
	link, linked, _ := xgboostObjective(x.forest.Objective)
	if len(x.forest.Trees) == 0 && x.since(3, 1) {
		return base, true // without a tree these versions forget the link; their predictions are the truth
	}
	if x.forest.Objective == "binary:logitraw" && !x.since(1, 3) {
		link, linked = LinkSigmoid, true
	}
	switch {
	case !linked:
		return base, true
	case link == LinkSigmoid:
		if !(base >= 0 && base <= 1) {
			return 0, false
		}
		const edge = float32(1e-6)
		base = min(max(base, edge), 1-edge)
		odds := 1/base - 1
		return -log32(odds), true
	}
	return log32(base), base > 0
}

// since reports whether the file was written by the given version or a later one.
func (x *xgboostReader) since(major, minor int32) bool {
	return x.version[0] > major || x.version[0] == major && x.version[1] >= minor
}

func (x *xgboostReader) setFeatures() error {
	count := x.param.features
	if count < 1 {
		return fieldFault(KindField, "num_feature", "is missing or not positive: the model was not trained")
	}
	if count > int64(x.meter.limits.Features) {
		return fault(KindLimits, "model has %d features, the limit is %d", count, x.meter.limits.Features)
	}
	for _, list := range []struct {
		field  string
		length int
	}{
		{"feature_names", len(x.names)}, {"feature_types", len(x.types)}, {"cats", len(x.categories)},
	} {
		if list.length != 0 && int64(list.length) != count {
			return fieldFault(KindFeature, list.field, "has %d values, num_feature is %d", list.length, count)
		}
	}
	const featureBytes = 64
	if err := x.meter.take(int(count), featureBytes); err != nil {
		return err
	}
	x.forest.Features = make([]Feature, count)
	for i := range x.forest.Features {
		f := &x.forest.Features[i]
		if len(x.names) > 0 {
			f.Name = x.names[i]
		}
		if len(x.types) > 0 {
			f.Categorical = x.types[i] == "c"
		}
		if len(x.categories) > 0 && len(x.categories[i].values) > 0 {
			x.setCategories(f, x.categories[i])
		}
	}
	if !x.since(3, 1) && slices.Contains(x.types, "c") {
		x.forest.CategoriesLost = fmt.Sprintf("XGBoost %s saves no names of categories", x.forest.Source.Version)
	}
	return nil
}

// setCategories gives a feature its categories. XGBoost 3.1 to 3.3 measures texts in characters and cuts them in bytes, so
// that beyond ASCII they are damaged, and nothing in the file says where they were cut.
func (x *xgboostReader) setCategories(f *Feature, list categoryList) {
	f.Categorical = true
	cut := x.version[0] == 3 && x.version[1] >= 1 && x.version[1] <= 3 && slices.ContainsFunc(list.values, beyondASCII)
	if !list.damaged && !cut {
		f.Categories, f.CategoryKind = list.values, list.kind
		return
	}
	x.forest.loseCategories(fmt.Sprintf("XGBoost %s saved names of categories with letters beyond ASCII damaged; "+
		"train and save with XGBoost 3.4", x.forest.Source.Version))
}

func beyondASCII(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

func (x *xgboostReader) setTrees() error {
	f := x.forest
	if x.trees.count != int64(len(f.Trees)) {
		return fieldFault(KindShape, "num_trees", "is %d but there are %d trees", x.trees.count, len(f.Trees))
	}
	if len(x.trees.classes) != len(f.Trees) {
		return fieldFault(KindShape, "tree_info", "has %d values for %d trees", len(x.trees.classes), len(f.Trees))
	}
	for i, class := range x.trees.classes {
		if class < 0 || int(class) >= f.Classes {
			return inTree(fieldFault(KindShape, "tree_info", "class %d is out of range", class), i)
		}
		f.Trees[i].Class = int(class)
	}
	return nil
}

// setRounds takes iteration_indptr, or derives it as XGBoost does for files that lack it.
func (x *xgboostReader) setRounds() error {
	f := x.forest
	rounds := x.trees.rounds
	if rounds == nil {
		return x.deriveRounds()
	}
	if len(rounds) == 0 || rounds[0] != 0 || int(rounds[len(rounds)-1]) != len(f.Trees) {
		return fieldFault(KindShape, "iteration_indptr", "does not lead from 0 to %d", len(f.Trees))
	}
	for i := 1; i < len(rounds); i++ {
		if rounds[i] < rounds[i-1] {
			return fieldFault(KindShape, "iteration_indptr", "value %d descends", i)
		}
	}
	f.Rounds, f.Iterations = rounds, len(rounds)-1
	return nil
}

func (x *xgboostReader) deriveRounds() error {
	f := x.forest
	groups := 1
	for i := range f.Trees {
		groups = max(groups, f.Trees[i].Class+1)
	}
	if x.trees.parallel < 1 || x.trees.parallel > math.MaxInt32 {
		return fieldFault(KindShape, "num_parallel_tree", "is out of range")
	}
	perRound := int64(groups) * x.trees.parallel
	if int64(len(f.Trees))%perRound != 0 {
		return fault(KindShape, "%d trees make no whole number of rounds of %d", len(f.Trees), perRound)
	}
	f.Iterations = len(f.Trees) / int(perRound)
	f.Rounds = evenRounds(f.Iterations, int(perRound))
	return nil
}

// setWeights puts DART's weights into the leaves, rounded as XGBoost rounds the product.
func (x *xgboostReader) setWeights() error {
	if len(x.weights) > len(x.forest.Trees) {
		return fieldFault(KindShape, "weight_drop", "has %d values for %d trees", len(x.weights), len(x.forest.Trees))
	}
	for i, w := range x.weights {
		if isBad32(w) {
			return inTree(fieldFault(KindValue, "weight_drop", "is not finite"), i)
		}
		leaves := x.forest.Trees[i].Leaves
		for l := range leaves {
			leaves[l].Value = float64(float32(float32(leaves[l].Value) * w))
		}
	}
	return nil
}

func isBad32(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }
