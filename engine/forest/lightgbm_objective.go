package forest

import (
	"math"
	"strings"
)

// setObjective takes the link from an objective line such as "binary sigmoid:1" or "multiclass num_class:3". A model
// trained with a function of the user's own has no such line; its raw score is all that is known.
func (r *lightgbmReader) setObjective(line string) error {
	f := r.forest
	name, rest, _ := strings.Cut(lightgbmAlias(line), " ")
	f.Objective = name
	link, known := lightgbmLink(name)
	if !known {
		return fieldFault(KindUnsupported, "objective", "%s is not supported", clipped(name))
	}
	f.Link = link
	for _, option := range strings.Fields(rest) {
		if err := r.setOption(name, option); err != nil {
			return err
		}
	}
	if multi := name == "multiclass" || name == "multiclassova"; name != "" && multi != (f.Classes > 1) {
		return fault(KindShape, "objective %s does not fit %d classes", name, f.Classes)
	}
	return nil
}

// lightgbmAlias gives the name that LightGBM uses for an objective. Like LightGBM it knows other names only where no options
// follow them.
func lightgbmAlias(line string) string {
	switch line {
	case "regression_l2", "mean_squared_error", "mse", "l2", "l2_root", "root_mean_squared_error", "rmse":
		return "regression"
	case "mean_absolute_error", "l1", "mae":
		return "regression_l1"
	case "mean_absolute_percentage_error":
		return "mape"
	case "xentropy":
		return "cross_entropy"
	case "xentlambda":
		return "cross_entropy_lambda"
	case "xendcg", "xe_ndcg", "xe_ndcg_mart", "xendcg_mart":
		return "rank_xendcg"
	case "none", "null", "custom", "na":
		return ""
	}
	return line
}

func lightgbmLink(objective string) (link Link, known bool) {
	switch objective {
	case "binary", "multiclassova", "cross_entropy":
		return LinkSigmoid, true
	case "multiclass":
		return LinkSoftmax, true
	case "cross_entropy_lambda":
		return LinkLog1pExp, true
	case "poisson", "gamma", "tweedie":
		return LinkExp, true
	case "", "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg":
		return LinkIdentity, true
	}
	return LinkIdentity, false
}

func (r *lightgbmReader) setOption(objective, option string) error {
	f := r.forest
	key, value, _ := strings.Cut(option, ":")
	switch {
	case key == "sigmoid" && f.Link == LinkSigmoid:
		v, ok := parseFloat([]byte(value), 64)
		if !ok || !(v > 0) || math.IsInf(v, 0) {
			return fieldFault(KindValue, "objective", "sigmoid %s is no positive number", clipped(value))
		}
		f.Sigmoid = v
	case key == "num_class":
		if v, ok := parseInt([]byte(value)); !ok || v != int64(f.Classes) {
			return fault(KindShape, "objective names %s classes, the header %d", clipped(value), f.Classes)
		}
	case option == "sqrt" && takesRoots(objective):
		f.Link = LinkSignedSquare
	default:
		return fieldFault(KindUnsupported, "objective", "option %s of %s is not supported", clipped(option), objective)
	}
	return nil
}

// takesRoots reports whether an objective may be trained on square roots. LightGBM ignores the option for others.
func takesRoots(objective string) bool {
	switch objective {
	case "regression", "regression_l1", "fair", "quantile", "mape":
		return true
	}
	return false
}
