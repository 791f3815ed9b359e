// Package strictjson decodes JSON from callers so that no two parsers can read it differently: one value, no member twice,
// names compared exactly, and text that is Unicode. encoding/json takes "SUB" and "ſub" for "sub", the last of two members
// of one name, and U+FFFD for what is no character.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Errors of [Check] and [Decode]. They never quote the text.
var (
	ErrJSON    = errors.New("text is not one JSON value")
	ErrTwice   = errors.New("JSON names a member twice")
	ErrUnicode = errors.New("JSON has text that is not Unicode")
	ErrUnknown = errors.New("JSON has an unknown member")
)

// Decode decodes the members of the object in text, each into the pointer under its name. Members of other names are
// ignored, or an error if only is true. A missing member leaves what its pointer points to.
func Decode(text []byte, members map[string]any, only bool) error {
	if err := Check(text); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if json.Unmarshal(text, &given) != nil || given == nil {
		return ErrJSON
	}
	for name, value := range given {
		to, known := members[name]
		if !known && only {
			return ErrUnknown
		}
		if known && json.Unmarshal(value, to) != nil {
			return ErrJSON
		}
	}
	return nil
}

// Check returns an error unless text is one JSON value without an object that has two members of one name, and all its
// text is Unicode: valid UTF-8, and no half of a surrogate pair.
func Check(text []byte) error {
	if !utf8.Valid(text) || halfSurrogate(text) {
		return ErrUnicode
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var open []map[string]bool // one per open object or list; nil for a list
	name := false              // the next text is a member's name
	for values := 0; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && values == 1 && len(open) == 0 {
			return nil
		}
		if err != nil || values == 1 && len(open) == 0 {
			return ErrJSON
		}
		values = 1
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
		case string:
			if name {
				seen := open[len(open)-1]
				if seen[t] {
					return ErrTwice
				}
				seen[t], name = true, false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

// halfSurrogate reports whether JSON text has an escape that is half of a surrogate pair without the other half. A
// backslash in JSON is always the beginning of an escape.
func halfSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		first, ok := escapedRune(text[i:])
		if !ok {
			i++ // of two bytes, a backslash that is escaped among them
			continue
		}
		i += 5
		if !utf16.IsSurrogate(first) {
			continue
		}
		second, ok := escapedRune(text[i+1:])
		if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// escapedRune returns the code unit of a \uXXXX at the beginning of text.
func escapedRune(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(unit), err == nil
}
