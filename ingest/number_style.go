package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
)

// NumberStyle says how the numbers of a file are written. It is decided once for a file, because a cell alone cannot
// say whether 1.234 is a thousand or a little more than one. The zero value reads a decimal point, and separators of
// thousands of any kind but that.
type NumberStyle struct {
	// Decimal is "." or ","; empty is ".".
	Decimal string `json:"decimal,omitempty"`
	// Thousands is ".", ",", "space", "apostrophe" or "none"; empty is any of them but the decimal sign.
	Thousands string `json:"thousands,omitempty"`
}

// decimalSigns and thousandsSigns are the values that a [NumberStyle] may have.
var (
	decimalSigns   = []string{".", ","}
	thousandsSigns = []string{".", ",", "space", "apostrophe", "none"}
)

// ParseNumberStyle makes a style of what a person states; either may be empty. One of "." and "," as the sign of
// thousands makes the other the decimal sign.
func ParseNumberStyle(decimal, thousands string) (NumberStyle, error) {
	decimal, thousands = signNamed(decimal), signNamed(thousands)
	s := NumberStyle{Decimal: decimal, Thousands: thousands}
	switch {
	case decimal != "" && !slices.Contains(decimalSigns, decimal):
		return s, fmt.Errorf("decimal sign %q is neither a point nor a comma", decimal)
	case thousands != "" && !slices.Contains(thousandsSigns, thousands):
		return s, fmt.Errorf("sign of thousands %q is none of . , space apostrophe none", thousands)
	case decimal != "" && decimal == thousands:
		return s, fmt.Errorf("the sign %q cannot stand for decimals and for thousands", decimal)
	case decimal == "" && thousands == ".":
		s.Decimal = ","
	case decimal == "" && thousands == ",":
		s.Decimal = "."
	}
	return s, nil
}

// signNamed takes the words for signs, and signs for the words of a [NumberStyle].
func signNamed(text string) string {
	switch text {
	case "point":
		return "."
	case "comma":
		return ","
	case " ":
		return "space"
	case "'":
		return "apostrophe"
	}
	return text
}

// String shows the style with a number: "1.234,56".
func (s NumberStyle) String() string {
	decimal, group := ".", ","
	if s.Decimal == "," {
		decimal, group = ",", "."
	}
	switch s.Thousands {
	case "space":
		group = " "
	case "apostrophe":
		group = "'"
	case "none":
		group = ""
	}
	return "1" + group + "234" + decimal + "56"
}

// grammar reads numbers of one style that are no plain decimals.
type grammar struct {
	decimal byte
	group   byte // the class of separators of thousands that is allowed; 0: any but decimal; 'x': none
}

func (s NumberStyle) grammar() grammar {
	g := grammar{decimal: '.'}
	if s.Decimal == "," {
		g.decimal = ','
	}
	switch s.Thousands {
	case ".", ",":
		g.group = s.Thousands[0]
	case "space":
		g.group = ' '
	case "apostrophe":
		g.group = '\''
	case "none":
		g.group = 'x'
	}
	return g
}

// other is the grammar with the other decimal sign.
func (g grammar) other() grammar {
	if g.decimal == '.' {
		return grammar{decimal: ','}
	}
	return grammar{decimal: '.'}
}

// affixes are what may stand around the digits of a number.
type affixes struct {
	negative, bracket, sign, percent bool
	currency                         string
}

// read gives the plain decimal that a trimmed cell means, in dst, and what stood around it.
func (g grammar) read(dst, text []byte) (plain []byte, around affixes, ok bool) {
	core, around, ok := strip(text)
	if !ok {
		return nil, around, false
	}
	if around.negative {
		dst = append(dst, '-')
	}
	plain, ok = g.digits(dst, core)
	return plain, around, ok
}

