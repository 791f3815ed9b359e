package api

import (
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/wire"
)

// mediaTypes of the formats.
var mediaTypes = map[string]string{
	wire.FormatCSV: typeCSV, wire.FormatJSON: fault.TypeJSON, wire.FormatLines: wire.TypeLines, wire.FormatArrow: wire.TypeArrow,
}

// formatParam reads ?format=; empty if it is not given.
func (r *request) formatParam(offered ...string) (string, error) {
	format := r.query["format"]
	if format != "" && !slices.Contains(offered, format) {
		return "", fault.Fail(fault.CodeInvalidValue, "'format' must be "+choiceText(offered)+".").
			With(fault.Details{"field": "format", "expected": offered})
	}
	return format, nil
}

// choiceText joins items as "a, b or c".
func choiceText(items []string) string {
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " or " + items[last]
}

// negotiate picks a format: that of ?format=, else the offered one with the highest weight in Accept, else the first
// offered. An Accept header that allows none of them is an error, unless it only names application/problem+json.
func (r *request) negotiate(offered ...string) (string, error) {
	format, err := r.formatParam(offered...)
	accept := r.header("Accept")
	if err != nil || format != "" || accept == "" {
		return firstOf(format, offered), err
	}
	best, most, others := "", 0.0, false
	for _, candidate := range offered {
		mediaType, _, _ := strings.Cut(mediaTypes[candidate], ";")
		if weight := weightOf(accept, mediaType); weight > most {
			best, most = candidate, weight
		}
	}
	for part := range strings.SplitSeq(accept, ",") {
		mediaType, _, err := mime.ParseMediaType(part)
		others = others || err == nil && mediaType != fault.TypeProblem
	}
	if best == "" && others {
		var expected []string
		for _, f := range offered {
			expected = append(expected, mediaTypes[f])
		}
		return "", fault.Fail(fault.CodeNotAcceptable, "").With(fault.Details{"field": "Accept", "expected": expected})
	}
	return firstOf(best, offered), nil
}

func firstOf(format string, offered []string) string {
	if format == "" {
		return offered[0]
	}
	return format
}

// weightOf returns the weight of a media type in an Accept header: that of the most specific range that matches.
func weightOf(accept, mediaType string) float64 {
	weight, exactness := 0.0, 0
	kind, _, _ := strings.Cut(mediaType, "/")
	for part := range strings.SplitSeq(accept, ",") {
		given, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		exact := 1 + slices.Index([]string{"*/*", kind + "/*", mediaType}, given)
		if exact <= exactness {
			continue
		}
		weight, exactness = 1, exact
		if q, ok := params["q"]; ok {
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				weight = 0
			}
		}
	}
	return weight
}
