package ingest

import (
	"bytes"
	"slices"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// texts is a Text column: the bytes as they stand, unquoted. Missing is the empty text, which no other cell has.
type texts struct {
	column
	bytes   []byte
	offsets []int32 // where each text starts in bytes, and where the last one ends
}

func (t *texts) reset(missing int) {
	t.resetCounts(missing)
	t.bytes = t.bytes[:0]
	t.offsets = extend(t.offsets[:0], missing+1)
	clear(t.offsets)
}

func (t *texts) convert(w *window, r run) {
	f := w.fields(r, &t.column)
	t.bytes = slices.Grow(t.bytes, w.end-w.start+kernels.Slack)
	for row := range r.rows {
		start, end := f.Bare(row)
		cell := f.Text[start:end]
		if !t.plain(cell) || f.Text[end] == '"' && bytes.IndexByte(cell, '"') >= 0 {
			var set remark
			var reason Reason
			cell, set, reason = t.evaluate(f.Bytes(row))
			t.note(w, r.slot+row, set, reason)
		}
		t.add(cell)
	}
}

// add appends a text. Short ones, which ids are, are copied as two words, whatever their size.
func (t *texts) add(cell []byte) {
	size := len(t.bytes)
	if len(cell) <= 16 && cap(cell) >= 16 && cap(t.bytes)-size >= 16 {
		*(*[16]byte)(t.bytes[size : size+16]) = *(*[16]byte)(cell[:16])
		t.bytes = t.bytes[:size+len(cell)]
	} else {
		t.bytes = append(t.bytes, cell...)
	}
	t.offsets = append(t.offsets, int32(len(t.bytes)))
}

// plain says whether a cell without its quotes is sure to be its own text, if it has no doubled quotes: nothing to
// trim, and too long for a missing word.
func (t *texts) plain(cell []byte) bool {
	if len(cell) == 0 || len(cell) <= t.words.longest || t.own {
		return false
	}
	first, last := cell[0], cell[len(cell)-1]
	return first > ' ' && first < 0x80 && last > ' ' && last < 0x80
}

// evaluate reads any cell. Its text is valid until the next call.
func (t *texts) evaluate(cell []byte) ([]byte, remark, Reason) {
	text := t.text(cell)
	if trimmed, _ := trim(text); t.words.mean(trimmed) {
		set, reason := t.empty()
		return nil, set, reason
	}
	return text, 0, 0
}

func (t *texts) judge(cell []byte) Reason {
	_, _, reason := t.evaluate(cell)
	return reason
}

func (t *texts) remove(w *window, slots []int) {
	for _, slot := range slots {
		_, set, _ := t.evaluate(w.cell(slot, &t.column))
		t.count(set, -1)
	}
	kept, keptBytes := slots[0], t.offsets[slots[0]]
	for i, slot := range slots {
		next := len(t.offsets) - 1
		if i+1 < len(slots) {
			next = slots[i+1]
		}
		from, to := t.offsets[slot+1], t.offsets[next]
		shift := from - keptBytes
		copy(t.bytes[keptBytes:], t.bytes[from:to])
		keptBytes += to - from
		for _, end := range t.offsets[slot+2 : next+1] {
			kept++
			t.offsets[kept] = end - shift
		}
	}
	t.offsets, t.bytes = t.offsets[:kept+1], t.bytes[:keptBytes]
}
