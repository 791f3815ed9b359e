package api

import (
	"html/template"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
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
