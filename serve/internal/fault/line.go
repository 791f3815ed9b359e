package serve

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrorLine puts an error into one line for whoever sits at the terminal: the published code and a sentence. Unlike an
// answer of the API it may name files and internals, as the reader owns them.
func ErrorLine(err error) string {
	f := explain(err)
	var path *fs.PathError
	switch {
	case f.code == CodeInternal && errors.As(err, &path):
		return CodeInvalidFile.String() + ": " + err.Error()
	case f.code == CodeInternal, f.code.Status() == 0, f.code == CodeShuttingDown:
		return f.code.String() + ": " + err.Error()
	}
	return f.code.String() + ": " + f.text() + f.hint()
}

// hint says what the details know of a file beyond the sentence.
func (f *failure) hint() string {
	if kind, ok := f.details["actual"]; ok && f.code == CodeInvalidFormat {
		return fmt.Sprintf(": this is %v.", kind)
	}
	text := ""
	columns, _ := f.details["columns"].([]details)
	for _, c := range columns {
		if near, ok := c["suggestion"]; ok {
			text += fmt.Sprintf(" '%v' looks like '%v'.", near, c["label"])
		}
	}
	return text
}
