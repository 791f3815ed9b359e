// Package page embeds the web page: plain HTML, CSS and scripts, as the browser takes them.
package page

import "embed"

// Files are the files of the page.
//
//go:embed *.html *.css *.js *.svg
var Files embed.FS
