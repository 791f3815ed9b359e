package forest

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// lightgbmLines cuts a LightGBM text model into lines and key=value fields.
type lightgbmLines struct {
	file  []byte
	meter *meter
	next  int // offset of the next line
	start int // offset of the line last returned
}

// line returns the next line without its end; ok is false at the end of the file.
func (l *lightgbmLines) line() (line []byte, ok bool) {
	l.start = l.next
	if l.next >= len(l.file) {
		return nil, false
	}
	line = l.file[l.next:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		l.next += i + 1
		line = line[:i]
	} else {
		l.next = len(l.file)
	}
	return bytes.TrimSuffix(line, []byte("\r")), true
}

// last returns the line last returned once more.
func (l *lightgbmLines) last() []byte { return bytes.TrimRight(l.file[l.start:l.next], "\r\n") }

// unread makes the line last returned the next one again.
func (l *lightgbmLines) unread() { l.next = l.start }

// lightgbmFields are the fields of one section that the reader knows, by position in its list of keys. A field that the
// file lacks is nil; one without a value is empty.
type lightgbmFields [][]byte

// section reads fields up to a line that starts the next section, skipping unknown keys: newer versions add some.
func (l *lightgbmLines) section(keys []string, into lightgbmFields) error {
	clear(into)
	for {
		line, ok := l.line()
		if !ok {
			return fault(KindTruncated, "file ends before \"end of trees\"")
		}
		if err := l.meter.step(len(line) + 1); err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte("Tree=")) || endsTrees(line) {
			l.unread()
			return nil
		}
		key, value, _ := bytes.Cut(line, []byte("="))
		i := lightgbmKey(keys, key)
		if i < 0 {
			continue
		}
		if into[i] != nil {
			return fieldFault(KindField, keys[i], "appears twice")
		}
		into[i] = value
		if value == nil {
			into[i] = line[len(line):]
		}
	}
}

// endsTrees reports whether a line follows the last tree. LightGBM 2.0 wrote the importances at once.
func endsTrees(line []byte) bool {
	return string(line) == "end of trees" || startsImportances(line)
}

func startsImportances(line []byte) bool {
	return string(line) == "feature importances:" || string(line) == "feature_importances:"
}

func lightgbmKey(keys []string, key []byte) int {
	for i, k := range keys {
		if string(key) == k {
			return i
		}
	}
	return -1
}

// mayHold reports whether text is long enough for count values with a space between: a check before they are allocated.
func mayHold(text []byte, count int) bool { return count <= (len(text)+1)/2 }

// eachToken calls use with the count tokens of value, which are separated by spaces.
func (l *lightgbmLines) eachToken(field string, value []byte, count int, use func(i int, token []byte) error) error {
	if err := l.meter.step(len(value)); err != nil {
		return err
	}
	rest := bytes.Trim(value, " ")
	for i := range count {
		if len(rest) == 0 {
			return fieldFault(KindField, field, "has %d values, want %d", i, count)
		}
		var token []byte
		token, rest, _ = bytes.Cut(rest, []byte(" "))
		rest = bytes.TrimLeft(rest, " ")
		if err := use(i, token); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return fieldFault(KindField, field, "has more than %d values", count)
	}
	return nil
}

// ints reads count 32-bit integers through set.
func (l *lightgbmLines) ints(field string, value []byte, count int, set func(i int, v int32)) error {
	return l.eachToken(field, value, count, func(i int, token []byte) error {
		v, ok := parseInt(token)
		if !ok || v < math.MinInt32 || v > math.MaxInt32 {
			return fieldFault(KindField, field, "value %d: %s is no 32-bit integer", i, clipped(token))
		}
		set(i, int32(v))
		return nil
	})
}

// floats reads count numbers through set. NaN and infinity are numbers here; Validate knows where they may stand.
func (l *lightgbmLines) floats(field string, value []byte, count int, set func(i int, v float64)) error {
	return l.eachToken(field, value, count, func(i int, token []byte) error {
		v, ok := parseFloat(token, 64)
		if !ok {
			return fieldFault(KindField, field, "value %d: %s is no number", i, clipped(token))
		}
		set(i, v)
		return nil
	})
}

// count reads a field that holds one integer of at least least.
func (fields lightgbmFields) count(i int, keys []string, least int) (int, error) {
	if fields[i] == nil {
		return 0, fieldFault(KindField, keys[i], "is missing")
	}
	v, ok := parseInt(fields[i])
	if !ok || v < int64(least) || v > math.MaxInt32 {
		return 0, fieldFault(KindField, keys[i], "%s is no integer of at least %d", clipped(fields[i]), least)
	}
	return int(v), nil
}

// parseInt parses a decimal 64-bit integer without allocating.
func parseInt(token []byte) (v int64, ok bool) {
	digits := bytes.TrimPrefix(token, []byte("-"))
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	size := uint64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		size = size*10 + uint64(c-'0')
	}
	if len(digits) < len(token) {
		return -int64(size), size <= 1<<63
	}
	return int64(size), size < 1<<63
}

// parseFloat parses a decimal number, NaN or infinity, rounded to nearest in the given width. Hexadecimal numbers and
// underscores, which Go reads but no library writes, are refused.
func parseFloat(token []byte, bits int) (float64, bool) {
	const longest = 400
	if len(token) == 0 || len(token) > longest || bytes.ContainsAny(token, "xX_pP") {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(token), bits)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}