// digits reads groups of digits, and behind a decimal sign the others.
func (g grammar) digits(dst, core []byte) ([]byte, bool) {
	whole, fraction := core, []byte(nil)
	if at := bytes.IndexByte(core, g.decimal); at >= 0 {
		whole, fraction = core[:at], core[at+1:]
		if len(fraction) == 0 || digits(fraction) != len(fraction) {
			return nil, false
		}
	}
	dst, ok := g.groups(dst, whole)
	if !ok || len(whole)+len(fraction) == 0 {
		return nil, false
	}
	if fraction != nil {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst, true
}

// groups reads a whole number with or without separators of thousands. With commas the groups may be those of India
// too: 12,34,567.
func (g grammar) groups(dst, whole []byte) ([]byte, bool) {
	class, first, pairs, size := byte(0), true, false, 0
	for len(whole) > 0 {
		if n := digits(whole); n > 0 {
			dst, size, whole = append(dst, whole[:n]...), n, whole[n:]
			continue
		}
		kind, width := separatorClass(whole)
		whole = whole[width:]
		switch {
		case kind == 0 || kind == g.decimal || g.group != 0 && kind != g.group || class != 0 && kind != class:
			return nil, false
		case first && (size < 1 || size > 3 || dst[len(dst)-size] == '0'):
			return nil, false
		case !first && size == 2 && kind == ',':
			pairs = true
		case !first && (size != 3 || pairs):
			return nil, false
		}
		class, first, size = kind, false, 0
	}
	return dst, class == 0 || size == 3
}

// separatorClass knows the characters that separate thousands: '.', ',', ' ' for spaces of all kinds, '\” for
// apostrophes; 0 for others.
func separatorClass(text []byte) (class byte, width int) {
	r, width := utf8.DecodeRune(text)
	switch r {
	case '.', ',':
		return byte(r), width
	case '\'', '’', '`', '´':
		return '\'', width
	}
	if r != '\n' && r != '\r' && r != '\t' && unicode.IsSpace(r) {
		return ' ', width
	}
	return 0, width
}

// strip takes off what may stand around a number, each kind once. What is left begins and ends with a digit, or begins
// with a decimal sign.
func strip(text []byte) ([]byte, affixes, bool) {
	var a affixes
	for before := -1; before != len(text); {
		before = len(text)
		text = bytes.TrimFunc(text, invisible)
		text = a.signs(text)
		text = a.units(text)
	}
	ok := len(text) > 0 && text[len(text)-1]-'0' <= 9 && (text[0]-'0' <= 9 || text[0] == '.' || text[0] == ',')
	return text, a, ok && !(a.percent && a.currency != "")
}

// signs takes off a minus or plus in front, a minus behind, or the brackets of accountants.
func (a *affixes) signs(text []byte) []byte {
	if a.sign || a.bracket || len(text) < 2 {
		return text
	}
	if text[0] == '(' && text[len(text)-1] == ')' {
		a.bracket, a.negative = true, true
		return text[1 : len(text)-1]
	}
	if r, n := utf8.DecodeRune(text); r == '+' || isMinus(r) {
		a.sign, a.negative = true, isMinus(r)
		return text[n:]
	}
	if r, n := utf8.DecodeLastRune(text); isMinus(r) {
		a.sign, a.negative = true, true
		return text[:len(text)-n]
	}
	return text
}

func isMinus(r rune) bool { return r == '-' || r == '−' || r == '－' || r == '﹣' }

// units takes off a percent sign behind, or a currency in front or behind.
func (a *affixes) units(text []byte) []byte {
	if rest, found := bytes.CutSuffix(text, []byte("%")); found && !a.percent {
		a.percent = true
		return rest
	}
	if a.currency != "" {
		return text
	}
	front := bytes.IndexFunc(text, func(r rune) bool { return !isCurrencyPart(r) })
	if front > 0 && isCurrency(text[:front]) {
		a.currency = string(text[:front])
		return text[front:]
	}
	back := 1 + bytes.LastIndexFunc(text, func(r rune) bool { return !isCurrencyPart(r) })
	for back > 0 && back < len(text) && !utf8.RuneStart(text[back]) {
		back++
	}
	if back > 0 && back < len(text) && isCurrency(text[back:]) {
		a.currency = string(text[back:])
		return text[:back]
	}
	return text
}

func isCurrencyPart(r rune) bool { return unicode.IsLetter(r) || unicode.Is(unicode.Sc, r) }

// currencies are the codes and letters that stand for money; signs such as $ are known without a list.
var currencies = []string{
	"EUR", "USD", "GBP", "CHF", "JPY", "CNY", "INR", "BRL", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF",
	"TRY", "ZAR", "MXN", "kr", "zł", "Kč", "Ft", "Fr", "Rs",
}

// european are those of countries that write a decimal comma.
var european = []string{"€", "EUR", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "kr", "zł", "Kč", "Ft"}

// isCurrency knows a currency: a sign, perhaps with the letters of a country (US$), or one of the list.
func isCurrency(text []byte) bool {
	r, n := utf8.DecodeLastRune(text)
	if unicode.Is(unicode.Sc, r) {
		letters := text[:len(text)-n]
		return len(letters) <= 2 && bytes.IndexFunc(letters, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
	}
	return slices.ContainsFunc(currencies, func(c string) bool { return bytes.EqualFold(text, []byte(c)) })
}

// isEuropean says whether a currency makes a decimal comma likely.
func isEuropean(currency string) bool {
	return slices.ContainsFunc(european, func(c string) bool { return bytes.EqualFold([]byte(currency), []byte(c)) })
}

// numberSign is what a cell says about the style of its file.
type numberSign uint8

const (
	signNone    numberSign = iota // no number, or one that every style reads alike
	signPoint                     // only a decimal point makes it a number: 91.15
	signComma                     // only a decimal comma does: 91,15
	signDotted                    // either: 1.384
	signGrouped                   // either: 1,384
)

// signOf reads a trimmed cell in both styles.
func signOf(dst, text []byte) (numberSign, affixes) {
	dot, comma := bytes.IndexByte(text, '.') >= 0, bytes.IndexByte(text, ',') >= 0
	if !dot && !comma {
		_, around, ok := grammar{decimal: '.'}.read(dst, text)
		if !ok {
			return signNone, affixes{}
		}
		return signNone, around
	}
	_, around, asPoint := grammar{decimal: '.'}.read(dst, text)
	_, _, asComma := grammar{decimal: ','}.read(dst, text)
	switch {
	case asPoint && asComma && dot:
		return signDotted, around
	case asPoint && asComma:
		return signGrouped, around
	case asPoint || isDecimal(text):
		return signPoint, around
	case asComma:
		return signComma, around
	}
	return signNone, affixes{}
}
