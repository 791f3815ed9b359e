package ingest

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// windowBytes is how much of a chunk is indexed and converted in one go: text, index and the column being written stay
// in the near caches.
const windowBytes = 48 << 10

// window is a run of whole rows of a chunk with the positions of their separators.
type window struct {
	delimiter byte
	width     int // fields of a row

	chunk  Chunk
	padded []byte // the chunk's bytes and at least slack more

	lineAt int // a place in the chunk and its physical line
	line   int64

	start, end int      // bytes of the chunk
	at         []uint32 // at[0] is the byte before the window, then every separator; one behind the chunk may be virtual
	n          int      // separators in at, without at[0]
	facts      kernels.Indexed
	broken     []brokenPlace // rows whose quoting is broken

	base    int      // slot of the first row
	ends    []uint32 // where the rows end, one a slot from base on
	runs    []run
	rejects []refused
	over    kernels.Left // scratch: what the kernel left
	leads   []uint32     // scratch: places where formulas may begin
}

// run is consecutive rows of the right width.
type run struct {
	first int // at[first] is the separator before the first row
	rows  int
	slot  int // where the first row goes in the batch
}

// refused is a row that will not be in the batch.
type refused struct {
	Reject
	slot int // where it stands in the batch for now, or -1
}

// open sets the chunk whose windows are cut next.
func (w *window) open(chunk Chunk) {
	w.chunk, w.lineAt, w.line = chunk, 0, chunk.Line
	size := len(chunk.Bytes)
	if cap(chunk.Bytes)-size >= kernels.Slack {
		w.padded = chunk.Bytes[:size+kernels.Slack]
		return
	}
	if cap(w.padded) < size+kernels.Slack {
		w.padded = make([]byte, size+kernels.Slack)
	}
	w.padded = w.padded[:size+kernels.Slack]
	copy(w.padded, chunk.Bytes)
}

// cut makes the window that starts at a row start.
func (w *window) cut(start int) error {
	w.start, w.runs, w.rejects, w.broken = start, w.runs[:0], w.rejects[:0], w.broken[:0]
	size := windowBytes
	for ; ; size *= 4 {
		end := min(start+size, len(w.chunk.Bytes))
		w.index(end)
		if w.facts.Violation {
			w.facts, w.broken = indexBroken(w.chunk.Bytes[start:end], w.delimiter, uint32(start), w.at[1:])
			w.n = w.facts.N
		}
		if w.facts.Open && end == len(w.chunk.Bytes) {
			return w.badQuote()
		}
		if end == len(w.chunk.Bytes) {
			w.toEnd(end)
			return nil
		}
		if w.facts.Rows > 0 {
			w.toLastRow()
			return nil
		}
	}
}

func (w *window) index(end int) {
	text := w.chunk.Bytes[w.start:end]
	if room := len(text) + kernels.Slack + 2; len(w.at) < room {
		w.at = make([]uint32, room)
	}
	w.at[0] = uint32(w.start) - 1
	w.facts = kernel.Index(text, w.delimiter, uint32(w.start), w.at[1:])
	w.n = w.facts.N
}

// toLastRow leaves the row that the window cuts through to the next one.
func (w *window) toLastRow() {
	for w.padded[w.at[w.n]] != '\n' {
		w.n--
	}
	w.end = int(w.at[w.n]) + 1
}

// toEnd ends the last row of the chunk, if no line end does, with a separator behind it.
func (w *window) toEnd(end int) {
	w.end = end
	if last := w.at[w.n]; w.n == 0 || w.padded[last] != '\n' || int(last) != end-1 {
		w.n++
		w.at[w.n] = uint32(end)
		w.facts.Rows++
	}
}

// badQuote finds the first broken quote of the window.
func (w *window) badQuote() error {
	text := w.chunk.Bytes[w.start:]
	bad, _ := firstBadQuote(text, w.delimiter)
	return fmt.Errorf("split fields: %w", bad.locate(text, w.lineOf(w.start)))
}

// lineOf is the physical line of a place in the chunk. Places are asked for in ascending order.
func (w *window) lineOf(at int) int64 {
	w.line += int64(bytes.Count(w.padded[w.lineAt:at], []byte{'\n'}))
	w.lineAt = at
	return w.line
}

