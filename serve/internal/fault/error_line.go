package fault

import (
	"errors"
	"fmt"
	"io/fs"
)

// Line formats the failure of an error as one line for a terminal: the published code and a sentence. Unlike an answer of
// the API it may name files and internals.
func (f *Failure) Line(err error) string {
	var path *fs.PathError
	switch {
	case f.Code == CodeInternal && errors.As(err, &path):
		return CodeInvalidFile.String() + ": " + err.Error()
	case f.Code == CodeInternal, f.Code.Status() == 0, f.Code == CodeShuttingDown:
		return f.Code.String() + ": " + err.Error()
	}
	return f.Code.String() + ": " + f.Text() + f.hint()
}

// hint returns what the details of a file add to the sentence, such as the closest column name.
func (f *Failure) hint() string {
	if kind, ok := f.Details["actual"]; ok && f.Code == CodeInvalidFormat {
		return fmt.Sprintf(": this is %v.", kind)
	}
	text := ""
	columns, _ := f.Details["columns"].([]Details)
	for _, c := range columns {
		if near, ok := c["suggestion"]; ok {
			text += fmt.Sprintf(" '%v' looks like '%v'.", near, c["label"])
		}
	}
	return text
}
