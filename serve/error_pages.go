package serve

import (
	"bytes"
	"html/template"
	"net/http"
)

// pageCSP lets an error page show itself and load nothing.
const pageCSP = "default-src 'none'; style-src 'sha256-" + pageStyleHash + "'; frame-ancestors 'none'; base-uri 'none'"

const (
	pageStyle = "body{font:16px/1.5 sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}" +
		"h1 small{color:#666;font-weight:normal}td{padding:.2rem 1rem .2rem 0;vertical-align:top}"
	pageStyleHash = "eZtntDHEroKl1XkzVYrFQMqENXpBdcfx4swOnCAyBho="
)

// errorView is what a page tells about a code.
type errorView struct {
	Code      string `json:"code"`
	Title     string `json:"title"`
	Message   string `json:"message"`
	Advice    string `json:"advice"`
	Status    int    `json:"status,omitempty"` // 0: never an answer by itself
	Retryable bool   `json:"retryable"`
}

func (m meaning) view() errorView {
	return errorView{
		Code: m.code.String(), Title: m.title, Message: m.message, Advice: m.advice, Status: m.status,
		Retryable: m.retryable,
	}
}

// pageTemplates are parsed once; the text is constant, so parsing cannot fail.
var pageTemplates = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Code}} {{.Title}}</title>` +
	`<style>` + pageStyle + `</style></head>
<body><h1>{{.Title}} <small>{{.Code}}</small></h1>
<p>{{.Message}}</p>
<h2>What you can do</h2>
<p>{{.Advice}}</p>
<p>{{if .Retryable}}The same request may succeed later.{{else}}Sending the same request again gives the same answer.` +
	`{{end}}{{if .Status}} HTTP status {{.Status}}.{{end}}</p>
<p><a href="../errors">All codes</a></p>
</body></html>
`))

var pageListTemplate = template.Must(template.New("list").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Error codes</title><style>` + pageStyle + `</style></head>
<body><h1>Error codes</h1><table>
{{range .}}<tr><td><a href="errors/{{.Code}}">{{.Code}}</a></td><td>{{.Title}}</td><td>{{.Message}}</td></tr>
{{end}}</table></body></html>
`))

// getErrorPage explains a code, to people as a page and to programs as JSON.
func getErrorPage(_ *server, r *request) error {
	code, ok := parseCode(r.value)
	if !ok {
		return fail(CodeNoSuchRoute, "There is no error code '"+shown(r.value)+"'.")
	}
	view := code.meaning().view()
	if r.accepts(typeJSON) {
		return r.json(http.StatusOK, view)
	}
	return r.page(pageTemplates, view)
}

// listErrorPages lists every code.
func listErrorPages(_ *server, r *request) error {
	var views []errorView
	for _, m := range meanings {
		views = append(views, m.view())
	}
	if r.accepts(typeJSON) {
		return r.json(http.StatusOK, struct {
			Errors []errorView `json:"errors"`
		}{views})
	}
	return r.page(pageListTemplate, views)
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