// brokenAt finds the row that starts at a place, if its quoting is broken. Places are asked for in ascending order.
func (w *window) brokenAt(start uint32) (place brokenPlace, broken bool) {
	for len(w.broken) > 0 && w.broken[0].start < start {
		w.broken = w.broken[1:]
	}
	if len(w.broken) == 0 || w.broken[0].start != start {
		return place, false
	}
	return w.broken[0], true
}

// sound says whether no row of the window needs a look at its bytes.
func (w *window) sound() bool {
	return len(w.broken) == 0 && !w.facts.NUL && (!w.facts.High || utf8.Valid(w.chunk.Bytes[w.start:w.end]))
}

// endsRow says whether a separator is a line end, or the virtual one behind the chunk.
func (w *window) endsRow(separator uint32) bool {
	return w.padded[separator] == '\n' || int(separator) == len(w.chunk.Bytes)
}

// rowEnd takes the CR of a line end off a row.
func (w *window) rowEnd(start, separator uint32) uint32 {
	if separator > start && w.padded[separator-1] == '\r' {
		return separator - 1
	}
	return separator
}

// fields is a column of a run.
func (w *window) fields(r run, c *column) kernels.Fields {
	f := kernels.Fields{Text: w.padded, At: w.at[r.first+c.field:], Stride: w.width, Rows: r.rows}
	if c.last {
		f.Ends = w.ends[r.slot-w.base:]
	}
	return f
}

// cell returns the cell of a slot as it stands, quotes included.
func (w *window) cell(slot int, c *column) []byte {
	for _, r := range w.runs {
		if slot < r.slot+r.rows {
			f := w.fields(r, c)
			return f.Bytes(slot - r.slot)
		}
	}
	return nil
}

// formulas appends where in the chunk the window has cells that the guard changes. A window with line ends or
// semicolons inside cells gives the starts of all its rows instead. The positions ascend.
func (w *window) formulas(dst []int32) []int32 {
	text := w.chunk.Bytes[w.start:w.end]
	if room := len(text) + kernels.Slack; len(w.leads) < room {
		w.leads = make([]uint32, room)
	}
	found := kernel.Leads(text, uint32(w.start), w.leads)
	if w.breaksInside(text, found) {
		for i, before := range w.at[:w.n] {
			if i == 0 || w.endsRow(before) {
				dst = append(dst, int32(before+1))
			}
		}
		return dst
	}
	cell, done := 0, -1
	for _, place := range w.leads[:found.N] {
		for w.at[cell+1] < place {
			cell++
		}
		if cell == done || place == w.at[cell+1] || !mayBegin(w.padded[place:]) {
			continue
		}
		done = cell
		start, end := w.at[cell]+1, w.at[cell+1]
		if w.endsRow(end) {
			end = w.rowEnd(start, end)
		}
		if guardText(unquote(w.padded[start:end], nil)) != nil {
			dst = append(dst, int32(start))
		}
	}
	return dst
}

// mayBegin says whether a formula may begin with a lead: apostrophes and letters beyond ASCII are leads too.
func mayBegin(text []byte) bool {
	text = behindMarks(text)
	if len(text) == 0 || text[0] < utf8.RuneSelf {
		return len(text) > 0 && kernels.FormulaLeads[text[0]]
	}
	first, _ := utf8.DecodeRune(text)
	return strings.ContainsRune("＝＋－＠｜％", first) || invisible(first)
}

// breaksInside says whether cells may have line ends, or semicolons that do not end them.
func (w *window) breaksInside(text []byte, found kernels.Leads) bool {
	if w.delimiter != ';' && found.Semicolon {
		return true
	}
	if found.Quote {
		ends := w.facts.Rows
		if int(w.at[w.n]) == len(w.chunk.Bytes) {
			ends-- // the virtual one
		}
		if bytes.Count(text, []byte{'\n'}) != ends {
			return true
		}
	}
	return found.Returns && bytes.Count(text, []byte{'\r'}) != bytes.Count(text, []byte("\r\n"))
}
