package ingest

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// numbers is a Number column: missing is NaN.
type numbers struct {
	column
	values []float64
	// Bounds within which a number needs no second look.
	low, high float64
	sentinels []float64 // missing words that read as numbers, such as -999
	grammar   grammar
}

func newNumbers(c column, style NumberStyle) *numbers {
	n := &numbers{column: c, low: -math.MaxFloat64, high: math.MaxFloat64, grammar: style.grammar()}
	n.column.style = style
	s := c.schema
	for _, bound := range []*float64{s.Min, s.AllowedMin} {
		if bound != nil {
			n.low = max(n.low, *bound)
		}
	}
	for _, bound := range []*float64{s.Max, s.AllowedMax} {
		if bound != nil {
			n.high = min(n.high, *bound)
		}
	}
	for word := range c.words.set {
		if value, err := strconv.ParseFloat(word, 64); err == nil {
			n.sentinels = append(n.sentinels, value)
		}
	}
	return n
}

func (n *numbers) reset(missing int) {
	n.resetCounts(missing)
	n.values = extend(n.values[:0], missing)
	for i := range n.values {
		n.values[i] = math.NaN()
	}
}

func (n *numbers) convert(w *window, r run) {
	n.values = extend(n.values, r.rows)
	values := n.values[r.slot:]
	f := w.fields(r, &n.column)
	w.over = w.over.Of(r.rows)
	kernel.Numbers(f, values, n.low, n.high, w.over)
	if len(n.sentinels) > 0 {
		n.leaveSentinels(values, w.over)
	}
	if n.grammar.decimal != '.' {
		leaveDotted(f, w.over)
	}
	w.over.Each(func(row int) {
		value, set, reason := n.evaluate(f.Bytes(row))
		n.note(w, r.slot+row, set, reason)
		values[row] = value
	})
}

// leaveSentinels leaves over the numbers that may mean "no value".
func (n *numbers) leaveSentinels(values []float64, over kernels.Left) {
	for row, value := range values {
		if slices.Contains(n.sentinels, value) {
			over.Add(row)
		}
	}
}

// leaveDotted leaves over the numbers with a point, which is no decimal point in the file.
func leaveDotted(f kernels.Fields, over kernels.Left) {
	for row := range f.Rows {
		if bytes.IndexByte(f.Bytes(row), '.') >= 0 {
			over.Add(row)
		}
	}
}

// evaluate reads any cell, without hurry.
func (n *numbers) evaluate(cell []byte) (float64, remark, Reason) {
	text, set := trim(n.text(cell))
	if len(text) == 0 || n.words.mean(text) {
		set, reason := n.empty()
		return math.NaN(), set, reason
	}
	if !isDecimal(text) || n.grammar.decimal != '.' && bytes.IndexByte(text, '.') >= 0 {
		plain, reason := n.plain(text)
		if reason != 0 {
			return math.NaN(), 0, reason
		}
		text, set = plain, isWritten
	}
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil { // the grammar is right, so the range is not
		return math.NaN(), 0, NotFinite
	}
	if inexactInteger(text) {
		set |= isNormalised
	}
	s := n.schema
	if s.AllowedMin != nil && value < *s.AllowedMin || s.AllowedMax != nil && value > *s.AllowedMax {
		return value, set, OutsideAllowed
	}
	if s.Min != nil && value < *s.Min || s.Max != nil && value > *s.Max {
		set |= isOutside
	}
	return value, set, 0
}

// plain gives the plain decimal that a number means which is none, or why the row is refused.
func (n *numbers) plain(text []byte) ([]byte, Reason) {
	var room [64]byte
	plain, around, ok := n.grammar.read(room[:0], text)
	if !ok {
		_, _, ok = n.grammar.other().read(room[:0], text)
		if ok || n.grammar.decimal != '.' && isDecimal(text) {
			return nil, AgainstStyle
		}
		return nil, notDecimal(text)
	}
	if !around.percent {
		return plain, 0
	}
	// 45 % is 45 where training saw percents, and 0.45 where it saw shares.
	switch most := n.schema.Max; {
	case most != nil && *most <= 1:
		return append(plain, "e-2"...), 0
	case most != nil && *most >= percentsFrom:
		return plain, 0
	}
	return nil, NotANumber
}

// percentsFrom is a training maximum above which a column is one of percents and not of shares.
const percentsFrom = 20

func (n *numbers) judge(cell []byte) Reason {
	_, _, reason := n.evaluate(cell)
	return reason
}

func (n *numbers) remove(w *window, slots []int) {
	for _, slot := range slots {
		_, set, _ := n.evaluate(w.cell(slot, &n.column))
		n.count(set, -1)
	}
	n.values = closeGaps(n.values, slots)
}

// isDecimal checks the grammar that is allowed: strconv.ParseFloat alone would take "inf", "0x1p-2" and "1_000".
//
//	[+-] ( digits [ . [digits] ] | . digits ) [ (e|E) [+-] digits ]
func isDecimal(text []byte) bool {
	text = unsigned(text)
	whole := digits(text)
	text = text[whole:]
	fraction := 0
	if len(text) > 0 && text[0] == '.' {
		fraction = digits(text[1:])
		text = text[1+fraction:]
	}
	if whole+fraction == 0 {
		return false
	}
	if len(text) > 0 && text[0]|0x20 == 'e' {
		text = unsigned(text[1:])
		return len(text) > 0 && digits(text) == len(text)
	}
	return len(text) == 0
}

func unsigned(text []byte) []byte {
	if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
		return text[1:]
	}
	return text
}

// digits counts the digits in front.
func digits(text []byte) int {
	for i, b := range text {
		if b-'0' > 9 {
			return i
		}
	}
	return len(text)
}

// notDecimal distinguishes infinity from what is no number at all.
func notDecimal(text []byte) Reason {
	text = unsigned(text)
	if bytes.EqualFold(text, []byte("inf")) || bytes.EqualFold(text, []byte("infinity")) {
		return NotFinite
	}
	return NotANumber
}

// inexactInteger says whether a whole number has more digits than a float64 keeps.
func inexactInteger(text []byte) bool {
	text = bytes.TrimLeft(unsigned(text), "0")
	return len(text) > 15 && digits(text) == len(text)
}
