package serve

import (
	"embed"
	"io/fs"
	"path"
)

// pageFiles are the page for people: plain HTML, CSS and scripts, as the browser takes them.
//
//go:embed page
var pageFiles embed.FS

// uploadPageCSP lets the page use nothing but its own files and this API.
const uploadPageCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// getPage answers with the page on which people upload files and read what became of them.
func getPage(_ *server, r *request) error {
	r.set("Content-Security-Policy", uploadPageCSP)
	r.set("Referrer-Policy", "no-referrer")
	return r.pageFile("index.html")
}

func getPageFile(_ *server, r *request) error { return r.pageFile(r.value) }

func (r *request) pageFile(name string) error {
	file, err := fs.ReadFile(pageFiles, "page/"+name)
	if err != nil {
		return fail(CodeNoSuchRoute, "")
	}
	r.set("Cache-Control", "no-cache") // a few kilobytes, and all files must be of one version
	r.taggedBytes(mediaTypeOf(name), file)
	return nil
}

// mediaTypeOf does not ask the system's tables, which differ.
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
