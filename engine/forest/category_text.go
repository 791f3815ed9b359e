package forest

import (
	"math"
	"strconv"
	"strings"
)

// Spellings returns the texts beside Categories that a data frame or a table may write for them, each with its category:
// an integer column that holds a missing value writes 1.0 for 1, float32 numbers are shortened, and booleans come in
// three cases. It is nil if there are none. A text that is a category itself is never among them.
func (f *Feature) Spellings() map[string]string {
	if f.CategoryKind == CategoryText {
		return nil
	}
	known := make(map[string]bool, len(f.Categories))
	for _, category := range f.Categories {
		known[category] = true
	}
	spellings := map[string]string{}
	for _, category := range f.Categories {
		for _, other := range otherSpellings(category, f.CategoryKind) {
			if !known[other] {
				spellings[other] = category
			}
		}
	}
	return spellings
}

func otherSpellings(category string, kind CategoryKind) []string {
	switch kind {
	case CategoryBool:
		return []string{strings.ToLower(category), strings.ToUpper(category)}
	case CategoryInteger:
		return []string{category + ".0"}
	case CategoryFloat:
		v, err := strconv.ParseFloat(category, 64)
		if err != nil {
			return nil
		}
		others := []string{strconv.FormatFloat(v, 'g', -1, 64), strconv.FormatFloat(v, 'f', -1, 64)}
		if float64(float32(v)) == v {
			others = append(others, pythonFloat(v, 32))
		}
		return others
	}
	return nil
}

// pythonBool writes a boolean as Python does.
func pythonBool(v bool) string {
	if v {
		return "True"
	}
	return "False"
}

// pythonFloat writes a number as Python does, and so pandas: the shortest decimal of a float of so many bits, with a point
// or an exponent, the latter from 1e16 on and below 1e-4.
func pythonFloat(v float64, bits int) string {
	if size := math.Abs(v); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(v, 'e', -1, bits)
	}
	text := strconv.FormatFloat(v, 'f', -1, bits)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
