package engine

import (
	"fmt"
	"path"
	"strings"

	"github.com/retainwise/millrace/engine/forest"
)

// OpenModelFile makes a bundle of a bare model file. Every feature becomes a number column with the feature's name, or
// a category column if the model file lists its categories; there is no customer id column. name is the file's name and
// model its content. The model must predict one churn probability: other objectives are an [ErrModelUnsupported].
func OpenModelFile(name string, model []byte) (*Bundle, error) {
	f, err := ReadForest(name, model)
	if err != nil {
		return nil, err
	}
	if f.Link != forest.LinkSigmoid || f.Classes != 1 {
		return nil, fmt.Errorf("%w: %s: objective %q gives no churn probability; wrap the model in a bundle",
			ErrModelUnsupported, name, f.Objective)
	}
	low, medium := 0.3, 0.6
	file := &bundleFile{
		Name: strings.TrimSuffix(path.Base(name), path.Ext(name)), Version: "0", Model: name, Probability: true,
		Bands: []bandFile{{"low", &low}, {"medium", &medium}, {"high", nil}},
	}
	for i, feature := range f.Features {
		c := bundleColumn{Name: feature.Name, Type: "number", Required: true}
		if c.Name == "" {
			c.Name = fmt.Sprintf("f%d", i)
		}
		if len(feature.Categories) > 0 {
			c.Type, c.Categories = "category", feature.Categories
		}
		file.Columns = append(file.Columns, c)
	}
	return newBundle(file, model)
}
