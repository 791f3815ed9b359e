package fault

import (
	"fmt"

	"github.com/retainwise/millrace/ingest"
)

// explainStyle shows a number with its readings, or two numbers that contradict each other.
func explainStyle(e *ingest.NumberStyleError) *Failure {
	if e.Rows > 0 {
		return Fail(CodeNumberStyle, fmt.Sprintf("%s of the %s rows have numbers that are written otherwise than the others "+
			"of the file. Export it in one style.", GroupedText(e.Rows), GroupedText(e.Of))).
			With(Details{"actual": e.Rows, "unit": "rows"})
	}
	column, cell := Sanitize(e.Column), Sanitize(e.Cell)
	d := Details{"line": e.Line, "column": column, "value": cell}
	if e.Other != "" {
		other := Sanitize(e.Other)
		d["other_line"], d["other_column"], d["other_value"] = e.OtherLine, Sanitize(e.OtherColumn), other
		return Fail(CodeNumberStyle, fmt.Sprintf("The file writes numbers in two ways: '%s' in column '%s' on line %d, and "+
			"'%s' in column '%s' on line %d. Say which is meant with decimal=. or decimal=, or export the file in one style.",
			cell, column, e.Line, other, Sanitize(e.OtherColumn), e.OtherLine)).With(d)
	}
	d["readings"] = []string{Sanitize(e.AsPoint), Sanitize(e.AsComma)}
	return Fail(CodeNumberStyle, fmt.Sprintf("'%s' in column '%s' on line %d can be read as %s or as %s, and nothing in the "+
		"file says which. Say decimal=. for the first, or decimal=, for the second.",
		cell, column, e.Line, Sanitize(e.AsPoint), Sanitize(e.AsComma))).With(d)
}

func explainShift(e *ingest.ShiftedRowsError) *Failure {
	return Fail(CodeShiftedRows, fmt.Sprintf("A comma inside a number shifts the cells of at least %s rows: on line %d, "+
		"'%s' in column '%s' makes all of them fit if it is one number. Put such numbers in double quotes, or export the "+
		"file with semicolons.", GroupedText(e.Rows), e.Line, Sanitize(e.Cell), Sanitize(e.Column))).
		With(Details{"line": e.Line, "column": Sanitize(e.Column), "value": Sanitize(e.Cell)})
}
