package fault

import (
	"strings"
	"unicode"
)

// titleCase writes the label or the name of a column as the heading of a table: "Monthly charges" and "MonthlyCharges" are
// "Monthly Charges", "customer_id" and "customerID" are "Customer ID".
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

// splitCamelCase puts a space where a word begins with a capital in the middle of a name.
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
