package tuple

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// fieldsOf cuts an encoded tuple into the fields that a query for rows gets.
func fieldsOf(t testing.TB, tuple []byte) [][]byte {
	t.Helper()
	var all [][]byte
	for rest := tuple[2:]; len(rest) > 0; {
		n := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if n == math.MaxUint32 {
			all = append(all, nil)
			continue
		}
		all, rest = append(all, rest[:n]), rest[n:]
	}
	// first_row, row_offset, probability, risk_bands, risk_band, customer_ids, customer_id
	return [][]byte{all[1], all[3], all[6], all[7], nil, all[5], all[4]}
}

// testTuple is a block whose ith row has the id "id_" and the ith letter; the second one has none.
func testTuple(t testing.TB, rows ...int64) []byte {
	t.Helper()
	b := array.NewStringBuilder(memory.DefaultAllocator)
	s := scored{row: rows}
	for i, row := range rows {
		if i == 1 {
			b.AppendNull()
		} else {
			b.Append("id_" + string(rune('a'+i)))
		}
		s.probability, s.band = append(s.probability, float32(row)), append(s.band, int16(i))
		s.bytes = append(s.bytes, 1)
	}
	s.id = b.NewStringArray()
	dst, err := NewBlockEncoder(1).appendBlock(nil, s, 0, len(rows))
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

// inArrays gives a block the form of schema 21.
func inArrays(fields [][]byte) [][]byte {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for id := range strings.SplitSeq(string(fields[5]), "\x1f") {
		if id == "" {
			b.AppendNull()
		} else {
			b.Append(id)
		}
	}
	ids := b.NewStringArray()
	var bands []int16
	for _, band := range fields[3] {
		bands = append(bands, int16(band))
	}
	old := slices.Clone(fields)
	old[3], old[4], old[5], old[6] = nil, appendShorts(nil, bands)[4:], nil, appendTexts(nil, ids, 0, ids.Len())[4:]
	return old
}

func bothForms(t testing.TB, rows ...int64) map[string][][]byte {
	t.Helper()
	fields := fieldsOf(t, testTuple(t, rows...))
	return map[string][][]byte{"bytes": fields, "arrays": inArrays(fields)}
}

func TestParseBlock(t *testing.T) {
	for _, rows := range [][]int64{{7}, {7, 8, 9}, {7, 9, 30}} {
		for form, fields := range bothForms(t, rows...) {
			b, err := ParseBlock(fields)
			if err != nil {
				t.Fatal(form, err)
			}
			var ids []string
			if err := b.IDs.each(func(_, at int, id []byte) {
				if string(b.IDs.bytes()[at:at+len(id)]) != string(id) {
					t.Errorf("%s: id %q is not at %d", form, id, at)
				}
				ids = append(ids, string(id))
			}); err != nil {
				t.Fatal(form, err)
			}
			for i, row := range rows {
				id := "id_" + string(rune('a'+i))
				if i == 1 {
					id = ""
				}
				if b.Row(i) != row || b.Score(i) != float32(row) || b.Band(i) != int16(i) || ids[i] != id {
					t.Errorf("%s: row %d: %d, %g, band %d, id %s", form, i, b.Row(i), b.Score(i), b.Band(i), ids[i])
				}
			}
		}
	}
}

// Every proper prefix of a field, and every field too few, is an error and no panic. Ids that are cut within one of
// them are another id: the length of a text is the server's.
func TestParseBlock_Truncated(t *testing.T) {
	others := bothForms(t, 7, 9, 12)
	for form, fields := range bothForms(t, 7, 9) {
		if _, err := ParseBlock(fields[:6]); err == nil {
			t.Error("a field is missing")
		}
		for f := range fields {
			for n := range len(fields[f]) {
				cut := slices.Clone(fields)
				cut[f] = fields[f][:n]
				b, err := ParseBlock(cut)
				if err == nil {
					err = b.IDs.each(func(int, int, []byte) {})
				}
				if err == nil && (f != 5 || n < len("id_a")) {
					t.Errorf("%s: field %d cut to %d of %d bytes", form, f, n, len(fields[f]))
				}
			}
		}
		for f := 1; f < len(fields); f++ {
			mixed := slices.Clone(fields)
			mixed[f] = others[form][f]
			if _, err := ParseBlock(mixed); err == nil && mixed[f] != nil {
				t.Errorf("%s: field %d has another number of elements", form, f)
			}
		}
	}
}

func TestParseArray(t *testing.T) {
	be := binary.BigEndian
	head := func(dimensions, n uint32) []byte {
		b := be.AppendUint32(nil, dimensions)
		return be.AppendUint32(be.AppendUint32(be.AppendUint32(be.AppendUint32(b, 0), oidInt2), n), 1)
	}
	for name, c := range map[string]struct {
		field []byte
		n     int
		fails bool
	}{
		"NULL":           {nil, 0, false},
		"empty":          {head(0, 0)[:12], 0, false},
		"two dimensions": {head(2, 1), 0, true},
		"huge count":     {head(1, math.MaxUint32), 0, true},
		"one":            {append(head(1, 1), 0, 0, 0, 2, 0, 5), 1, false},
		"NULL inside":    {append(head(1, 1), 0xff, 0xff, 0xff, 0xff), 0, true},
	} {
		a, err := parseFixed(c.field, 2)
		if (err != nil) != c.fails || !c.fails && a.n != c.n {
			t.Errorf("%s: %d elements, %v", name, a.n, err)
		}
	}
}

func FuzzParseBlock(f *testing.F) {
	for _, fields := range bothForms(f, 7, 9) {
		f.Add(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], true)
		f.Add(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], false)
	}
	f.Fuzz(func(t *testing.T, first, offsets, probability, bands, bandArray, joined, array []byte, null bool) {
		if null { // as the server sends it
			if len(joined) > 0 {
				bandArray, array = nil, nil
			} else {
				bands, joined = nil, nil
			}
		}
		b, err := ParseBlock([][]byte{first, offsets, probability, bands, bandArray, joined, array})
		if err != nil {
			return
		}
		for i := range b.probability.n {
			_, _, _ = b.Row(i), b.Score(i), b.Band(i)
		}
		index := make([]int32, b.IDs.count())
		for i := range index {
			index[i] = int32(i)
		}
		_ = b.IDs.Strings(index, func(int, *string) {})
	})
}
