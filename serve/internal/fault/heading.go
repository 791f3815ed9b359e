package fault

import (
	"strings"
	"unicode"
)

// titleCase formats the label or the name of a column: "Monthly charges" and "MonthlyCharges" become "Monthly Charges",
// "customer_id" and "customerID" become "Customer ID".
func titleCase(label string) string {
	words := strings.FieldsFunc(splitCamelCase(label), func(c rune) bool { return c == '_' || unicode.IsSpace(c) })
	for i, word := range words {
		if strings.EqualFold(word, "id") {
			words[i] = "ID"
			continue
		}
		runes := []rune(word)
		runes[0] = unicode.ToTitle(runes[0])
		words[i] = string(runes)
	}
	return strings.Join(words, " ")
}

// splitCamelCase inserts a space between a lower-case and an upper-case letter.
func splitCamelCase(name string) string {
	var b strings.Builder
	var last rune
	for _, c := range name {
		if unicode.IsUpper(c) && unicode.IsLower(last) {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
		last = c
	}
	return b.String()
}
