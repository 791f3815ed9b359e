package forest

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// unescapeJSON decodes the escapes of a JSON string; ok is false if one is malformed.
func unescapeJSON(text []byte) (s string, ok bool) {
	var b strings.Builder
	for len(text) > 0 {
		if text[0] != '\\' {
			b.WriteByte(text[0])
			text = text[1:]
			continue
		}
		if len(text) < 2 {
			return "", false
		}
		if text[1] == 'u' {
			r, size := unescapeRune(text)
			if size == 0 {
				return "", false
			}
			b.WriteRune(r)
			text = text[size:]
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, text[1])
		if i < 0 {
			return "", false
		}
		b.WriteByte("\"\\/\b\f\n\r\t"[i])
		text = text[2:]
	}
	return b.String(), true
}

// unescapeRune decodes \uXXXX, or two of them if they are a surrogate pair; size is 0 if it is malformed.
func unescapeRune(text []byte) (r rune, size int) {
	first, ok := hexRune(text)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 6
	}
	if second, ok := hexRune(text[6:]); ok {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

func hexRune(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(text[2:6]), 16, 32)
	return rune(v), err == nil
}
