package forest

import (
	"fmt"
	"math"
)

// xgboostReader reads an XGBoost model, JSON or UBJSON, in one pass. The order of keys is the file's business: what
// depends on several of them is put together in finish.
type xgboostReader struct {
	in     eventReader
	meter  *meter
	forest *Forest
	tree   xgboostTree

	version     []int32
	hasLearner  bool
	booster     string
	param       xgboostParam
	trees       xgboostTrees
	weights     []float32 // DART
	names       []string
	types       []string
	categories  []categoryList // per feature, from cats
	linear      bool           // the model has weights instead of trees
	foreignKeys []string       // at the top level
}

// xgboostParam is learner_model_param, in which every value is text.
type xgboostParam struct {
	base                      string
	features, classes, target int64
	present                   bool
}

// xgboostTrees are the parts of a booster's model beside the trees themselves.
type xgboostTrees struct {
	classes  []int32 // tree_info
	rounds   []int32 // iteration_indptr
	count    int64   // num_trees
	parallel int64   // num_parallel_tree
	present  bool
}

func readXGBoost(in eventReader, m *meter) (*Forest, error) {
	x := &xgboostReader{
		in:     in,
		meter:  m,
		forest: &Forest{Library: XGBoost, Sigmoid: 1},
		param:  xgboostParam{target: 1, features: -1},
		trees:  xgboostTrees{parallel: 1, count: -1},
	}
	x.forest.Source.Format = in.format()
	if err := x.readRoot(); err != nil {
		return nil, err
	}
	if err := x.finish(); err != nil {
		return nil, err
	}
	return x.forest, nil
}

func (x *xgboostReader) readRoot() error {
	err := x.object("model", func(key string) error {
		switch key {
		case "learner":
			x.hasLearner = true
			return x.readLearner()
		case "version":
			return x.readVersion()
		}
		if len(x.foreignKeys) < 8 {
			x.foreignKeys = append(x.foreignKeys, key)
		}
		return x.skip()
	})
	if err != nil {
		return err
	}
	e, err := x.in.next()
	if err == nil && e.kind != eventEnd {
		err = fault(KindTruncated, "unexpected values follow the model")
	}
	return err
}

func (x *xgboostReader) readVersion() error {
	first, err := x.in.next()
	if err != nil {
		return err
	}
	if first.kind == eventString {
		return looksLike(KindFormat, "LightGBM's dump_model", saveLightGBM)
	}
	return readArrayFrom(x, "version", first, &x.version, int32Of)
}

func (x *xgboostReader) readLearner() error {
	return x.object("learner", func(key string) error {
		switch key {
		case "attributes":
			return x.object(key, x.readAttribute)
		case "feature_names":
			return x.readNames(key, &x.names)
		case "feature_types":
			return x.readNames(key, &x.types)
		case "gradient_booster":
			return x.object(key, x.readBooster)
		case "learner_model_param":
			x.param.present = true
			return x.object(key, x.readParam)
		case "objective":
			return x.object(key, func(key string) error {
				if key == "name" {
					return x.string("objective.name", &x.forest.Objective)
				}
				return x.skip()
			})
		}
		return x.skip()
	})
}

// readAttribute takes best_iteration, which early stopping leaves as text.
func (x *xgboostReader) readAttribute(key string) error {
	if key != "best_iteration" {
		return x.skip()
	}
	var text string
	if err := x.string(key, &text); err != nil {
		return err
	}
	if v, ok := parseInt([]byte(text)); ok && v >= 0 && v < math.MaxInt32 {
		x.forest.BestIteration = int(v) + 1
	}
	return nil
}

func (x *xgboostReader) readParam(key string) error {
	number := map[string]*int64{
		"num_feature": &x.param.features,
		"num_class":   &x.param.classes,
		"num_target":  &x.param.target,
	}[key]
	switch {
	case key == "base_score":
		return x.string(key, &x.param.base)
	case number != nil:
		return x.textInt(key, number)
	}
	return x.skip()
}

