package forest

import "math"

// Validate checks that scoring the forest can neither fail nor loop: every scorer relies on it and checks nothing.
// Read has called it already; it is for forests from elsewhere.
func (f *Forest) Validate(limits Limits) error {
	limits = limits.withDefaults()
	for _, check := range []func(Limits) error{f.validateHead, f.validateFeatures, f.validateRounds} {
		if err := check(limits); err != nil {
			return err
		}
	}
	v := treeValidator{forest: f, limits: limits, nodes: limits.Nodes}
	for i := range f.Trees {
		if err := v.validate(&f.Trees[i]); err != nil {
			return inTree(err, i)
		}
	}
	return nil
}

func (f *Forest) validateHead(limits Limits) error {
	switch {
	case f.Library != LightGBM && f.Library != XGBoost:
		return fault(KindUnsupported, "library %d is unknown", f.Library)
	case f.Link > LinkHinge:
		return fault(KindUnsupported, "link %d is unknown", f.Link)
	case f.Classes < 1:
		return fault(KindShape, "model has no classes")
	case f.Classes > limits.Classes:
		return fault(KindLimits, "model has %d classes, the limit is %d", f.Classes, limits.Classes)
	case len(f.Trees) > limits.Trees:
		return fault(KindLimits, "model has %d trees, the limit is %d", len(f.Trees), limits.Trees)
	case len(f.Base) != f.Classes:
		return fault(KindShape, "%d base margins for %d classes", len(f.Base), f.Classes)
	case !(f.Sigmoid > 0) || math.IsInf(f.Sigmoid, 0):
		return fault(KindValue, "sigmoid factor is not positive")
	}
	for _, b := range f.Base {
		if !isFinite(b) || f.Library == XGBoost && float64(float32(b)) != b {
			return fault(KindValue, "base margin is not finite")
		}
	}
	return nil
}

func (f *Forest) validateFeatures(limits Limits) error {
	if len(f.Features) > limits.Features {
		return fault(KindLimits, "model has %d features, the limit is %d", len(f.Features), limits.Features)
	}
	seen := make(map[string]struct{}, len(f.Features))
	for i := range f.Features {
		name := f.Features[i].Name
		if (name == "") != (f.Features[0].Name == "") {
			return fault(KindFeature, "feature %d has no name though others have", i)
		}
		if _, ok := seen[name]; ok && name != "" {
			return fault(KindFeature, "two features are named %s", clipped(name))
		}
		seen[name] = struct{}{}
	}
	return nil
}

func (f *Forest) validateRounds(Limits) error {
	if f.Average && f.Iterations < 1 && len(f.Trees) > 0 {
		return fault(KindShape, "average over %d iterations", f.Iterations)
	}
	if f.Rounds == nil {
		return nil
	}
	if len(f.Rounds) != f.Iterations+1 || int(f.Rounds[f.Iterations]) != len(f.Trees) || f.Rounds[0] != 0 {
		return fault(KindShape, "iterations do not cover the trees")
	}
	for i := range f.Iterations {
		if f.Rounds[i+1] < f.Rounds[i] {
			return fault(KindShape, "iteration %d ends before it starts", i)
		}
	}
	return nil
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
