package api

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"path"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/page"
)

// uploadPageCSP lets the page load only from this server.
const uploadPageCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// getPage answers with the upload page.
func getPage(s *server, r *request) error {
	r.set("Content-Security-Policy", uploadPageCSP)
	r.set("Referrer-Policy", "no-referrer")
	return r.pageFile(s, "index.html")
}

func getPageFile(s *server, r *request) error { return r.pageFile(s, r.value) }

func (r *request) pageFile(s *server, name string) error {
	file, err := s.assets.get("page/"+name, func() (*asset, error) {
		text, err := fs.ReadFile(page.Files, name)
		if err != nil {
			return nil, fault.Fail(fault.CodeNoSuchRoute, "")
		}
		if name == "index.html" && s.Development {
			text = bytes.Replace(text, []byte("<body>"), []byte("<body data-development>"), 1)
		}
		return &asset{mediaType: mediaTypeOf(name), body: text}, nil
	})
	if err != nil {
		return err
	}
	r.set("Cache-Control", "no-cache") // a few kilobytes, and all files must be of one version
	return r.asset(file)
}

// mediaTypeOf returns the media type of an embedded file, independent of the system's tables.
func mediaTypeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return typeScript
	case ".css":
		return typeStyle
	case ".svg":
		return "image/svg+xml"
	}
	return typePage
}

// frame is what pages for people share: their look, and the way from one to another. index.html has the same header as
// text, which a test compares.
type frame struct {
	Root   string // relative path to the root of the API; empty for pages directly below it
	Title  string
	About  string   // for search engines and clients; empty: nothing
	Entry  string   // the page's own entry in the navigation
	Styles []string // the page's stylesheets, beside that of the look
}

// Entries returns the navigation.
func (frame) Entries() []navigationEntry {
	return []navigationEntry{{"./", "Customers"}, {"docs", "API"}, {"redoc", "Reference"}, {"errors", "Error codes"}}
}

type navigationEntry struct{ Path, Name string }

// pages are the templates of all pages that are not files. Their texts are constant, so parsing cannot fail.
var pages = template.Must(template.New("").Parse(`{{define "header"}}<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>{{.Title}} – Millrace</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
{{with .About}}  <meta name="description" content="{{.}}">
{{end}}  <meta name="color-scheme" content="light dark">
  <link rel="icon" href="{{.Root}}page/icon.svg">
  <link rel="stylesheet" href="{{.Root}}page/look.css">
{{range .Styles}}  <link rel="stylesheet" href="{{$.Root}}{{.}}">
{{end}}</head>
<body>
  <a class="skip" href="#main">Skip to the content</a>
  <header>
    <a class="brand" href="{{.Root}}./">Millrace</a>
    <nav aria-label="Pages">
{{range .Entries}}      <a href="{{$.Root}}{{.Path}}"{{if eq .Path $.Entry}} aria-current="page"{{end}}>{{.Name}}</a>
{{end}}    </nav>
  </header>
{{end}}` + viewerPage + errorPage + errorListPage))

// page answers with a page made of a template.
func (r *request) page(name, policy string, v any) error {
	var text bytes.Buffer
	if err := pages.ExecuteTemplate(&text, name, v); err != nil {
		return err
	}
	r.set("Content-Security-Policy", policy)
	r.set("Referrer-Policy", "no-referrer")
	r.bytes(http.StatusOK, typePage, text.Bytes())
	return nil
}
