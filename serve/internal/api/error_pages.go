package api

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// pageCSP lets an error page use its style and load nothing.
const pageCSP = "default-src 'none'; style-src 'sha256-" + pageStyleHash + "'; frame-ancestors 'none'; base-uri 'none'"

const (
	pageStyle = "body{font:16px/1.5 sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}" +
		"h1 small{color:#666;font-weight:normal}td{padding:.2rem 1rem .2rem 0;vertical-align:top}"
	pageStyleHash = "eZtntDHEroKl1XkzVYrFQMqENXpBdcfx4swOnCAyBho="
)

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
		v = fault.ErrorBody{Error: p.Object(fault.Fail(code, "")), RequestID: exampleRequest, Retryable: m.Retryable}
	case code < 1700:
		v = p.Object(fault.Fail(code, ""))
	default:
		return nil, nil
	}
	return json.MarshalIndent(v, "", "  ")
}

const (
	exampleColumn  = "tenure"
	exampleRequest = "54e3d80f-02d8-46e4-86bd-96f10d98501a"
)

// pageTemplates are parsed once; the text is constant, so parsing cannot fail.
var pageTemplates = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Code}} {{.Title}}</title>` +
	`<style>` + pageStyle + `</style></head>
<body><h1>{{.Title}} <small>{{.Code}}</small></h1>
<p>{{.Message}}</p>
{{with .Reserved}}<p><strong>Reserved.</strong> Nothing is answered with this code. {{.}}</p>
{{end}}<h2>What you can do</h2>
<p>{{.Advice}}</p>
<p>{{if .Retryable}}The same request may succeed later.{{else}}Sending the same request again gives the same answer.` +
	`{{end}}{{if .Status}} HTTP status {{.Status}}.{{end}}</p>
{{with .Example}}<h2>What it looks like</h2>
<pre>{{printf "%s" .}}</pre>
{{end}}<p><a href="{{.Root}}errors">All codes</a></p>
</body></html>
`))

var pageListTemplate = template.Must(template.New("list").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Error codes</title><style>` + pageStyle + `</style></head>
<body><h1>Error codes</h1><table>
{{range .Errors}}<tr><td><a href="{{$.Root}}errors/{{.Code}}">{{.Code}}</a></td><td>{{.Title}}</td><td>{{.Message}}</td></tr>
{{end}}</table></body></html>
`))

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
	return r.page(pageTemplates, struct {
		fault.ErrorView
		Root string
	}{view, r.root()})
}

// listErrorPages lists every code in HTML or JSON.
func listErrorPages(_ *server, r *request) error {
	var list struct {
		Errors []fault.ErrorView `json:"errors"`
		Root   string            `json:"-"`
	}
	for _, m := range fault.Meanings {
		list.Errors = append(list.Errors, m.View())
	}
	if r.accepts(fault.TypeJSON) {
		return r.json(http.StatusOK, list)
	}
	list.Root = r.root()
	return r.page(pageListTemplate, list)
}

func (r *request) page(t *template.Template, v any) error {
	var text bytes.Buffer
	if err := t.Execute(&text, v); err != nil {
		return err
	}
	r.set("Content-Security-Policy", pageCSP)
	r.set("Referrer-Policy", "no-referrer")
	r.bytes(http.StatusOK, typePage, text.Bytes())
	return nil
}
