package ingest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// place gives every row of the window a slot in the batch or refuses it.
func (c *Converter) place() {
	slot := len(c.fixed.rows)
	c.window.base, c.window.ends = slot, c.window.ends[:0]
	if c.placeRegular() {
		rows := c.window.n / c.window.width
		c.window.runs = append(c.window.runs, run{first: 0, rows: rows, slot: slot})
		for range rows {
			c.fixed.rows = append(c.fixed.rows, c.nextRow)
			c.nextRow++
		}
		return
	}
	c.fixed.starts, c.fixed.lengths = c.fixed.starts[:slot], c.fixed.lengths[:slot]
	c.window.ends = c.window.ends[:0]
	c.placeRows()
}

// placeRegular does it for a window whose rows all have the right width and nothing else to look at: one compare a row.
func (c *Converter) placeRegular() bool {
	w := &c.window
	if w.n%w.width != 0 || c.codeField >= 0 || w.chunk.Skipped > 0 || !w.sound() {
		return false
	}
	before := w.at[0]
	for k := w.width; k <= w.n; k += w.width {
		if !w.endsRow(w.at[k]) {
			return false
		}
		start := before + 1
		end := w.rowEnd(start, w.at[k])
		length := end - start
		if length == 0 || int(length) > c.limits.FieldBytesMax {
			return false
		}
		c.fixed.starts = append(c.fixed.starts, int32(start))
		c.fixed.lengths = append(c.fixed.lengths, int32(length))
		w.ends = append(w.ends, end)
		before = w.at[k]
	}
	return w.facts.Rows == w.n/w.width
}

// placeRows walks the rows one by one.
func (c *Converter) placeRows() {
	w := &c.window
	for k := 0; k < w.n; {
		first := k
		for k++; !w.endsRow(w.at[k]); k++ {
		}
		start := w.at[first] + 1
		end := w.rowEnd(start, w.at[k])
		if start == end || w.chunk.Skipped > 0 && isHollow(w.padded[start:end], w.delimiter) {
			continue // a blank line
		}
		reject := Reject{Row: c.nextRow, Start: int32(start), Length: int32(end - start)}
		c.nextRow++
		c.inspect(&reject, k-first)
		if reject.Reason != 0 {
			switch reject.Reason {
			case NULByte, InvalidUTF8, FieldTooLong:
				c.judgeCells(&reject, w.padded[start:end])
			}
			w.rejects = append(w.rejects, refused{Reject: reject, slot: -1})
			continue
		}
		c.admit(first, reject)
	}
}

// admit gives a row the next slot.
func (c *Converter) admit(first int, row Reject) {
	w := &c.window
	last := len(w.runs) - 1
	if last < 0 || w.runs[last].first+w.runs[last].rows*w.width != first {
		w.runs = append(w.runs, run{first: first, slot: len(c.fixed.rows)})
		last++
	}
	w.runs[last].rows++
	c.fixed.rows = append(c.fixed.rows, row.Row)
	c.fixed.starts = append(c.fixed.starts, row.Start)
	c.fixed.lengths = append(c.fixed.lengths, row.Length)
	w.ends = append(w.ends, uint32(row.Start+row.Length))
}

// inspect sets the reason for which a row as a whole is refused, if there is one.
func (c *Converter) inspect(r *Reject, fields int) {
	row := c.window.padded[r.Start : r.Start+r.Length]
	if place, broken := c.window.brokenAt(uint32(r.Start)); broken {
		r.Reason, r.Expected = BrokenQuotes, "a quotation mark only around a whole cell, and doubled inside it"
		if place.field < len(c.mapping.Header.Names) {
			r.Column = c.mapping.Header.Names[place.field]
		}
		return
	}
	switch {
	case fields != c.window.width:
		r.Reason, r.Expected = WrongFieldCount, c.fieldCount(fields)
	case bytes.IndexByte(row, 0) >= 0:
		r.Reason, r.Expected = NULByte, "text without NUL bytes"
		r.Column = c.firstField(row, func(cell []byte) bool { return bytes.IndexByte(cell, 0) >= 0 })
	case !utf8.Valid(row):
		r.Reason, r.Expected = InvalidUTF8, "text in UTF-8"
		r.Column = c.firstField(row, func(cell []byte) bool { return !utf8.Valid(cell) })
	case c.codeField >= 0 && c.marks(r, row):
	case len(row) > c.limits.FieldBytesMax:
		long := func(cell []byte) bool { return len(cell) > c.limits.FieldBytesMax }
		if column := c.firstField(row, long); column != "" || long(row) && c.window.width == 1 {
			r.Reason, r.Column = FieldTooLong, column
			r.Expected = fmt.Sprintf("at most %d bytes", c.limits.FieldBytesMax)
		}
	}
}