// readBooster reads gradient_booster. Before 3.4 DART wraps the trees in one more object beside its weights.
func (x *xgboostReader) readBooster(key string) error {
	switch key {
	case "name":
		return x.string("gradient_booster.name", &x.booster)
	case "model":
		return x.object("model", x.readModel)
	case "gbtree":
		return x.object(key, func(key string) error {
			if key == "model" {
				return x.object(key, x.readModel)
			}
			return x.skip()
		})
	case "weight_drop":
		return readArray(x, key, &x.weights, event.asFloat32)
	}
	return x.skip()
}

func (x *xgboostReader) readModel(key string) error {
	switch key {
	case "gbtree_model_param":
		return x.object(key, func(key string) error {
			switch key {
			case "num_trees":
				return x.textInt(key, &x.trees.count)
			case "num_parallel_tree":
				return x.textInt(key, &x.trees.parallel)
			}
			return x.skip()
		})
	case "iteration_indptr":
		return readArray(x, key, &x.trees.rounds, int32Of)
	case "tree_info":
		return readArray(x, key, &x.trees.classes, int32Of)
	case "trees":
		x.trees.present = true
		return x.readTrees()
	case "weight_drop":
		return readArray(x, key, &x.weights, event.asFloat32)
	case "weights":
		x.linear = true
	case "cats":
		return x.object(key, x.readCats)
	}
	return x.skip()
}

func (x *xgboostReader) readTrees() error {
	return x.array("trees", func(i int, first event) error {
		if i >= x.meter.limits.Trees {
			return fault(KindLimits, "model has more than %d trees", x.meter.limits.Trees)
		}
		// Trees grow by doubling: the slice they outgrow is still there while it is copied.
		const treeBytes = 3 * 160
		if err := x.meter.take(1, treeBytes); err != nil {
			return err
		}
		tree, err := x.tree.read(x, i, first)
		if err != nil {
			return inTree(err, i)
		}
		x.forest.Trees = append(x.forest.Trees, tree)
		return nil
	})
}

// finish checks the parts against each other and puts them together.
func (x *xgboostReader) finish() error {
	for _, step := range []func() error{
		x.checkPresent, x.setVersion, x.setObjective, x.setBase, x.setFeatures, x.setTrees, x.setRounds, x.setWeights,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkPresent refuses documents that are something else, saying what.
func (x *xgboostReader) checkPresent() error {
	for _, key := range x.foreignKeys {
		switch key {
		case "tree_info", "tree_structure":
			return looksLike(KindFormat, "LightGBM's dump_model", saveLightGBM)
		case "Config", "Model":
			return looksLike(KindFormat, "XGBoost's serialised booster with its training state", saveXGBoost)
		case "oblivious_trees":
			return looksLike(KindFormat, "a CatBoost model", "only LightGBM and XGBoost models are read")
		}
	}
	switch {
	case !x.hasLearner:
		return fault(KindFormat, "JSON without \"learner\" is no XGBoost model; %s", saveXGBoost)
	case x.linear || x.booster == "gblinear":
		return fault(KindUnsupported, "booster gblinear is not supported, as it has no trees; train with "+
			"booster=\"gbtree\" or \"dart\"")
	case x.booster != "gbtree" && x.booster != "dart":
		return fieldFault(KindUnsupported, "gradient_booster.name", "booster %s is not supported", clipped(x.booster))
	case !x.trees.present:
		return fieldFault(KindField, "trees", "is missing")
	case !x.param.present:
		return fieldFault(KindField, "learner_model_param", "is missing")
	case x.version == nil:
		return fieldFault(KindField, "version", "is missing")
	}
	return nil
}

func (x *xgboostReader) setVersion() error {
	if len(x.version) != 3 {
		return fieldFault(KindField, "version", "has %d numbers, want 3", len(x.version))
	}
	major, minor := x.version[0], x.version[1]
	x.forest.Source.Version = fmt.Sprintf("%d.%d.%d", major, minor, x.version[2])
	if major < 1 || major > 3 {
		return fieldFault(KindVersion, "version", "%s is not supported, 1.0 to 3.4 are", x.forest.Source.Version)
	}
	if major == 3 && minor > 4 {
		x.forest.Warnings = append(x.forest.Warnings, fmt.Sprintf(
			"the file was written by XGBoost %s, newer than the tested 3.4", x.forest.Source.Version))
	}
	return nil
}
