package api

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
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

const docsPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>RetainWise Analytics API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">%s</head>
<body><div id="docs"></div>%s</body></html>
`

// Scripts that start the viewers. They resolve the document relative to their own URL, because the page's URL may have a
// trailing slash. Tokens are kept only in the open page.
const (
	documentURL  = `new URL("../openapi.json", document.currentScript.src).href`
	startSwagger = `SwaggerUIBundle({url: ` + documentURL + `, dom_id: "#docs", deepLinking: true, validatorUrl: null})` + "\n"
	startRedoc   = `Redoc.init(` + documentURL + `, {disableSearch: true}, document.getElementById("docs"))` + "\n"
)

func getDocs(_ *server, r *request) error {
	docs := r.root() + "docs/"
	return r.docsPage(`<link rel="stylesheet" href="`+docs+`swagger-ui.css">`,
		`<script src="`+docs+`swagger-ui-bundle.js"></script><script src="`+docs+`start.js"></script>`)
}

func getRedoc(_ *server, r *request) error {
	redoc := r.root() + "redoc/"
	return r.docsPage("", `<script src="`+redoc+`redoc.standalone.js"></script><script src="`+redoc+`start.js"></script>`)
}

func (r *request) docsPage(head, scripts string) error {
	r.set("Content-Security-Policy", docsCSP)
	r.set("Referrer-Policy", "no-referrer")
	r.bytes(http.StatusOK, typePage, fmt.Appendf(nil, docsPage, head, scripts))
	return nil
}

func getSwaggerFile(s *server, r *request) error { return r.docFile(s, startSwagger, "swagger-ui") }

func getRedocFile(s *server, r *request) error { return r.docFile(s, startRedoc, "redoc.") }

// docFile answers with a viewer's file, or with the script that starts it.
func (r *request) docFile(s *server, start, prefix string) error {
	if r.value == "start.js" {
		r.set("Cache-Control", "public, max-age=3600")
		r.bytes(http.StatusOK, typeScript, []byte(start))
		return nil
	}
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
