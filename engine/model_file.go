package engine

import (
	"fmt"
	"path"
	"strings"

	"github.com/retainwise/millrace/engine/forest"
)

// Which iterations of a model count, in --iterations and in bundle.yaml.
const (
	IterationsAll  = "all"  // every tree of the file, as Booster.predict does
	IterationsBest = "best" // up to the best one of early stopping, as XGBoost's scikit-learn wrapper does
)

// TakeIterations returns the forest that counts: f itself for [IterationsAll] or "", f up to the best iteration for
// [IterationsBest]. A file that names no best iteration is whole: LightGBM leaves the other trees out when it saves.
func TakeIterations(f *forest.Forest, which string) (*forest.Forest, error) {
	switch which {
	case "", IterationsAll:
		return f, nil
	case IterationsBest:
		if f.BestIteration == 0 {
			return f, nil
		}
		best, err := f.Prefix(f.BestIteration)
		if err != nil {
			return nil, modelError(err)
		}
		return best, nil
	}
	return nil, fmt.Errorf("iterations %q is neither %s nor %s", which, IterationsAll, IterationsBest)
}

// MoreIterations says that trees count which XGBoost's scikit-learn wrapper would leave out; empty if there are none.
func MoreIterations(f *forest.Forest) string {
	if f.BestIteration == 0 || f.BestIteration >= f.Iterations {
		return ""
	}
	return fmt.Sprintf("all %d iterations count, as in Booster.predict; early stopping found the first %d best, which are what "+
		"XGBClassifier.predict_proba takes: choose with iterations best or all", f.Iterations, f.BestIteration)
}

// OpenModelFile makes a bundle of a bare model file. Every feature becomes a number column with the feature's name, or
// a category column if the model file lists its categories; there is no customer id column. name is the file's name and
// model its content. The model must predict one churn probability: other objectives are an [ErrModelUnsupported], and so
// is a file whose categories cannot be found by what a table holds. All iterations count.
func OpenModelFile(name string, model []byte) (*Bundle, error) {
	return OpenModelFileIterations(name, model, "")
}

// OpenModelFileIterations is [OpenModelFile] with the iterations that count, as for [TakeIterations]. If they are not
// chosen although it matters, [Bundle.Warnings] says so.
func OpenModelFileIterations(name string, model []byte, iterations string) (*Bundle, error) {
	f, err := ReadForest(name, model)
	if err != nil {
		return nil, err
	}
	if f.Link != forest.LinkSigmoid || f.Classes != 1 {
		return nil, fmt.Errorf("%w: %s: objective %q gives no churn probability; wrap the model in a bundle",
			ErrModelUnsupported, name, f.Objective)
	}
	if f.CategoriesLost != "" {
		return nil, fmt.Errorf("%w: %s: %s; or wrap the model in a bundle that lists each column's categories in the order "+
			"of training", ErrModelUnsupported, name, f.CategoriesLost)
	}
	low, medium := 0.3, 0.6
	file := &bundleFile{
		Name: strings.TrimSuffix(path.Base(name), path.Ext(name)), Version: "0", Model: name, Probability: true,
		Iterations: iterations,
		Bands:      []bandFile{{"low", &low}, {"medium", &medium}, {"high", nil}},
	}
	for i := range f.Features {
		c, err := modelFileColumn(&f.Features[i], i)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrModelUnsupported, name, err)
		}
		file.Columns = append(file.Columns, c)
	}
	return newBundle(file, model)
}

// modelFileColumn describes the column of a bare model's feature at position i.
func modelFileColumn(feature *forest.Feature, i int) (bundleColumn, error) {
	c := bundleColumn{Name: feature.Name, Type: "number", Required: true}
	if c.Name == "" {
		c.Name = fmt.Sprintf("f%d", i)
	}
	if len(feature.Categories) == 0 {
		return c, nil
	}
	c.Type, c.Categories, c.Spellings = "category", feature.Categories, feature.Spellings()
	seen := make(map[string]bool, len(c.Categories))
	for _, category := range c.Categories {
		switch {
		case category == "":
			return c, fmt.Errorf("column %q: one of its categories is the empty text, which a table cannot tell from a missing "+
				"value; name it in training, or wrap the model in a bundle that leaves it out", c.Name)
		case seen[category]:
			return c, fmt.Errorf("column %q: two of its categories read the same; wrap the model in a bundle", c.Name)
		}
		seen[category] = true
	}
	return c, nil
}
