package forest

import (
	"bytes"
	"fmt"
)

// readTail reads what follows the trees: importances, which are skipped, parameters, a parser of text files, which is not
// used, and the line that LightGBM's Python package adds with the categories of a data frame. Old and foreign programs
// write no parameters; but a file of which nothing follows the trees was cut off there.
func (r *lightgbmReader) readTail() error {
	var columns []int
	parameters, categories := false, false
	more := startsImportances(r.lines.last()) // something follows the trees
	for {
		line, ok, err := r.tailLine()
		if err != nil {
			return err
		}
		text, isCategories := bytes.CutPrefix(line, []byte("pandas_categorical:"))
		switch {
		case !ok && !more && !parameters && !categories:
			return fault(KindTruncated, "file ends right behind its trees")
		case !ok:
			r.warnOfEnd(parameters || categories)
			return nil
		case string(line) == "parameters:" && !parameters:
			if columns, err = r.readParameters(); err != nil {
				return err
			}
			parameters = true
		case string(line) == "parser:":
			if err := r.skipTo("end of parser"); err != nil {
				return err
			}
		case isCategories:
			if err := r.setCategories(text, columns); err != nil {
				return err
			}
			categories = true
		case len(line) > 0 && (parameters || categories):
			return fault(KindTruncated, "unexpected text follows \"end of parameters\": %s", clipped(line))
		case len(line) > 0:
			more = true // importances, which old programs write last
		}
	}
}

func (r *lightgbmReader) tailLine() (line []byte, ok bool, err error) {
	line, ok = r.lines.line()
	return line, ok, r.meter.step(len(line) + 1)
}

// warnOfEnd warns of a file that ends with its trees. All of them are there, but what followed may be lost.
func (r *lightgbmReader) warnOfEnd(whole bool) {
	const why = "the file ends before its parameters: an old or foreign program wrote it, or it was cut off"
	switch {
	case whole:
	case len(r.categoricalColumns()) > 0:
		r.forest.loseCategories(why)
	default:
		r.forest.Warnings = append(r.forest.Warnings, why)
	}
}

// skipTo passes over a section whose last line is given.
func (r *lightgbmReader) skipTo(last string) error {
	for {
		line, ok, err := r.tailLine()
		switch {
		case err != nil:
			return err
		case !ok:
			return fault(KindTruncated, "file ends before %q", last)
		case string(line) == last:
			return nil
		}
	}
}

// readParameters reads up to "end of parameters", without which a file was cut, and returns the categorical columns that
// the training parameters name.
func (r *lightgbmReader) readParameters() (columns []int, err error) {
	for {
		line, ok, err := r.tailLine()
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, fault(KindTruncated, "file ends before \"end of parameters\"")
		case string(line) == "end of parameters":
			return columns, nil
		case bytes.HasPrefix(line, []byte("[categorical_feature: ")):
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
