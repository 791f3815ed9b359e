package api

import (
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
)

// pageCSP lets an error page use the styles and the icon of this server and load nothing else.
const pageCSP = "default-src 'none'; style-src 'self'; img-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const errorPage = `{{define "error"}}{{template "header" .}}  <main id="main">
    <h1>{{.View.Title}} <small>{{.View.Code}}</small></h1>
    <p>{{.Message}}</p>
{{with .Reserved}}    <p><strong>Reserved.</strong> Nothing is answered with this code. {{.}}</p>
{{end}}    <section class="card">
      <h2>What you can do</h2>
      <p>{{.Advice}}</p>
      <p>{{if .View.Retryable}}The same request may succeed later.{{else}}Sending the same request again gives the same ` +
	`answer.{{end}}{{if .View.Status}} HTTP status {{.View.Status}}.{{end}}</p>
    </section>
{{with .View.Example}}    <section class="card">
      <h2>What it looks like</h2>
      <div class="wide" tabindex="0"><pre>{{printf "%s" .}}</pre></div>
    </section>
{{end}}    <p><a href="{{.Root}}errors">All codes</a></p>
  </main>
</body>
</html>
{{end}}`

const errorListPage = `{{define "errors"}}{{template "header" .}}  <main id="main">
    <h1>Error codes</h1>
    <div class="card wide"><table>
      <thead><tr><th>Code</th><th>Name</th><th>What it says</th></tr></thead>
      <tbody>
{{range .Errors}}        <tr><td class="id"><a href="{{$.Root}}errors/{{.Code}}">{{.Code}}</a></td><td>{{.Title}}</td>` +
	`<td>{{.Message}}</td></tr>
{{end}}      </tbody>
    </table></div>
  </main>
</body>
</html>
{{end}}`

// getErrorPage answers with the page of a code in HTML or JSON.
func getErrorPage(s *server, r *request) error {
	code, ok := fault.ParseCode(r.value)
	if !ok {
		return fault.Fail(fault.CodeNoSuchRoute, "There is no error code '"+fault.Sanitize(r.value)+"'.")
	}
	view := code.Meaning().View()
	var err error
	if view.Example, err = exampleOf(s.pages, code.Meaning()); err != nil {
		return err
	}
	if r.accepts(fault.TypeJSON) {
		return r.json(http.StatusOK, view)
	}
	page := struct {
		frame
		View                      fault.ErrorView
		Message, Advice, Reserved template.HTML
	}{frame: frame{Root: r.root(), Title: view.Code + " " + view.Title, Styles: []string{"page/page.css"}}, View: view}
	for _, text := range []struct {
		into *template.HTML
		from string
	}{{&page.Message, view.Message}, {&page.Advice, view.Advice}, {&page.Reserved, view.Reserved}} {
		if *text.into, err = s.linkRoutes(text.from, page.Root); err != nil {
			return err
		}
	}
	return r.page("error", pageCSP, page)
}

// listErrorPages lists every code in HTML or JSON.
func listErrorPages(_ *server, r *request) error {
	list := struct {
		frame  `json:"-"`
		Errors []fault.ErrorView `json:"errors"`
	}{frame: frame{Root: r.root(), Title: "Error codes", Entry: "errors", Styles: []string{"page/page.css"}}}
	for _, m := range fault.Meanings {
		list.Errors = append(list.Errors, m.View())
	}
	if r.accepts(fault.TypeJSON) {
		return r.json(http.StatusOK, list)
	}
	return r.page("errors", pageCSP, list)
}

// exampleOf returns an example with the code: an error answer, a rejected row, a warning, or the error of a prediction; nil
// for codes that customers do not see.
func exampleOf(p fault.ErrorPages, m fault.Meaning) (json.RawMessage, error) {
	var v any
	switch code := m.Code; {
	case code >= 1600 && code < 1650:
		v = finding{Row: 2, Line: 3, Code: code.String(), Column: exampleColumn, Message: m.Message}
	case code >= 1650 && code < 1700, code == fault.CodeScoredAgain:
		v = warning{Code: code.String(), Count: 12, Column: exampleColumn, Message: m.Message}
	case m.Status != 0:
		v = fault.ErrorBody{Error: p.Object(exampleFailure(code)), RequestID: exampleRequest, Retryable: m.Retryable}
	case code < 1700:
		v = p.Object(exampleFailure(code))
	default:
		return nil, nil
	}
	return json.MarshalIndent(v, "", "  ")
}

const (
	exampleColumn  = "tenure"
	exampleRequest = "54e3d80f-02d8-46e4-86bd-96f10d98501a"
)

// exampleFailure returns a failure with the code: for errors of a file with the sentence and the details that a customer
// sees, for others with the code's own sentence.
func exampleFailure(code fault.Code) *fault.Failure {
	var err error
	rejectedMax := int64(100)
	switch code {
	case fault.CodeMissingColumns:
		err = &ingest.MissingColumnsError{Columns: []ingest.MissingColumn{{
			Name: "MonthlyCharges", Label: "monthly charges", Closest: "monthly_fee",
		}}}
	case fault.CodeUnreadableHeader:
		err = &ingest.DuplicateColumnError{Name: exampleColumn, Fields: [2]int{5, 9}}
	case fault.CodeBadQuoting:
		err = &ingest.QuoteError{Line: 12, Unclosed: true}
	case fault.CodeRowTooLong:
		err = &ingest.RowTooLongError{Line: 12, Limit: 1 << 20}
	case fault.CodeTooLarge:
		err = &ingest.TooLargeError{Unit: "rows", Limit: 100_000}
	case fault.CodeErrorBudgetSpent:
		err = &engine.BudgetError{Budget: engine.Budget{MaxRejected: &rejectedMax}, Rows: 5_000, Rejected: 101}
	default:
		return fault.Fail(code, "")
	}
	return storefault.Explain(err)
}