// fieldCount words a wrong number of fields; rows in their thousands share the text.
func (c *Converter) fieldCount(found int) string {
	text, ok := c.counts[found]
	if !ok {
		text = fieldsText(c.window.width, found)
		if len(c.counts) < 100 {
			c.counts[found] = text
		}
	}
	return text
}

// firstField names the first field of a row for which is holds.
func (c *Converter) firstField(row []byte, is func(cell []byte) bool) string {
	for _, name := range c.mapping.Header.Names {
		var cell []byte
		if cell, row = cutField(row, c.window.delimiter); is(cell) {
			return name
		}
	}
	return ""
}

// settle takes the window's refused rows out of the columns and lists them in input order.
func (c *Converter) settle() {
	w := &c.window
	if len(w.rejects) == 0 {
		return
	}
	for i := range w.rejects {
		if r := &w.rejects[i]; r.slot >= 0 {
			r.Row, r.Start, r.Length = c.fixed.rows[r.slot], c.fixed.starts[r.slot], c.fixed.lengths[r.slot]
		}
	}
	slices.SortStableFunc(w.rejects, func(a, b refused) int { return cmp.Compare(a.Row, b.Row) })
	w.joinCauses()
	c.remove()
	for _, r := range w.rejects {
		r.Line = w.lineOf(int(r.Start))
		c.rejects = append(c.rejects, r.Reject)
	}
}

// joinCauses leaves one reject a row, sorted by rows, with all of its reasons in the order of the fields: columns were
// converted in it.
func (w *window) joinCauses() {
	kept := w.rejects[:0]
	for _, r := range w.rejects {
		last := len(kept) - 1
		if last < 0 || kept[last].Row != r.Row {
			kept = append(kept, r)
			continue
		}
		kept[last].add(Cause{r.Reason, r.Column, r.Expected})
	}
	w.rejects = kept
}

// add adds a reason, unless there are too many.
func (r *Reject) add(c Cause) {
	if len(r.More)+1 < causesMax {
		r.More = append(r.More, c)
	}
}

// judgeCells adds the reasons that the cells of a row give which is refused as a whole, but whose fields are known.
func (c *Converter) judgeCells(r *Reject, row []byte) {
	for _, column := range c.reading {
		head := column.head()
		rest, cell := row, []byte(nil)
		for range head.field + 1 {
			cell, rest = cutField(rest, c.window.delimiter)
		}
		if reason := column.judge(cell); reason != 0 && head.name != r.Column {
			r.add(Cause{reason, head.name, head.expected(reason)})
		}
	}
}

// remove closes the gaps that rows refused by a column leave in all columns.
func (c *Converter) remove() {
	c.slots = c.slots[:0]
	for _, r := range c.window.rejects {
		if r.slot >= 0 {
			c.slots = append(c.slots, r.slot)
		}
	}
	if len(c.slots) == 0 {
		return
	}
	for _, column := range c.reading {
		column.remove(&c.window, c.slots)
	}
	c.fixed.rows = closeGaps(c.fixed.rows, c.slots)
	c.fixed.starts = closeGaps(c.fixed.starts, c.slots)
	c.fixed.lengths = closeGaps(c.fixed.lengths, c.slots)
}

// closeGaps removes the elements at ascending slots.
func closeGaps[T any](values []T, slots []int) []T {
	kept := slots[0]
	for i, slot := range slots {
		next := len(values)
		if i+1 < len(slots) {
			next = slots[i+1]
		}
		kept += copy(values[kept:], values[slot+1:next])
	}
	return values[:kept]
}
