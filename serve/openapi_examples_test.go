package serve_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/fault"
)

// TestOpenAPIExamples expects an example of every JSON body and answer, valid by its schema.
func TestOpenAPIExamples(t *testing.T) {
	doc := document(t)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if op.RequestBody != nil {
				checkExamples(t, name+" request", op.RequestBody.Value.Content)
			}
			for status, response := range op.Responses.Map() {
				checkExamples(t, name+" "+status, response.Value.Content)
			}
			for _, p := range slices.Concat(item.Parameters, op.Parameters) {
				checkParameter(t, name, p.Value)
			}
		}
	}
}

// checkExamples looks at the contents that are JSON documents.
func checkExamples(t *testing.T, name string, content openapi3.Content) {
	t.Helper()
	for mediaType, c := range content {
		if !strings.HasSuffix(mediaType, "json") {
			continue
		}
		var examples []any
		for _, e := range c.Examples {
			examples = append(examples, e.Value.Value)
		}
		if c.Example != nil {
			examples = append(examples, c.Example)
		}
		examples = append(examples, c.Schema.Value.Examples...)
		if len(examples) == 0 {
			t.Errorf("%s: no example of %s", name, mediaType)
		}
		for _, e := range examples {
			if err := c.Schema.Value.VisitJSON(e, openapi3.EnableFormatValidation()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// checkParameter wants what the schema does not show by itself: an example, a choice, a default or bounds.
func checkParameter(t *testing.T, name string, p *openapi3.Parameter) {
	t.Helper()
	s := p.Schema.Value
	shown := len(s.Enum) > 0 || s.Default != nil || s.Format != "" || len(s.Examples) > 0 || s.Min != nil && s.Max != nil
	if !shown {
		t.Errorf("%s: parameter %s has no example", name, p.Name)
	}
	for _, e := range s.Examples {
		if err := s.VisitJSON(e); err != nil {
			t.Errorf("%s: parameter %s: %v", name, p.Name, err)
		}
	}
}

// TestErrorExamples expects beside cause and advice an example of every code that customers see, in the form in which they
// do: an error, a refused row, a remark on rows, or the error of a prediction.
func TestErrorExamples(t *testing.T) {
	a := startAPI(t, nil)
	schemas := document(t).Components.Schemas
	forms := map[string]*openapi3.Schema{
		"error": schemas["Error"].Value, "refused row": schemas["Findings"].Value.Items.Value,
		"remark": schemas["Warnings"].Value.Items.Value, "outcome": schemas["ErrorObject"].Value,
	}
	for _, code := range serve.AllCodes() {
		form := "error"
		switch {
		case code.Status() != 0:
		case code >= 1700:
			form = "" // in the log of operators
		case code >= 1650 || code == fault.CodeScoredAgain:
			form = "remark"
		case code >= 1600:
			form = "refused row"
		default:
			form = "outcome"
		}
		example, shown := a.get("/errors/"+code.String(), header("Accept", "application/json")).object(t)["example"]
		page := a.get("/errors/"+code.String()).want(t, http.StatusOK)
		if on := strings.Contains(string(page.body), "<pre>{"); on != (form != "") || shown != on {
			t.Errorf("%s: example on the page %v, in the answer %v", code, on, shown)
		}
		if form == "" {
			continue
		}
		if err := forms[form].VisitJSON(example); err != nil || !strings.Contains(fmt.Sprint(example), code.String()) {
			t.Errorf("%s as %s: %v: %v", code, form, example, err)
		}
	}
}
