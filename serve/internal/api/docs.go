package api

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"io/fs"
	"strings"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// docFiles are the vendored viewers of the OpenAPI document, gzipped; see docs/README.md.
//
//go:embed docs/*.gz
var docFiles embed.FS

// docsCSP lets the viewers run, and load only from this server. ReDoc creates style elements by script: empty ones that it
// fills rule by rule (the first digest, of the empty text), and one with the rules of its scroll bars (the second).
const docsCSP = "default-src 'none'; script-src 'self'; " +
	"style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' " +
	"'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; " +
	"img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const viewerPage = `{{define "viewer"}}{{template "header" .}}  <div id="main" tabindex="-1"><div id="docs"></div></div>
{{range .Scripts}}  <script src="{{$.Root}}{{.}}"></script>
{{end}}</body>
</html>
{{end}}`

// viewer is a page with a viewer of the OpenAPI document.
type viewer struct {
	frame
	Scripts []string
}

// documentedAPI is the title of the API's document, which clients look for in the pages.
const documentedAPI = "RetainWise Analytics API"

func getDocs(_ *server, r *request) error {
	return r.page("viewer", docsCSP, viewer{
		frame{Root: r.root(), Title: "API", About: documentedAPI, Entry: "docs", Styles: []string{"docs/swagger-ui.css", "page/docs.css"}},
		[]string{"docs/swagger-ui-bundle.js", "page/swagger.js"},
	})
}

func getRedoc(_ *server, r *request) error {
	return r.page("viewer", docsCSP, viewer{
		frame{Root: r.root(), Title: "Reference", About: documentedAPI, Entry: "redoc", Styles: []string{"page/docs.css"}},
		[]string{"redoc/redoc.standalone.js", "page/redoc.js"},
	})
}

func getSwaggerFile(s *server, r *request) error { return r.docFile(s, "swagger-ui") }

func getRedocFile(s *server, r *request) error { return r.docFile(s, "redoc.") }

// docFile answers with a viewer's file.
func (r *request) docFile(s *server, prefix string) error {
	if !strings.HasPrefix(r.value, prefix) {
		return fault.Fail(fault.CodeNoSuchRoute, "")
	}
	file, err := s.assets.get("docs/"+r.value, func() (*asset, error) { return openDocFile(r.value) })
	if err != nil {
		return err
	}
	r.set("Cache-Control", "public, max-age=86400")
	return r.asset(file)
}

// openDocFile reads a viewer's file. Its gzipped form is kept as well.
func openDocFile(name string) (*asset, error) {
	packed, err := fs.ReadFile(docFiles, "docs/"+name+".gz")
	if err != nil {
		return nil, fault.Fail(fault.CodeNoSuchRoute, "")
	}
	text, err := gunzip(packed)
	if err != nil {
		return nil, err
	}
	return &asset{mediaType: mediaTypeOf(name), body: text, coded: map[string][]byte{"gzip": packed}}, nil
}

const (
	typePage   = "text/html; charset=utf-8"
	typeScript = "text/javascript; charset=utf-8"
	typeStyle  = "text/css; charset=utf-8"
)

func gunzip(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
