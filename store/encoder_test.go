package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/tuple"
)

// framed adds what COPY wants around tuples.
func framed(tuples []byte) *bytes.Reader {
	head := []byte("PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00")
	return bytes.NewReader(slices.Concat(head, tuples, []byte{0xff, 0xff}))
}

// The format, byte by byte.
func TestBlockBytes(t *testing.T) {
	batch := recordOf(t, []int64{41, 43}, []*string{text("é"), nil}, []float32{0.5, 1}, []int16{1, 1})
	got, err := tuple.NewBlockEncoder(7).AppendBlocks([]byte("kept"), batch)
	if err != nil {
		t.Fatal(err)
	}
	want := "6b657074" + // what was there
		"000b" + // fields
		"00000008 0000000000000007" + // prediction_id
		"00000004 00000029" + // first_row
		"00000002 0002" + // n
		"00000024 00000001 00000000 00000017 00000002 00000001" + // row_offset: int4[2]
		"00000004 00000000  00000004 00000002" +
		"ffffffff" + // customer_id: NULL
		"00000003 c3a91f" + // customer_ids: the second is none
		"00000024 00000001 00000000 000002bc 00000002 00000001" + // probability: float4[2]
		"00000004 3f000000  00000004 3f800000" +
		"00000002 0101" + // risk_bands
		"00000020 00000001 00000000 00000015 00000002 00000001" + // band_rows: none of band 0, two of band 1
		"00000002 0000  00000002 0002" +
		"00000004 0000012d" + // result_bytes
		"0000000c 00000000 0000012c 0000012d" // row_starts: 300 bytes, then 1
	if want = strings.ReplaceAll(want, " ", ""); hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
	gapless, err := tuple.NewBlockEncoder(7).AppendBlocks(nil, recordOf(t, []int64{1, 2}, []*string{nil, nil},
		[]float32{0, 0}, []int16{0, 0}))
	if err != nil || !strings.Contains(hex.EncodeToString(gapless), "000000020002ffffffff") {
		t.Errorf("no gaps, no offsets: %x, %v", gapless, err)
	}
	empty, err := tuple.NewBlockEncoder(7).AppendBlocks(nil, recordOf(t, []int64{1, 2}, []*string{text(""), nil},
		[]float32{0, 0}, []int16{0, 0}))
	array := "0000001c 00000001 00000001 00000019 00000002 00000001  00000000 ffffffff" + "ffffffff" // no customer_ids
	if err != nil || !strings.Contains(hex.EncodeToString(empty), strings.ReplaceAll(array, " ", "")) {
		t.Errorf("an empty id: %x, %v", empty, err)
	}
}

func text(s string) *string { return &s }

func recordOf(t *testing.T, rows []int64, ids []*string, probabilities []float32, bands []int16) arrow.Record {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "risk_band", Type: arrow.PrimitiveTypes.Int16}, // the order does not count
		{Name: "_row", Type: arrow.PrimitiveTypes.Int64},
		{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "probability", Type: arrow.PrimitiveTypes.Float32},
		{Name: "result_bytes", Type: arrow.PrimitiveTypes.Int32},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.Int16Builder).AppendValues(bands, nil)
	b.Field(1).(*array.Int64Builder).AppendValues(rows, nil)
	for _, id := range ids {
		if id == nil {
			b.Field(2).AppendNull()
		} else {
			b.Field(2).(*array.StringBuilder).Append(*id)
		}
	}
	b.Field(3).(*array.Float32Builder).AppendValues(probabilities, nil)
	for i := range rows {
		b.Field(4).(*array.Int32Builder).Append([]int32{300, 1}[i%2])
	}
	return b.NewRecord()
}

