package store

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
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
	// first_row, row_offset, probability, risk_band, customer_id
	return [][]byte{all[1], all[3], all[5], all[6], all[4]}
}

func testTuple(t testing.TB, rows ...int64) []byte {
	t.Helper()
	dst := binary.BigEndian.AppendUint16(nil, 8)
	be := binary.BigEndian
	dst = be.AppendUint64(be.AppendUint32(dst, 8), 1)
	dst = be.AppendUint32(be.AppendUint32(dst, 4), uint32(rows[0]))
	dst = be.AppendUint16(be.AppendUint32(dst, 2), uint16(len(rows)))
	dst, err := appendRowOffsets(dst, rows)
	if err != nil {
		t.Fatal(err)
	}
	dst = be.AppendUint32(dst, uint32(20+8*len(rows)))
	dst = appendDimension(dst, 1, oidText, len(rows))
	probabilities, bands := make([]float32, len(rows)), make([]int16, len(rows))
	for i, row := range rows {
		probabilities[i], bands[i] = float32(row), int16(i)
		dst = append(be.AppendUint32(dst, 4), "id_"...)
		dst = append(dst, byte('a'+i))
	}
	return appendShorts(appendShorts(appendFloats(dst, probabilities), bands), []int16{1})
}

func TestParseBlock(t *testing.T) {
	for _, rows := range [][]int64{{7}, {7, 8, 9}, {7, 9, 30}} {
		b, err := parseBlock(fieldsOf(t, testTuple(t, rows...)))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		if err := b.ids.texts(func(_ int, text []byte) { ids = append(ids, string(text)) }); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			want := Row{Row: row, Probability: float32(row), Band: int16(i)}
			if got := b.at(i); got != want || ids[i] != "id_"+string(rune('a'+i)) {
				t.Errorf("row %d: %+v, id %s", i, got, ids[i])
			}
		}
	}
}

// Every proper prefix of a field, and every field too few, is an error and no panic.
func TestParseBlockRefusesWhatIsCut(t *testing.T) {
	fields := fieldsOf(t, testTuple(t, 7, 9))
	if _, err := parseBlock(fields[:4]); err == nil {
		t.Error("a field is missing")
	}
	for f := range fields {
		for n := range len(fields[f]) {
			cut := slices.Clone(fields)
			cut[f] = fields[f][:n]
			b, err := parseBlock(cut)
			if err == nil {
				err = b.ids.texts(func(int, []byte) {})
			}
			if err == nil {
				t.Errorf("field %d cut to %d of %d bytes", f, n, len(fields[f]))
			}
		}
	}
	other := fieldsOf(t, testTuple(t, 7, 9, 12))
	for f := 1; f < len(fields); f++ {
		mixed := slices.Clone(fields)
		mixed[f] = other[f]
		if _, err := parseBlock(mixed); err == nil {
			t.Errorf("field %d has another number of elements", f)
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
	fields := fieldsOf(f, testTuple(f, 7, 9))
	f.Add(fields[0], fields[1], fields[2], fields[3], fields[4])
	f.Fuzz(func(t *testing.T, first, offsets, probability, bands, ids []byte) {
		b, err := parseBlock([][]byte{first, offsets, probability, bands, ids})
		if err != nil {
			return
		}
		for i := range b.probability.n {
			_ = b.at(i)
		}
		rows, index := make([]Row, b.ids.n), make([]int, b.ids.n)
		for i := range index {
			index[i] = i
		}
		_ = fillIDs(rows, index, b.ids)
	})
}
