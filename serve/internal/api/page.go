package api

import (
	"io/fs"
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
