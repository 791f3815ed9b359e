// Package wire has HTTP and formats without routes: checks of framing, graceful close, filenames, digests, compression,
// tables of rows as CSV, JSON and Arrow, and spools for answers in memory. What reads parameters, headers of a route or
// the store belongs in api.
package wire

import (
	"bytes"
	"strings"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/valyala/fasthttp"
)

// CheckFraming refuses requests that a proxy in front of this server could parse differently (request smuggling). It checks
// the raw header. A nil failure means that the request is accepted.
func CheckFraming(h *fasthttp.RequestHeader) *fault.Failure {
	switch string(h.Protocol()) {
	case "HTTP/1.1", "HTTP/1.0":
	default:
		return malformed("Only HTTP/1.0 and HTTP/1.1 are supported here.")
	}
	if f := CheckTarget(h.RequestURI()); f != nil {
		return f
	}
	fields := countFields(h.RawHeaders())
	switch {
	case fields.noToken:
		return malformed("A header has a name that is not one word of letters, digits and signs.")
	case fields.folded:
		return malformed("A header is folded over more than one line.")
	case fields.length+fields.encoding > 1:
		return malformed("Content-Length and Transfer-Encoding must not be given together or twice.")
	case fields.encoding == 1 && h.ContentLength() != -1:
		return malformed("Transfer-Encoding must be chunked.")
	case fields.authorization > 1:
		return malformed("The Authorization header is given twice.")
	case fields.types > 1:
		return malformed("The Content-Type header is given twice.")
	}
	return nil
}

// CheckNoBody refuses a GET or HEAD request with a body.
func CheckNoBody(h *fasthttp.RequestHeader) *fault.Failure {
	if (h.IsGet() || h.IsHead()) && (h.ContentLength() > 0 || h.ContentLength() == -1) {
		return malformed("A " + string(h.Method()) + " request must not have a body.")
	}
	return nil
}

func malformed(message string) *fault.Failure { return fault.Fail(fault.CodeMalformedRequest, message) }

// CheckTarget refuses a path that is not in its plain form: with dot segments, encoded dots or slashes, or backslashes,
// which no route needs and which could bypass a check.
func CheckTarget(target []byte) *fault.Failure {
	path, _, _ := bytes.Cut(target, []byte("?"))
	switch {
	case len(path) == 0 || path[0] != '/':
		return malformed("The request must name a path of this server.")
	case bytes.HasPrefix(path, []byte("//")), bytes.IndexByte(path, '\\') >= 0, bytes.IndexByte(path, '#') >= 0:
		return malformed("The path is not in its plain form.")
	}
	for segment := range bytes.SplitSeq(path[1:], []byte("/")) {
		if s := string(segment); s == "." || s == ".." {
			return malformed("The path is not in its plain form.")
		}
	}
	lower := strings.ToLower(string(path))
	for _, encoded := range []string{"%2e", "%2f", "%5c", "%00"} {
		if strings.Contains(lower, encoded) {
			return malformed("The path must not contain encoded dots or slashes.")
		}
	}
	return nil
}

// headerFields counts the header fields that must not be repeated.
type headerFields struct {
	length, encoding, authorization, types int
	folded                                 bool
	noToken                                bool // a name is not a token (RFC 9110, section 5.6.2)
}

func countFields(raw []byte) headerFields {
	var f headerFields
	for line := range bytes.SplitSeq(raw, []byte("\n")) {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			f.folded = true
			continue
		}
		if len(bytes.TrimSuffix(line, []byte("\r"))) == 0 {
			continue
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		if !isToken(name) {
			f.noToken = true
		}
		switch strings.ToLower(string(name)) {
		case "content-length":
			f.length++
		case "transfer-encoding":
			f.encoding++
		case "authorization":
			f.authorization++
		case "content-type":
			f.types++
		}
	}
	return f
}

// isToken reports whether text is a token: what names of header fields consist of.
func isToken(text []byte) bool {
	for _, c := range text {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return len(text) > 0
}
