package forest

import "bytes"

// jsonState is what may follow in a JSON document.
type jsonState uint8

const (
	jsonValue      jsonState = iota // a value
	jsonValueOrEnd                  // a value or the end of the array
	jsonKey                         // a key
	jsonKeyOrEnd                    // a key or the end of the object
	jsonCommaOrEnd                  // a comma or the end of the container
	jsonDone                        // nothing
)

// jsonReader is an eventReader for JSON that also takes the bare words NaN, Infinity and -Infinity: XGBoost and Python
// write them, and encoding/json refuses them. It allocates nothing.
type jsonReader struct {
	file  []byte
	pos   int
	meter *meter
	state jsonState
	stack []byte // '{' or '[' per open container
	frame [deepest]byte
}

func newJSONReader(file []byte, m *meter) *jsonReader {
	r := &jsonReader{file: file, meter: m}
	r.stack = r.frame[:0]
	return r
}

func (r *jsonReader) format() string { return FormatXGBoost }

func (r *jsonReader) next() (event, error) {
	before := r.pos
	e, err := r.advance()
	if err != nil {
		return event{}, err
	}
	return e, r.meter.step(r.pos - before + 1)
}

func (r *jsonReader) advance() (event, error) {
	for {
		c, ok := r.skipSpace()
		switch {
		case !ok && r.state == jsonDone:
			return event{kind: eventEnd}, nil
		case !ok:
			return event{}, fault(KindTruncated, "file ends inside its JSON")
		case r.state == jsonDone:
			return event{}, fault(KindTruncated, "unexpected bytes follow the JSON at byte %d", r.pos)
		case r.endsContainer(c):
			return r.close(), nil
		case r.state == jsonCommaOrEnd:
			if c != ',' {
				return event{}, r.unexpected("a comma")
			}
			r.pos++
			r.state = jsonValue
			if r.stack[len(r.stack)-1] == '{' {
				r.state = jsonKey
			}
		case r.state == jsonKey || r.state == jsonKeyOrEnd:
			return r.key(c)
		default:
			return r.value(c)
		}
	}
}

// skipSpace returns the next byte that is no white space, without taking it.
func (r *jsonReader) skipSpace() (c byte, ok bool) {
	for r.pos < len(r.file) {
		c := r.file[r.pos]
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, true
		}
		r.pos++
	}
	return 0, false
}

func (r *jsonReader) endsContainer(c byte) bool {
	if len(r.stack) == 0 {
		return false
	}
	switch r.stack[len(r.stack)-1] {
	case '{':
		return c == '}' && (r.state == jsonKeyOrEnd || r.state == jsonCommaOrEnd)
	default:
		return c == ']' && (r.state == jsonValueOrEnd || r.state == jsonCommaOrEnd)
	}
}

func (r *jsonReader) close() event {
	r.pos++
	kind := eventEndObject
	if r.stack[len(r.stack)-1] == '[' {
		kind = eventEndArray
	}
	r.stack = r.stack[:len(r.stack)-1]
	r.valueDone()
	return event{kind: kind}
}

func (r *jsonReader) valueDone() {
	r.state = jsonCommaOrEnd
	if len(r.stack) == 0 {
		r.state = jsonDone
	}
}

func (r *jsonReader) key(c byte) (event, error) {
	if c != '"' {
		return event{}, r.unexpected("a key")
	}
	e, err := r.quoted(eventKey)
	if err != nil {
		return event{}, err
	}
	if c, ok := r.skipSpace(); !ok || c != ':' {
		return event{}, r.unexpected("a colon")
	}
	r.pos++
	r.state = jsonValue
	return e, nil
}

func (r *jsonReader) value(c byte) (event, error) {
	switch {
	case c == '{' || c == '[':
		return r.open(c)
	case c == '"':
		e, err := r.quoted(eventString)
		r.valueDone()
		return e, err
	case c == '-' || c >= '0' && c <= '9' || c == 'N' || c == 'I':
		return r.number()
	}
	for _, w := range []struct {
		word  string
		event event
	}{
		{"true", event{kind: eventBool, integer: 1}},
		{"false", event{kind: eventBool}},
		{"null", event{kind: eventNull}},
	} {
		if bytes.HasPrefix(r.file[r.pos:], []byte(w.word)) {
			r.pos += len(w.word)
			r.valueDone()
			return w.event, nil
		}
	}
	return event{}, r.unexpected("a value")
}

func (r *jsonReader) open(c byte) (event, error) {
	if len(r.stack) == deepest {
		return event{}, fault(KindField, "JSON is nested more than %d deep", deepest)
	}
	r.stack = append(r.stack, c)
	r.pos++
	if c == '{' {
		r.state = jsonKeyOrEnd
		return event{kind: eventObject}, nil
	}
	r.state = jsonValueOrEnd
	return event{kind: eventArray}, nil
}

// quoted takes a string without decoding it.
func (r *jsonReader) quoted(kind eventKind) (event, error) {
	r.pos++
	start, escaped := r.pos, false
	for r.pos < len(r.file) {
		switch c := r.file[r.pos]; {
		case c == '"':
			e := event{kind: kind, text: r.file[start:r.pos], escaped: escaped}
			r.pos++
			return e, nil
		case c == '\\':
			escaped = true
			r.pos++
		case c < 0x20:
			return event{}, r.unexpected("text")
		}
		r.pos++
	}
	return event{}, fault(KindTruncated, "file ends inside a string")
}

// number takes a number's text; the reader of the value parses it. One that is skipped must be a number too: what is
// damaged there may be damaged elsewhere.
func (r *jsonReader) number() (event, error) {
	start := r.pos
	for r.pos < len(r.file) && isNumberByte(r.file[r.pos]) {
		r.pos++
	}
	text := r.file[start:r.pos]
	if last := text[len(text)-1]; last == '-' || last == '+' || last == '.' || last == 'e' || last == 'E' {
		if r.pos == len(r.file) {
			return event{}, fault(KindTruncated, "file ends inside a number")
		}
		return event{}, r.unexpected("a digit")
	}
	if !isJSONNumber(text) {
		return event{}, fault(KindField, "JSON has %s at byte %d where a number belongs", clipped(text), start)
	}
	r.valueDone()
	return event{kind: eventNumber, text: text}, nil
}

// isJSONNumber reports whether text is a number of JSON, or NaN or an infinity, which XGBoost writes too.
func isJSONNumber(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte("-"))
	if string(text) == "NaN" || string(text) == "Infinity" {
		return true
	}
	text, ok := cutDigits(text)
	if ok && len(text) > 0 && text[0] == '.' {
		text, ok = cutDigits(text[1:])
	}
	if ok && len(text) > 0 && text[0]|0x20 == 'e' {
		text = text[1:]
		if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		text, ok = cutDigits(text)
	}
	return ok && len(text) == 0
}

// cutDigits cuts off one digit or more.
func cutDigits(text []byte) (rest []byte, ok bool) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return text[n:], n > 0
}

// isNumberByte covers digits, signs, exponents and the letters of NaN and Infinity.
func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || bytes.IndexByte([]byte("+-.eENaInfity"), c) >= 0
}

func (r *jsonReader) unexpected(want string) error {
	if r.pos >= len(r.file) {
		return fault(KindTruncated, "file ends where %s belongs", want)
	}
	return fault(KindField, "JSON has %q at byte %d where %s belongs", rune(r.file[r.pos]), r.pos, want)
}
