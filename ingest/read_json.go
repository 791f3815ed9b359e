package ingest

import (
	"bufio"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// FromJSON gives the rows of a JSON array of objects, or of objects one behind the other, as CSV text. The first
// object's keys are the columns. Values are text, numbers, true, false and null; a number is passed on as it is
// written. The error of what is no such JSON is a [*FormatError].
func FromJSON(r io.Reader, lines bool, limits Limits) io.Reader {
	j := &jsonRows{in: bufio.NewReaderSize(r, 32<<10), lines: lines, limits: limits.withDefaults()}
	return &rowEncoder{next: j.next}
}

type jsonRows struct {
	in     *bufio.Reader
	lines  bool
	limits Limits
	row    int64
	names  []string
	place  map[string]int
	values []byte // of the row, one behind the other
	spans  []span // of values, one a column
	key    []byte
}

type span struct {
	first, end int
	given      bool
}

func (j *jsonRows) fail(problem string) error {
	return &FormatError{Format: "JSON", Row: j.row, Problem: problem}
}

// next appends the next row, in front of the first also the header.
func (j *jsonRows) next(dst []byte) ([]byte, error) {
	more, err := j.seek()
	if err != nil {
		return dst, err
	}
	if !more {
		return dst, io.EOF
	}
	j.row++
	if err := j.object(); err != nil {
		return dst, err
	}
	if j.row == 1 {
		dst = appendNames(dst, j.names)
	}
	start := len(dst)
	for i, s := range j.spans {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, j.values[s.first:s.end])
	}
	return endRow(dst, start), nil
}

// seek moves to the next object and takes its brace.
func (j *jsonRows) seek() (more bool, err error) {
	b, err := j.token()
	if errors.Is(err, io.EOF) && j.lines {
		return false, nil
	}
	if err != nil {
		return false, j.broken(err)
	}
	if !j.lines {
		if b, more, err = j.element(b); err != nil || !more {
			return false, err
		}
	}
	if b != '{' {
		return false, j.fail("a row is not an object")
	}
	return true, nil
}

// element takes what stands between the objects of an array and gives what follows.
func (j *jsonRows) element(b byte) (next byte, more bool, err error) {
	if j.row == 0 {
		if b != '[' {
			return 0, false, j.fail("not an array of objects")
		}
		if b, err = j.token(); err != nil {
			return 0, false, j.broken(err)
		}
		if b != ']' {
			return b, true, nil
		}
	}
	switch b {
	case ']':
		if _, err := j.token(); !errors.Is(err, io.EOF) {
			return 0, false, worse(j.fail("there is more behind the end of the array"), err)
		}
		return 0, false, nil
	case ',':
		next, err = j.token()
		return next, true, j.broken(err)
	}
	return 0, false, j.fail("a comma or the end of the array is missing")
}

// worse prefers an error of reading to ours.
func worse(ours, err error) error {
	if err != nil {
		return err
	}
	return ours
}

// object reads members up to the closing brace.
func (j *jsonRows) object() error {
	j.values = j.values[:0]
	clear(j.spans)
	for first := true; ; first = false {
		b, err := j.token()
		if err != nil {
			return j.broken(err)
		}
		if b == '}' && first {
			break
		}
		if !first {
			if b == '}' {
				break
			}
			if b != ',' {
				return j.fail("a comma or a closing brace is missing")
			}
			if b, err = j.token(); err != nil {
				return j.broken(err)
			}
		}
		if err := j.member(b); err != nil {
			return err
		}
	}
	if j.row == 1 && len(j.names) == 0 {
		return j.fail("the first object has no members")
	}
	return nil
}

func (j *jsonRows) member(b byte) error {
	if b != '"' {
		return j.fail("a name in quotes is missing")
	}
	var err error
	if j.key, err = j.text(j.key[:0]); err != nil {
		return err
	}
	column, err := j.column()
	if err != nil {
		return err
	}
	if b, err = j.token(); err != nil || b != ':' {
		return worse(j.fail("a colon is missing"), j.broken(err))
	}
	if b, err = j.token(); err != nil {
		return j.broken(err)
	}
	first := len(j.values)
	if err := j.value(b); err != nil {
		return err
	}
	j.spans[column] = span{first, len(j.values), true}
	return nil
}

// column finds the column of the key; the first row makes them.
func (j *jsonRows) column() (int, error) {
	at, known := j.place[string(j.key)]
	switch {
	case known && j.spans[at].given:
		return 0, &FormatError{Format: "JSON", Row: j.row, Problem: "a member is there twice", Column: string(j.key)}
	case known:
		return at, nil
	case j.row > 1:
		return 0, &FormatError{
			Format: "JSON", Row: j.row, Column: string(j.key),
			Problem: "a member is not in the first object, whose members are the columns",
		}
	case len(j.names) == j.limits.ColumnsMax:
		return 0, ErrTooManyColumns
	case j.place == nil:
		j.place = map[string]int{}
	}
	name := string(j.key)
	j.place[name] = len(j.names)
	j.names, j.spans = append(j.names, name), append(j.spans, span{})
	return len(j.names) - 1, nil
}

