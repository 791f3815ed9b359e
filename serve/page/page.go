// Package page embeds the upload page: plain HTML, CSS and scripts, without a build step. Its routes and headers are in
// serve/internal/api.
package page

import "embed"

// Files are the files of the page.
//
//go:embed *.html *.css *.js *.svg
var Files embed.FS
