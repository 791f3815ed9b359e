package ingest

import "github.com/retainwise/millrace/ingest/internal/kernels"

// categories is a Category column: a known text becomes its position in the list.
type categories struct {
	column
	codes            []uint16
	exact            map[string]uint16 // texts that need no remark
	spelled          map[string]uint16 // other spellings of them
	loose            *looseCategories  // texts that are like them; nil until one is looked for
	missing, unknown uint16
	dictionary       *kernels.Dictionary // the exact texts, for the kernel
}

func newCategories(c column) *categories {
	out := readCategories(c)
	out.dictionary = kernels.NewDictionary(out.exact)
	return out
}

// readCategories makes a column whose cells are evaluated one by one, without what the kernel needs.
func readCategories(c column) *categories {
	n := len(c.schema.Categories)
	out := &categories{
		column: c, missing: uint16(n), unknown: uint16(n + 1),
		exact: make(map[string]uint16, n), spelled: make(map[string]uint16, len(c.schema.Spellings)),
	}
	for code, text := range c.schema.Categories {
		if _, twice := out.exact[text]; !twice && !c.words.mean([]byte(text)) {
			out.exact[text] = uint16(code)
		}
	}
	for other, text := range c.schema.Spellings {
		if code, known := out.exact[text]; known {
			out.spelled[other] = code
		}
	}
	return out
}

func (c *categories) reset(missing int) {
	c.resetCounts(missing)
	c.codes = extend(c.codes[:0], missing)
	for i := range c.codes {
		c.codes[i] = c.missing
	}
}

func (c *categories) convert(w *window, r run) {
	c.codes = extend(c.codes, r.rows)
	codes := c.codes[r.slot:]
	f := w.fields(r, &c.column)
	w.over = w.over.Of(r.rows)
	kernel.Categories(f, codes, c.dictionary, w.over)
	w.over.Each(func(row int) {
		code, set, reason := c.evaluate(f.Bytes(row))
		c.note(w, r.slot+row, set, reason)
		codes[row] = code
	})
}

// evaluate reads any cell, without hurry.
func (c *categories) evaluate(cell []byte) (uint16, remark, Reason) {
	cell = c.text(cell)
	if code, known := c.exact[string(cell)]; known {
		return code, 0, 0
	}
	text, _ := trim(cell)
	if c.words.mean(text) {
		set, reason := c.empty()
		return c.missing, set, reason
	}
	if code, known := c.exact[string(text)]; known {
		return code, isNormalised, 0
	}
	if code, known := c.spelled[string(text)]; known {
		return code, isNormalised, 0
	}
	if c.loose == nil {
		c.loose = newLooseCategories(c.exact, c.spelled)
	}
	if code, known := c.loose.find(text); known {
		return code, isLoose, 0
	}
	if c.schema.RefuseUnknown {
		return c.unknown, isUnknown, CategoryRefused
	}
	return c.unknown, isUnknown, 0
}

func (c *categories) judge(cell []byte) Reason {
	_, _, reason := c.evaluate(cell)
	return reason
}

func (c *categories) remove(w *window, slots []int) {
	for _, slot := range slots {
		_, set, _ := c.evaluate(w.cell(slot, &c.column))
		c.count(set, -1)
	}
	c.codes = closeGaps(c.codes, slots)
}
