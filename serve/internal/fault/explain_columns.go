package fault

import (
	"fmt"
	"strings"

	"github.com/retainwise/millrace/engine"
)

// explainUseless says in one sentence what is wrong with a column, with values of it and what the model expects.
func explainUseless(e *engine.UselessColumnError) *Failure {
	of := "the rows"
	if !e.Whole {
		of = "the first " + GroupedText(e.Of) + " rows"
	}
	column, values := Sanitize(e.Column), SanitizeAll(e.Values)
	examples := ""
	if len(values) > 0 {
		examples = " ('" + strings.Join(values, "', '") + "')"
	}
	also := ""
	if len(e.Others) > 0 {
		also = "; of no use either: '" + strings.Join(SanitizeAll(e.Others), "', '") + "'"
	}
	return Fail(CodeUselessColumn, fmt.Sprintf("Column '%s' is of no use: in %s of %s its values are %s%s, and the model expects %s%s.",
		column, e.Share(), of, e.Problem(), examples, e.Expected, also)).
		With(Details{
			"column": column, "actual": e.Rows(), "share": float64(e.Rows()) / float64(e.Of),
			"missing": e.Missing, "unseen": e.Unseen, "out_of_range": e.Outside,
			"values": values, "expected": e.Expected, "unit": "rows",
		})
}
