package api

import (
	"strconv"
	"strings"
)

// compressBytesMin is the size from which bodies are compressed.
const compressBytesMin = 1000

// codingOf returns the content coding for a body of a size: the client's choice, or none for a small body. It is the same
// for every answer to the same request, so that ETags may depend on it.
func (r *request) codingOf(size int) string {
	if size < compressBytesMin {
		return ""
	}
	return coding(r.header("Accept-Encoding"))
}

// coding picks the content coding with the highest weight in Accept-Encoding, and of equal ones the cheapest. Empty means
// no coding.
func coding(accept string) (best string) {
	accepted := acceptedCodings(accept)
	if _, named := accepted["gzip"]; !named {
		accepted["gzip"] = accepted["*"] // every client that accepts any coding supports gzip
	}
	for _, name := range []string{"zstd", "br", "gzip"} {
		if accepted[name] > accepted[best] {
			best = name
		}
	}
	if accepted["identity"] > accepted[best] {
		return ""
	}
	return best
}

// acceptsPlain reports whether a client that asks for a coding takes a body without one as well.
func acceptsPlain(accept string) bool {
	accepted := acceptedCodings(accept)
	weight, named := accepted["identity"]
	if !named {
		weight, named = accepted["*"]
	}
	return !named || weight > 0
}

// acceptedCodings parses the weights of an Accept-Encoding header.
func acceptedCodings(accept string) map[string]float64 {
	accepted := map[string]float64{}
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		_, weight, given := strings.Cut(strings.ReplaceAll(params, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		if !given {
			q = 1
		} else if err != nil {
			q = 0
		}
		if name = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "x-"); name != "" {
			accepted[name] = q
		}
	}
	return accepted
}

// formETag returns the ETag of one form of a body: a content coding, or a format and a coding.
func formETag(etag, form string) string {
	etag = strings.Trim(etag, `"`)
	if form != "" {
		etag += "-" + form
	}
	return `"` + etag + `"`
}
