package forest

// shapRecord is a test on one column of codes. A row passes if (hi - code) mod 256 <= span: an interval that may run
// over the end, so that the missing code 255 can be in it without code 0, or beside it. The bytes are four times in a
// word, because that is what a vector register is filled from.
type shapRecord struct {
	column   uint32 // offset in a block of codes
	hi, span uint32
	target   uint32 // what the record decides: a term's bit, four times (tables), or its number (quadrature)
}

const bytesInWord = 0x01010101

// acceptedCodes are the codes of one column with which a row follows a path: lo to hi, and possibly missing.
type acceptedCodes struct {
	column     int
	lo, hi     int  // hi is 255 as long as there is no upper bound
	hasMissing bool // code 255 means missing; otherwise it is like any other
	missing    bool
}

// recordMaker turns the tests of a path on one feature into records. All tests on one column are one interval, and one
// record almost always.
type recordMaker struct {
	bins    *binner
	columns []acceptedCodes
	never   uint32       // offset of a column that holds only zeros
	records []shapRecord // the first of every term
	further []shapRecord // what a term needs beside it
}

// add appends the records of one term; a row must pass them all.
func (m *recordMaker) add(t *Tree, tests []pathTest, target uint32) {
	m.columns = m.columns[:0]
	for _, test := range tests {
		s := m.bins.split(t, &t.Nodes[test.node])
		a := m.of(s)
		if test.left {
			a.hi, a.missing = min(a.hi, int(s.rank)), a.missing && s.missingLeft
		} else {
			a.lo, a.missing = max(a.lo, int(s.rank)+1), a.missing && !s.missingLeft
		}
	}
	terms := len(m.records)
	for i := range m.columns {
		m.addColumn(&m.columns[i], target)
	}
	m.further = append(m.further, m.records[terms+1:]...)
	m.records = m.records[:terms+1]
}

// of finds what is accepted on a split's column so far.
func (m *recordMaker) of(s split) *acceptedCodes {
	for i := range m.columns {
		if m.columns[i].column == s.base {
			return &m.columns[i]
		}
	}
	m.columns = append(m.columns, acceptedCodes{column: s.base, hi: missingCode, hasMissing: s.hasMissing, missing: true})
	return &m.columns[len(m.columns)-1]
}

func (m *recordMaker) addColumn(a *acceptedCodes, target uint32) {
	open := a.hi == missingCode
	if a.hasMissing && open && !a.missing {
		a.hi = missingCode - 1
	}
	switch {
	case a.hasMissing && a.missing && a.lo > a.hi:
		m.interval(a.column, missingCode, missingCode, target)
	case a.lo > a.hi:
		m.records = append(m.records, shapRecord{m.never, 1 * bytesInWord, 0, target})
	case a.hasMissing && a.missing && !open:
		// From missing over 0 to hi; where codes below lo are out, a second record says so.
		m.interval(a.column, -1, a.hi, target)
		if a.lo > 0 {
			m.interval(a.column, a.lo, missingCode, target)
		}
	default:
		m.interval(a.column, a.lo, a.hi, target)
	}
}

// interval adds the codes lo to hi; lo -1 is the code 255.
func (m *recordMaker) interval(column, lo, hi int, target uint32) {
	m.records = append(m.records, shapRecord{
		column: uint32(column * blockRows), hi: uint32(hi) * bytesInWord, span: uint32(hi-lo) * bytesInWord,
		target: target,
	})
}
