package ingest

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A category that no list has is looked for once more as people read it: without case, inner white space, dashes and
// underscores, as headers are; as a number, if it is one; and as yes or no, if the column is of the two. Nothing that the
// model keeps apart is merged: where two categories could be meant, neither is.

// looseCategories finds the code of a text that is not spelled as in training.
type looseCategories struct {
	folded   map[string]uint16
	numbers  map[float64]uint16
	yes, no  uint16
	booleans bool // yes and no are set
	seen     map[string]uint16
}

// looseSeenMax bounds the texts that are kept with what was found for them.
const looseSeenMax = 1024

// exactIntegers is up to where float64 keeps all whole numbers apart.
const exactIntegers = 1 << 53

func newLooseCategories(exact, spelled map[string]uint16) *looseCategories {
	l := &looseCategories{folded: map[string]uint16{}, numbers: map[float64]uint16{}, seen: map[string]uint16{}}
	unclear, unclearNumbers := map[string]bool{}, map[float64]bool{}
	for _, list := range []map[string]uint16{exact, spelled} {
		for text, code := range list {
			key := foldCategory(text)
			if other, there := l.folded[key]; there && other != code {
				unclear[key] = true
			}
			l.folded[key] = code
			value, ok := categoryNumber(text)
			if !ok {
				continue
			}
			if other, there := l.numbers[value]; there && other != code {
				unclearNumbers[value] = true
			}
			l.numbers[value] = code
		}
	}
	for key := range unclear {
		delete(l.folded, key)
	}
	for value := range unclearNumbers {
		delete(l.numbers, value)
	}
	l.findBooleans(exact, spelled)
	return l
}

// find gives the code of a trimmed text that is neither a category nor a spelling.
func (l *looseCategories) find(text []byte) (code uint16, known bool) {
	if code, known := l.seen[string(text)]; known {
		return code, true
	}
	if code, known = l.look(string(text)); known && len(l.seen) < looseSeenMax {
		l.seen[string(text)] = code
	}
	return code, known
}

func (l *looseCategories) look(text string) (code uint16, known bool) {
	value, number := cellNumber(text)
	switch {
	case number:
		code, known = l.numbers[value]
	default:
		code, known = l.folded[foldCategory(text)]
	}
	if known || !l.booleans {
		return code, known
	}
	word := foldCategory(text)
	if number {
		word = strconv.FormatFloat(value, 'f', -1, 64)
	}
	switch {
	case slices.Contains(yesWords, word):
		return l.yes, true
	case slices.Contains(noWords, word):
		return l.no, true
	}
	return 0, false
}

// yesWords and noWords are folded texts for yes and no, pair by pair.
var (
	yesWords = []string{"yes", "true", "1", "y", "t", "on", "ja", "wahr", "j", "oui", "vrai", "si", "sí", "sim", "verdadero", "vero"}
	noWords  = []string{"no", "false", "0", "n", "f", "off", "nein", "falsch", "non", "faux", "não", "falso"}
)

// findBooleans says whether the column is of yes and no: it has two categories that mean these, or more of which the
// spellings name yes and no by at least two words each.
func (l *looseCategories) findBooleans(exact, spelled map[string]uint16) {
	yes, no := codesOf(exact, yesWords), codesOf(exact, noWords)
	pair := len(exact) == 2 && len(yes) == 1 && len(no) == 1
	moreYes, moreNo := codesOf(spelled, yesWords), codesOf(spelled, noWords)
	named := len(yes) <= 1 && len(no) <= 1 && len(moreYes) == 1 && len(moreNo) == 1 && agree(yes, moreYes) && agree(no, moreNo)
	switch {
	case pair && agree(yes, moreYes) && agree(no, moreNo):
		l.yes, l.no = yes[0], no[0]
	case named && distinctWords(spelled, yesWords) > 1 && distinctWords(spelled, noWords) > 1:
		l.yes, l.no = moreYes[0], moreNo[0]
	}
	l.booleans = l.yes != l.no
}

// codesOf lists the codes that texts have which fold to one of the words.
func codesOf(texts map[string]uint16, words []string) (codes []uint16) {
	for text, code := range texts {
		if slices.Contains(words, foldCategory(text)) && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}

func distinctWords(texts map[string]uint16, words []string) int {
	found := map[string]bool{}
	for text := range texts {
		if folded := foldCategory(text); slices.Contains(words, folded) {
			found[folded] = true
		}
	}
	return len(found)
}

// agree says whether two lists of at most one code do not name different ones.
func agree(a, b []uint16) bool {
	return len(a) == 0 || len(b) == 0 || len(a) == 1 && len(b) == 1 && a[0] == b[0]
}

// categoryNumber reads a category that is a number as a library writes it: 007 is a text.
func categoryNumber(text string) (float64, bool) {
	value, ok := cellNumber(text)
	if digits := strings.TrimLeft(text, "+-"); len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		return 0, false
	}
	return value, ok
}

// cellNumber reads a cell as a number that is kept apart from all others.
func cellNumber(text string) (float64, bool) {
	if !isDecimal([]byte(text)) {
		return 0, false
	}
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil && math.Abs(value) < exactIntegers
}

// foldCategory makes texts comparable as people read them: lower case, without white space, dashes and underscores
// between letters. Between digits one dash stays, 10-20 is not 1020; and so does a dash at either end, which may be a
// minus, or the grade below A.
func foldCategory(text string) string {
	runes := []rune(strings.TrimFunc(text, blankInside))
	out := make([]rune, 0, len(runes))
	for i := 0; i < len(runes); i++ {
		if !separates(runes[i]) {
			out = append(out, unicode.ToLower(runes[i]))
			continue
		}
		end := i
		for end+1 < len(runes) && separates(runes[end+1]) {
			end++
		}
		edge := i == 0 || end == len(runes)-1
		if edge || unicode.IsDigit(runes[i-1]) && unicode.IsDigit(runes[end+1]) {
			out = append(out, '-')
		}
		i = end
	}
	return string(out)
}

// blankInside says whether a character is white space, or none that is seen.
func blankInside(r rune) bool { return r == '_' || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

func separates(r rune) bool { return blankInside(r) || isDash(r) }

// isDash knows the hyphens, dashes and minus signs.
func isDash(r rune) bool { return unicode.Is(unicode.Pd, r) || r == '−' || r == '⁃' }
