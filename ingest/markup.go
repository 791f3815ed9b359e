package ingest

import "bytes"

// markupBytes is how much of a text is looked at to see that it is no CSV.
const markupBytes = 64

// markup are the first letters, in lower case and without white space between them, of texts that are no CSV, and what
// they are. None of them begins a header that could fit a schema.
var markup = [...]struct{ begins, kind string }{
	{"<!doctype", "a web page"},
	{"<html", "a web page"},
	{"<head>", "a web page"},
	{"<body>", "a web page"},
	{"<table", "a web page"},
	{"<?xml", "an XML document"},
	{"<!--", "a web page or an XML document"},
	{`{"`, "JSON"},
	{"{}", "JSON"},
	{"[{", "JSON"},
	{"[[", "JSON"},
	{"[]", "JSON"},
	{`["`, "JSON"},
	{`{\rtf`, "a rich text document"},
}

// checkMarkup says whether a text, from its first line on, may be CSV. Without this it would be one with a strange
// header, and be refused for a column or a quotation mark, which helps no one.
func checkMarkup(text []byte) error {
	text = text[:min(len(text), markupBytes)]
	front := bytes.ToLower(bytes.Join(bytes.Fields(text), nil))
	for _, m := range markup {
		if bytes.HasPrefix(front, []byte(m.begins)) {
			return &ForeignError{m.kind, ErrNotCSV}
		}
	}
	return nil
}
