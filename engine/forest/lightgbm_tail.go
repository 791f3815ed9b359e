package forest

import (
	"bytes"
	"fmt"
)

// readTail reads what follows the trees: importances, which are skipped, parameters, and the line that LightGBM's
// Python package adds with the categories of a data frame.
func (r *lightgbmReader) readTail() error {
	columns, err := r.readParameters()
	if err != nil {
		return err
	}
	for {
		line, ok := r.lines.line()
		if !ok {
			return nil
		}
		if err := r.meter.step(len(line) + 1); err != nil {
			return err
		}
		if len(line) == 0 {
			continue
		}
		text, found := bytes.CutPrefix(line, []byte("pandas_categorical:"))
		if !found {
			return fault(KindTruncated, "unexpected text follows \"end of parameters\": %s", clipped(line))
		}
		if err := r.setCategories(text, columns); err != nil {
			return err
		}
	}
}

// readParameters reads up to "end of parameters", without which a file was cut, and returns the categorical columns
// that the training parameters name.
func (r *lightgbmReader) readParameters() (columns []int, err error) {
	inside := false
	for {
		line, ok := r.lines.line()
		if !ok {
			return nil, fault(KindTruncated, "file ends before \"end of parameters\"")
		}
		if err := r.meter.step(len(line) + 1); err != nil {
			return nil, err
		}
		switch {
		case bytes.Equal(line, []byte("parameters:")):
			inside = true
		case bytes.Equal(line, []byte("end of parameters")):
			return columns, nil
		case inside && bytes.HasPrefix(line, []byte("[categorical_feature: ")):
			columns = r.parameterColumns(line)
		}
	}
}

// parameterColumns reads a line such as "[categorical_feature: 0,3]". Anything but column numbers gives none: the
// parameter may also hold names or refer to columns of a file.
func (r *lightgbmReader) parameterColumns(line []byte) []int {
	list := bytes.TrimSuffix(bytes.TrimPrefix(line, []byte("[categorical_feature: ")), []byte("]"))
	var columns []int
	for token := range bytes.SplitSeq(list, []byte(",")) {
		v, ok := parseInt(bytes.TrimSpace(token))
		if !ok || v < 0 || v >= int64(len(r.forest.Features)) || len(columns) == len(r.forest.Features) {
			return nil
		}
		columns = append(columns, int(v))
	}
	return columns
}

// setCategories gives the lists of pandas_categorical to the categorical columns, in their order. If the numbers differ
// (an ordered category has a list but is no categorical column) the lists cannot be matched with columns, and none is used.
func (r *lightgbmReader) setCategories(text []byte, columns []int) error {
	lists, err := readCategoryLists(text, r.meter)
	if err != nil {
		return err
	}
	if len(lists) == 0 {
		return nil
	}
	if len(columns) != len(lists) {
		columns = r.categoricalColumns()
	}
	if len(columns) != len(lists) {
		r.forest.loseCategories(fmt.Sprintf(
			"the file has category lists for %d columns but %d categorical columns: the lists are not used",
			len(lists), len(columns)))
		return nil
	}
	for i, c := range columns {
		f := &r.forest.Features[c]
		f.Categorical, f.Categories, f.CategoryKind = true, lists[i].values, lists[i].kind
	}
	return nil
}

func (r *lightgbmReader) categoricalColumns() []int {
	var columns []int
	for i := range r.forest.Features {
		if r.forest.Features[i].Categorical {
			columns = append(columns, i)
		}
	}
	return columns
}
