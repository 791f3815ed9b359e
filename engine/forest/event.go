package forest

import "math"

// eventKind is the kind of one step through a JSON or UBJSON document.
type eventKind uint8

const (
	eventEnd eventKind = iota // of the document
	eventObject
	eventEndObject
	eventArray
	eventEndArray
	eventKey
	eventString
	eventNumber  // as text
	eventInteger // as a value
	eventFloat   // as a value
	eventBool
	eventNull
)

// event is one step. Its text is part of the file.
type event struct {
	kind    eventKind
	escaped bool   // text holds JSON escapes
	text    []byte // of a key, a string or a number
	integer int64  // of an integer, 0 or 1 for a bool
	number  float64
}

// eventReader walks a document. Objects are well formed: every key is followed by one value.
type eventReader interface {
	next() (event, error)
	// format is the name for Source.Format.
	format() string
}

// deepest bounds nesting, so that no input can make a stack of frames.
const deepest = 32

// asInt returns an integer or a bool as an integer.
func (e event) asInt() (int64, bool) {
	switch e.kind {
	case eventNumber:
		return parseInt(e.text)
	case eventInteger, eventBool:
		return e.integer, true
	}
	return 0, false
}

// asFloat32 returns a number rounded once to float32, as the libraries hold it.
func (e event) asFloat32() (float32, bool) {
	switch e.kind {
	case eventNumber:
		v, ok := parseFloat(e.text, 32)
		return float32(v), ok
	case eventInteger:
		return float32(e.integer), true
	case eventFloat:
		return float32(e.number), true
	}
	return float32(math.NaN()), false
}

// asString returns a key's or a string's value.
func (e event) asString() (string, bool) {
	if e.kind != eventString && e.kind != eventKey {
		return "", false
	}
	if !e.escaped {
		return string(e.text), true
	}
	return unescapeJSON(e.text)
}

// skipValue passes over one value, of which first is the first event.
func skipValue(in eventReader, first event) error {
	depth := 0
	for e := first; ; {
		switch e.kind {
		case eventObject, eventArray:
			depth++
		case eventEndObject, eventEndArray:
			depth--
		case eventEnd:
			return fault(KindTruncated, "file ends inside a value")
		}
		if depth == 0 {
			return nil
		}
		var err error
		if e, err = in.next(); err != nil {
			return err
		}
	}
}
