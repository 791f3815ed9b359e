package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retainwise/millrace/ingest"
)

func TestFromJSON(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`[]`, ""},
		{`[{"a":1,"b":"x"},{"b":null,"a":-1.50e+2},{}]`, "a,b\n1,x\n-1.50e+2,\n\"\",\n"},
		{` [ {"a" : true , "b c" : "" , "ü;":false} ] ` + "\n", "a,b c,\"ü;\"\ntrue,,false\n"},
		{`[{"a":"x,\"y\"\n\u00e9\ud83d\ude00\/\\\t"}]`, "a\n\"x,\"\"y\"\"\né😀/\\\t\"\n"},
		{`[{"a":""},{"a":null}]`, "a\n\"\"\n\"\"\n"},
		{`[{"a":"\ud83d","b":"\u0000"}]`, "a,b\n\xed\xa0\xbd,\x00\n"},
		{`[{"sep=;":1,"":2}]`, "\"sep=;\",\"\"\n1,2\n"},
	} {
		got, err := io.ReadAll(ingest.FromJSON(strings.NewReader(test.in), false, ingest.Limits{}))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %q, %v; want %q", test.in, got, err, test.want)
		}
		lines := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(test.in), "["), "]")
		lines = strings.ReplaceAll(lines, "},{", "}\n{")
		got, err = io.ReadAll(ingest.FromJSON(strings.NewReader(lines), true, ingest.Limits{}))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %q, %v; want %q", lines, got, err, test.want)
		}
	}
}

func TestFromJSONRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "scalar": "1", "object": `{"a":1}`, "no objects": `[1]`, "cut": `[{"a":1`, "cut text": `[{"a":"x`,
		"no comma": `[{"a":1}{"a":1}]`, "more": `[{"a":1}] x`, "comma": `[{"a":1},]`, "member comma": `[{"a":1,}]`,
		"nested object": `[{"a":{}}]`, "nested array": `[{"a":[]}]`, "deep": `[{"a":` + strings.Repeat("[", 1<<16),
		"twice": `[{"a":1,"a":2}]`, "later member": `[{"a":1},{"b":1}]`, "number": `[{"a":01}]`, "plus": `[{"a":+1}]`,
		"point": `[{"a":1.}]`, "bare": `[{"a":.5}]`, "hex": `[{"a":0x1}]`, "NaN": `[{"a":NaN}]`, "word": `[{"a":tru}]`,
		"control": "[{\"a\":\"\n\"}]", "escape": `[{"a":"\x"}]`, "short escape": `[{"a":"\u12`, "bad escape": `[{"a":"\u12g4"}]`,
		"no colon": `[{"a" 1}]`, "name": `[{a:1}]`, "no members": `[{}]`, "end": `[{"a":1}`,
	} {
		_, err := io.ReadAll(ingest.FromJSON(strings.NewReader(in), false, ingest.Limits{}))
		var format *ingest.FormatError
		if !errors.As(err, &format) || format.Error() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	limits := ingest.Limits{ColumnsMax: 2, RowBytesMax: 100}
	for in, want := range map[string]error{
		`[{"a":1,"b":1,"c":1}]`:                  ingest.ErrTooManyColumns,
		`[{"a":"` + strings.Repeat("x", 200):     new(ingest.RowTooLongError),
		`[{"a":` + strings.Repeat("1", 200):      new(ingest.RowTooLongError),
		`[{"` + strings.Repeat("x", 200) + `":1`: new(ingest.RowTooLongError),
	} {
		_, err := io.ReadAll(ingest.FromJSON(strings.NewReader(in), false, limits))
		if long := new(ingest.RowTooLongError); !errors.Is(err, want) && !errors.As(err, &long) {
			t.Errorf("%.20s: %v", in, err)
		}
	}
	broken := errors.New("connection broken")
	_, err := io.ReadAll(ingest.FromJSON(io.MultiReader(strings.NewReader(`[{"a":1`), failing{broken}), false, ingest.Limits{}))
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzFromJSON holds the reader against encoding/json: what the one takes the other takes too, with the same rows.
func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{
		`[{"a":1,"b":"x"}]`, `[{"a":"\ud83d\ude00"},{"a":null}]`, `[]`, `[{"a":tru`, `[{"a":-0.5e1}, {"a":false}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := io.ReadAll(ingest.FromJSON(strings.NewReader(text), false, ingest.Limits{}))
		if err != nil {
			return
		}
		if len(got) > 8*len(text)+64 {
			t.Fatalf("%d bytes out of %d", len(got), len(text))
		}
		var rows []map[string]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&rows); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", text, err)
		}
		if len(rows) == 0 {
			return
		}
		read, err := ingest.NewRows(bytes.NewReader(got), ingest.Limits{ColumnsMax: 1 << 20})
		if err != nil {
			return // a header that no CSV may have
		}
		for i, want := range rows {
			cells, err := read.Next()
			if err != nil || len(cells) != len(rows[0]) {
				t.Fatalf("%q row %d: %d cells, %v", got, i, len(cells), err)
			}
			for k, name := range read.Header.Names {
				if cell := string(cells[k]); strings.ToValidUTF8(cell, "") == cell && name == strings.ToValidUTF8(name, "") &&
					cell != textOf(want[name]) {
					t.Fatalf("%q row %d: cell %q, want %v", text, i, cell, want[name])
				}
			}
		}
	})
}

func textOf(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// stream writes records as an Arrow stream.
func stream(t testing.TB, schema *arrow.Schema, records ...arrow.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema))
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// everyColumn is a record with every type that is taken.
func everyColumn(t testing.TB) ([]byte, string) {
	t.Helper()
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	fields := []arrow.Field{
		{Name: "text", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "large", Type: arrow.BinaryTypes.LargeString},
		{Name: "f64", Type: arrow.PrimitiveTypes.Float64},
		{Name: "f32", Type: arrow.PrimitiveTypes.Float32},
		{Name: "i64", Type: arrow.PrimitiveTypes.Int64},
		{Name: "u8", Type: arrow.PrimitiveTypes.Uint8},
		{Name: "yes", Type: arrow.FixedWidthTypes.Boolean},
		{Name: "word", Type: dictionary},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32},
		{Name: "none", Type: arrow.Null},
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"a,b", "", "\"q\"\n"}, []bool{true, false, true})
	b.Field(1).(*array.LargeStringBuilder).AppendValues([]string{"x", "y", "z"}, nil)
	b.Field(2).(*array.Float64Builder).AppendValues([]float64{0.1, math.NaN(), 5e-324}, nil)
	b.Field(3).(*array.Float32Builder).AppendValues([]float32{0.1, 2, -3}, nil)
	b.Field(4).(*array.Int64Builder).AppendValues([]int64{math.MinInt64, 0, 7}, nil)
	b.Field(5).(*array.Uint8Builder).AppendValues([]uint8{255, 0, 1}, nil)
	b.Field(6).(*array.BooleanBuilder).AppendValues([]bool{true, false, true}, nil)
	for _, word := range []string{"One year", "Two year", "One year"} {
		if err := b.Field(7).(*array.BinaryDictionaryBuilder).AppendString(word); err != nil {
			t.Fatal(err)
		}
	}
	b.Field(8).(*array.Date32Builder).AppendValues([]arrow.Date32{0, 1, 20000}, nil)
	b.Field(9).(*array.NullBuilder).AppendNulls(3)
	record := b.NewRecord()
	defer record.Release()
	return stream(t, schema, record), "text,large,f64,f32,i64,u8,yes,word,day,none\n" +
		"\"a,b\",x,0.1,0.10000000149011612,-9223372036854775808,255,true,One year,1970-01-01,\n" +
		",y,,2,0,0,false,Two year,1970-01-02,\n" +
		"\"\"\"q\"\"\n\",z,5e-324,-3,7,1,true,One year,2024-10-04,\n"
}

func TestFromArrow(t *testing.T) {
	text, want := everyColumn(t)
	got, err := io.ReadAll(ingest.FromArrow(bytes.NewReader(text), ingest.Limits{BytesMax: 1 << 20}))
	if err != nil || string(got) != want {
		t.Errorf("got\n%s%v\nwant\n%s", got, err, want)
	}
	for n := range text { // of every prefix: whole rows, or an error
		got, err := io.ReadAll(ingest.FromArrow(bytes.NewReader(text[:n]), ingest.Limits{BytesMax: 1 << 20}))
		var format *ingest.FormatError
		if err == nil && string(got) != want && !strings.HasSuffix(want, string(got)) && string(got) != want[:strings.Index(want, "\n")+1] {
			t.Fatalf("%d bytes: %q", n, got)
		}
		if err != nil && !errors.As(err, &format) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// TestArrowNumbersKeepTheirBits sends numbers of every size through text.
func TestArrowNumbersKeepTheirBits(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "v", Type: arrow.PrimitiveTypes.Float64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	var values []float64
	for i := range uint64(5000) {
		v := math.Float64frombits(i * 0x9e3779b97f4a7c15)
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	b.Field(0).(*array.Float64Builder).AppendValues(values, nil)
	record := b.NewRecord()
	defer record.Release()
	read, err := ingest.NewRows(ingest.FromArrow(bytes.NewReader(stream(t, schema, record)), ingest.Limits{}), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range values {
		cells, err := read.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := strconv.ParseFloat(string(cells[0]), 64); err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("row %d: %s, want %v", i, cells[0], want)
		}
	}
	if _, err := read.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestFromArrowRefuses(t *testing.T) {
	list := arrow.NewSchema([]arrow.Field{{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)}}, nil)
	binary := arrow.NewSchema([]arrow.Field{{Name: "b", Type: arrow.BinaryTypes.Binary}}, nil)
	var packed bytes.Buffer
	number := arrow.NewSchema([]arrow.Field{{Name: "v", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, number)
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(make([]int64, 1000), nil)
	record := b.NewRecord()
	defer record.Release()
	w := ipc.NewWriter(&packed, ipc.WithSchema(number), ipc.WithZstd())
	if err := errors.Join(w.Write(record), w.Close()); err != nil {
		t.Fatal(err)
	}
	plain := stream(t, number, record)
	for name, test := range map[string]struct {
		in      []byte
		problem string
	}{
		"nothing":    {nil, "schema"},
		"list":       {stream(t, list), "a column is"},
		"binary":     {stream(t, binary), "a column is"},
		"compressed": {packed.Bytes(), "compressed"},
		"no columns": {stream(t, arrow.NewSchema(nil, nil)), "no columns"},
		"huge":       {[]byte("\xff\xff\xff\xff\xff\xff\xff\x7f"), "longer"},
		"negative":   {[]byte("\xff\xff\xff\xff\xff\xff\xff\xff"), "longer"},
		"cut":        {plain[:len(plain)-20], ""},
		"text":       {[]byte("a,b\n1,2\n"), ""},
	} {
		_, err := io.ReadAll(ingest.FromArrow(bytes.NewReader(test.in), ingest.Limits{}))
		var format *ingest.FormatError
		if !errors.As(err, &format) || !strings.Contains(format.Error(), test.problem) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var large *ingest.TooLargeError
	if _, err := io.ReadAll(ingest.FromArrow(bytes.NewReader(plain), ingest.Limits{BytesMax: 4000})); !errors.As(err, &large) {
		t.Error(err)
	}
}

// FuzzFromArrow wants no panic, no hang and no memory beyond the limits from any bytes.
func FuzzFromArrow(f *testing.F) {
	text, _ := everyColumn(f)
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte("\xff\xff\xff\xff\x10\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := ingest.FromArrow(bytes.NewReader(text), ingest.Limits{BytesMax: 1 << 20})
		_, _ = io.Copy(io.Discard, io.LimitReader(in, 1<<20))
	})
}