// The encoder's bytes must store the same rows as pgx's.
func TestBlocksEqualCopyFromSource(t *testing.T) {
	b := newBench(t, store.Config{})
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for name, rows := range map[string][]int64{
		"one":       {1},
		"999":       span(1, 999),
		"1000":      span(1, 1000),
		"1001":      span(1, 1001),
		"gaps":      slices.DeleteFunc(span(5, 3500), func(r int64) bool { return r%7 == 0 || r > 1200 && r < 2000 }),
		"far apart": {1, 900_000, math.MaxInt32},
		"none":      {},
	} {
		t.Run(name, func(t *testing.T) {
			for _, table := range []string{"ours", "theirs"} {
				b := "CREATE TEMP TABLE " + table + " (LIKE prediction_blocks); TRUNCATE " + table
				if _, err := conn.Exec(t.Context(), "DROP TABLE IF EXISTS "+table); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Exec(t.Context(), strings.Split(b, ";")[0]); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := conn.PgConn().CopyFrom(t.Context(), framed(encode(t, 9, rows)), `
				COPY ours (prediction_id, first_row, n, row_offset, customer_id, customer_ids, probability, risk_bands,
				    band_rows, result_bytes, row_starts) FROM STDIN (FORMAT binary)`); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.CopyFrom(t.Context(), pgx.Identifier{"theirs"}, []string{
				"prediction_id", "first_row", "n", "row_offset", "customer_id", "customer_ids", "probability", "risk_bands",
				"band_rows", "result_bytes", "row_starts",
			}, pgx.CopyFromRows(boxedBlocks(9, rows))); err != nil {
				t.Fatal(err)
			}
			var blocks, different int
			err := conn.QueryRow(t.Context(), `
				SELECT (SELECT count(*) FROM ours),
				       (SELECT count(*) FROM ((TABLE ours EXCEPT ALL TABLE theirs) UNION ALL
				                              (TABLE theirs EXCEPT ALL TABLE ours)) x)`).Scan(&blocks, &different)
			if err != nil || different != 0 || blocks != (len(rows)+999)/1000 {
				t.Errorf("%d blocks, %d different: %v", blocks, different, err)
			}
		})
	}
}

func span(from, to int64) []int64 {
	var rows []int64
	for r := from; r <= to; r++ {
		rows = append(rows, r)
	}
	return rows
}

// boxedBlocks makes the blocks a second time, without our encoder.
func boxedBlocks(prediction int64, rows []int64) [][]any {
	var blocks [][]any
	for chunk := range slices.Chunk(rows, 1000) {
		var offsets []int32
		var ids []string
		var probabilities []float32
		var bands []byte
		counts := []int16{0}
		starts := make([]byte, 4)
		total := uint32(0)
		for _, row := range chunk {
			id, p, band := rowValue(row)
			offsets = append(offsets, int32(row-chunk[0]))
			probabilities, bands = append(probabilities, p), append(bands, byte(band))
			if row%10 == 0 {
				id = ""
			}
			ids = append(ids, id)
			for len(counts) <= int(band) {
				counts = append(counts, 0)
			}
			counts[band]++
			total += uint32(rowBytes(row))
			starts = binary.BigEndian.AppendUint32(starts, total)
		}
		if int(offsets[len(offsets)-1]) == len(chunk)-1 {
			offsets = nil
		}
		blocks = append(blocks, []any{
			prediction, int32(chunk[0]), int16(len(chunk)), offsets, nil, strings.Join(ids, "\x1f"),
			probabilities, bands, counts, int32(total), starts,
		})
	}
	return blocks
}

func TestAppendBlocksRefuses(t *testing.T) {
	row := func(rows ...int64) arrow.Record {
		n := len(rows)
		return recordOf(t, rows, make([]*string, n), make([]float32, n), make([]int16, n))
	}
	wrongType := arrow.NewSchema([]arrow.Field{{Name: "_row", Type: arrow.PrimitiveTypes.Int32}}, nil)
	one := row(1)
	for name, batch := range map[string]arrow.Record{
		"no columns":                     array.NewRecord(arrow.NewSchema(nil, nil), nil, 0),
		"another type":                   array.NewRecordBuilder(memory.DefaultAllocator, wrongType).NewRecord(),
		"descending":                     row(5, 4, 6),
		"a row twice":                    row(5, 5),
		"descending, but gapless in sum": row(1, 3, 2, 4),
		"negative row":                   row(-1, 1),
		"row too large":                  row(1, math.MaxInt32+1),
		"negative band":                  recordOf(t, []int64{1}, []*string{nil}, []float32{0}, []int16{-1}),
		"band too high":                  recordOf(t, []int64{1}, []*string{nil}, []float32{0}, []int16{64}),
		"columns uneven?":                array.NewRecord(one.Schema(), one.Columns()[:], 1).NewSlice(0, 0),
	} {
		_, err := tuple.NewBlockEncoder(1).AppendBlocks(nil, batch)
		if name == "columns uneven?" {
			if err != nil {
				t.Errorf("an empty batch: %v", err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

// A slice of a batch has an offset into its buffers.
func TestAppendBlocksOfASlice(t *testing.T) {
	batch := scoredBatch(span(1, 50))
	got, err := tuple.NewBlockEncoder(3).AppendBlocks(nil, batch.NewSlice(10, 30))
	if err != nil || !bytes.Equal(got, encode(t, 3, span(11, 30))) {
		t.Errorf("differs: %v", err)
	}
}

func TestAppendBlocksDoesNotAllocatePerRow(t *testing.T) {
	for _, n := range []int64{1000, 10_000} {
		batch := scoredBatch(span(1, n))
		e := tuple.NewBlockEncoder(1)
		dst := make([]byte, 0, 1<<20)
		allocations := testing.AllocsPerRun(10, func() {
			if _, err := e.AppendBlocks(dst, batch); err != nil {
				t.Fatal(err)
			}
		})
		if allocations > 10 {
			t.Errorf("%d rows: %v allocations", n, allocations)
		}
	}
}

func BenchmarkAppendBlocks(b *testing.B) {
	batch := scoredBatch(span(1, 10_000))
	e := tuple.NewBlockEncoder(1)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = e.AppendBlocks(dst[:0], batch)
	}
	b.SetBytes(int64(len(dst)))
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "rows/s")
}
