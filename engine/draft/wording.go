package draft

import (
	"slices"
	"strings"
	"unicode"
)

// wording is how a person reads a column.
type wording struct {
	label, unit string
	high, low   string // phrases; empty: the engine's own
	sensitive   bool
}

// units are the last words of names that say what a number counts, with the word to show.
var units = map[string]string{
	"days": "days", "weeks": "weeks", "months": "months", "years": "years", "hours": "hours", "minutes": "minutes",
	"usd": "USD", "eur": "EUR", "gbp": "GBP", "chf": "CHF", "gb": "GB", "mb": "MB", "percent": "%", "pct": "%", "km": "km",
}

// sensitiveWords mark what must not be given as a reason.
var sensitiveWords = []string{
	"gender", "sex", "age", "birth", "birthday", "birthdate", "dob", "race", "ethnicity", "ethnic", "religion", "nationality",
	"marital", "married", "disability", "disabled", "senior", "pregnant", "orientation",
}

// adjectives are the words for much and little, by a word of the name.
var adjectives = map[string][2]string{
	"tenure": {"long", "short"}, "duration": {"long", "short"}, "length": {"long", "short"},
	"count": {"many", "few"}, "number": {"many", "few"}, "calls": {"many", "few"}, "tickets": {"many", "few"},
	"logins": {"many", "few"}, "visits": {"many", "few"}, "orders": {"many", "few"}, "complaints": {"many", "few"},
}

// wordingOf reads a column's name: MonthlyCharges is "Monthly charges", last_login_days is "Last login" in days.
func wordingOf(name string) wording {
	words := splitName(name)
	w := wording{sensitive: slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains(sensitiveWords, strings.ToLower(word))
	})}
	if last := len(words) - 1; last > 0 {
		if unit, known := units[strings.ToLower(words[last])]; known {
			w.unit, words = unit, words[:last]
		}
	}
	for i, word := range words {
		if i == 0 {
			words[i] = firstUpper(word)
		} else if !isAcronym(word) {
			words[i] = strings.ToLower(word)
		}
	}
	w.label = strings.Join(words, " ")
	for _, word := range words {
		if pair, known := adjectives[strings.ToLower(word)]; known {
			w.high, w.low = w.compared(pair[0]), w.compared(pair[1])
			break
		}
	}
	return w
}

// compared is the phrase of a number that is above or below the typical one.
func (w *wording) compared(adjective string) string {
	value := "{value}"
	if w.unit != "" {
		value += " {unit}"
	}
	return adjective + " " + firstLower(w.label) + " (" + value + ", typical {typical})"
}

// splitName cuts a name at underscores, hyphens, blanks and points, and where a capital letter begins a word.
func splitName(name string) []string {
	var words []string
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("_-. ", r) }) {
		runes := []rune(part)
		from := 0
		for i := 1; i < len(runes); i++ {
			begins := unicode.IsUpper(runes[i]) && (unicode.IsLower(runes[i-1]) ||
				unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1]))
			if begins {
				words, from = append(words, string(runes[from:i])), i
			}
		}
		words = append(words, string(runes[from:]))
	}
	if len(words) == 0 {
		return []string{name}
	}
	return words
}

// isAcronym reports whether a word is written in capitals: ID, NPS, TV.
func isAcronym(word string) bool {
	return len(word) > 1 && strings.ToUpper(word) == word && strings.ToLower(word) != word
}

func firstUpper(word string) string {
	runes := []rune(word)
	runes[0] = unicode.ToUpper(runes[0])
	return string(runes)
}

func firstLower(label string) string {
	if word, _, _ := strings.Cut(label, " "); isAcronym(word) {
		return label
	}
	runes := []rune(label)
	runes[0] = unicode.ToLower(runes[0])
	return string(runes)
}
