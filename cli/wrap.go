package cli

import (
	"strings"
	"unicode/utf8"
)

// lineWidth is the width of a terminal that messages and reports fit into.
const lineWidth = 80

// wrapped returns text as lines of at most lineWidth characters, each with the indent. A longer word has a line of its own.
func wrapped(indent, text string) string {
	var b strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case width == 0:
			b.WriteString(indent)
			width = utf8.RuneCountInString(indent)
		case width+1+n > lineWidth:
			b.WriteString("\n" + indent)
			width = utf8.RuneCountInString(indent)
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	if width > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// shortened returns text cut to at most width characters, with an ellipsis if it was longer.
func shortened(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