// value appends the text of a value whose first byte is taken.
func (j *jsonRows) value(b byte) (err error) {
	switch {
	case b == '"':
		j.values, err = j.text(j.values)
		return err
	case b == '{' || b == '[':
		return j.fail("a value is an object or an array; use text, a number, true, false or null")
	case b == 't':
		j.values = append(j.values, "true"...)
		return j.word("true")
	case b == 'f':
		j.values = append(j.values, "false"...)
		return j.word("false")
	case b == 'n':
		return j.word("null")
	}
	return j.number(b)
}

// word reads the rest of a word whose first letter has been read.
func (j *jsonRows) word(whole string) error {
	for i := 1; i < len(whole); i++ {
		if b, err := j.in.ReadByte(); err != nil || b != whole[i] {
			return worse(j.fail("a value is none of text, a number, true, false and null"), j.broken(err))
		}
	}
	return nil
}

// number appends a number as it is written.
func (j *jsonRows) number(b byte) error {
	first := len(j.values)
	for {
		j.values = append(j.values, b)
		next, err := j.in.Peek(1)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(next) == 0 || !partOfNumber(next[0]) {
			break
		}
		if b, err = j.in.ReadByte(); err != nil {
			return err
		}
		if len(j.values) > j.limits.RowBytesMax {
			return &RowTooLongError{Line: j.row + 1, Limit: j.limits.RowBytesMax}
		}
	}
	if !isJSONNumber(j.values[first:]) {
		return j.fail("a value is none of text, a number, true, false and null")
	}
	return nil
}

func partOfNumber(b byte) bool {
	return b >= '0' && b <= '9' || b == '.' || b == 'e' || b == 'E' || b == '+' || b == '-'
}

// isJSONNumber is the stricter grammar of JSON: digits on both sides of the point, no plus, no leading zero.
func isJSONNumber(text []byte) bool {
	if !isDecimal(text) || text[0] == '+' {
		return false
	}
	text = unsigned(text)
	whole := digits(text)
	if whole == 0 || whole > 1 && text[0] == '0' {
		return false
	}
	return len(text) == whole || text[whole] != '.' || digits(text[whole+1:]) > 0
}

// text appends a string whose opening quote is taken. What is no UTF-8 is passed on: its row will be refused.
func (j *jsonRows) text(dst []byte) ([]byte, error) {
	for {
		b, err := j.in.ReadByte()
		switch {
		case err != nil:
			return dst, j.broken(err)
		case b == '"':
			return dst, nil
		case b < 0x20:
			return dst, j.fail("a text has a line break or another control character in it")
		case b == '\\':
			if dst, err = j.escape(dst); err != nil {
				return dst, err
			}
		default:
			dst = append(dst, b)
		}
		if len(dst) > j.limits.RowBytesMax {
			return dst, &RowTooLongError{Line: j.row + 1, Limit: j.limits.RowBytesMax}
		}
	}
}

func (j *jsonRows) escape(dst []byte) ([]byte, error) {
	b, err := j.in.ReadByte()
	if err != nil {
		return dst, j.broken(err)
	}
	switch b {
	case '"', '\\', '/':
		return append(dst, b), nil
	case 'b':
		return append(dst, '\b'), nil
	case 'f':
		return append(dst, '\f'), nil
	case 'n':
		return append(dst, '\n'), nil
	case 'r':
		return append(dst, '\r'), nil
	case 't':
		return append(dst, '\t'), nil
	case 'u':
		return j.unicode(dst)
	}
	return dst, j.fail("an escape in a text is not known")
}

// unicode appends the character of \uXXXX. Half of a pair gives bytes that are no UTF-8.
func (j *jsonRows) unicode(dst []byte) ([]byte, error) {
	unit, err := j.hex()
	if err != nil {
		return dst, err
	}
	if utf16.IsSurrogate(unit) {
		next, err := j.in.Peek(6)
		if err == nil && next[0] == '\\' && next[1] == 'u' {
			if low, ok := parseHex(next[2:]); ok {
				if r := utf16.DecodeRune(unit, low); r != utf8.RuneError {
					_, err = j.in.Discard(6)
					return utf8.AppendRune(dst, r), err
				}
			}
		}
		return append(dst, 0xed, 0x80|byte(unit>>6&0x3f), 0x80|byte(unit&0x3f)), nil
	}
	return utf8.AppendRune(dst, unit), nil
}

func (j *jsonRows) hex() (rune, error) {
	var digits [4]byte
	if _, err := io.ReadFull(j.in, digits[:]); err != nil {
		return 0, j.broken(err)
	}
	unit, ok := parseHex(digits[:])
	if !ok {
		return 0, j.fail("an escape in a text is not known")
	}
	return unit, nil
}

func parseHex(digits []byte) (unit rune, ok bool) {
	for _, d := range digits[:4] {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			d = d | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(d)
	}
	return unit, true
}

// token gives the next byte that is not white space.
func (j *jsonRows) token() (byte, error) {
	for {
		b, err := j.in.ReadByte()
		if err != nil || b != ' ' && b != '\n' && b != '\r' && b != '\t' {
			return b, err
		}
	}
}

// broken distinguishes a body that ends too early from one that cannot be read.
func (j *jsonRows) broken(err error) error {
	if errors.Is(err, io.EOF) || err == io.ErrUnexpectedEOF {
		return j.fail("it ends too early")
	}
	return err
}
