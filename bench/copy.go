package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/tuple"
)

const (
	copyRows  = 100_000
	storeRows = 10_000_000 // that are stored while latencies are measured
)

// runCopy compares ways to write scored rows into PostgreSQL, all of them on one server in turns, then measures how
// long a job's commit and a page take when many rows are stored.
func runCopy(ctx context.Context, o Options, r *Report) (err error) {
	d, err := openMigrated(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	c := copies{database: d, rows: o.pick(copyRows, 2000)}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	s := newStopwatch(o)
	if err := r.measure(ctx, s, c.onTheWall(ctx)); err != nil {
		return err
	}
	if err := r.measure(ctx, s, c.ofTheClient(ctx)); err != nil {
		return err
	}
	if err := d.exec(ctx, `DROP TABLE bench_rows; TRUNCATE prediction_blocks`); err != nil {
		return err
	}
	if err := r.measureStored(ctx, d, o); err != nil {
		return err
	}
	r.copyGoals()
	return nil
}

func (r *Report) copyGoals() {
	r.atLeast("own COPY of rows, speed / server-side COPY's", 0.95, "x", r.find("rows", "binary").Ratio)
	r.atLeast("blocks, rows per second / server-side COPY's of rows", 2.5, "x", r.find("rows", "blocks").Ratio)
	r.atMost("client's CPU for own COPY / CopyFromSource's", 0.2, "x", 1/r.find("client", "binary").Ratio)
	r.atMost("commit of 10,000 rows, P95", 5, "ms", r.findLatency("commit").P95)
	r.atMost("page of 1,000 rows, P95", 1, "ms", r.findLatency("page").P95)
}

// copies are ways to write the same rows.
type copies struct {
	*database
	rows     int
	scored   arrow.Record
	boxed    [][]any
	file     string // of the server, in COPY's binary format
	buffer   []byte
	nextID   int64
	rowsInto string
}

const rowColumns = "prediction_id, row_no, customer_id, probability, risk_band"

// prepare makes the table of rows, one tuple each and without a key, and lets the server write its file.
func (c *copies) prepare(ctx context.Context) error {
	c.scored = scoredRows(1, c.rows)
	c.rowsInto = `COPY bench_rows (` + rowColumns + `) FROM STDIN (FORMAT binary)`
	if err := c.exec(ctx, `CREATE TABLE bench_rows
		(prediction_id bigint, row_no int, customer_id text, probability real, risk_band smallint)`); err != nil {
		return err
	}
	for i := range c.rows {
		id, p, band := madeUpScore(i + 1)
		c.boxed = append(c.boxed, []any{int64(1), int32(i + 1), id, p, band})
	}
	if err := c.binary(ctx); err != nil {
		return err
	}
	if err := c.conn.QueryRow(ctx, `SELECT current_setting('data_directory') || '/millrace_bench_rows'`).
		Scan(&c.file); err != nil {
		return err
	}
	// The id of the first prediction of this month: its partition is there.
	if err := c.conn.QueryRow(ctx, `SELECT prediction_month_start(current_date)`).Scan(&c.nextID); err != nil {
		return err
	}
	return c.exec(ctx, `COPY bench_rows TO `+quoteLiteral(c.file)+` (FORMAT binary)`)
}

func quoteLiteral(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

func (c *copies) onTheWall(ctx context.Context) contest {
	return contest{
		name: "rows", wall: true, contestants: []contestant{
			{"server-side", c.rows, func(int) error {
				return c.exec(ctx, `COPY bench_rows FROM `+quoteLiteral(c.file)+` (FORMAT binary)`)
			}},
			{"binary", c.rows, func(int) error { return c.binary(ctx) }},
			{"CopyFromSource", c.rows, func(int) error { return c.theirs(ctx) }},
			{"blocks", c.rows, func(int) error { return c.blocks(ctx) }},
		},
		note: fmt.Sprintf("%d scored rows into PostgreSQL, encoding included: one tuple a row without a key, from a "+
			"binary file that the server reads itself, by a binary COPY, by pgx's CopyFromSource; and as blocks with "+
			"their key", c.rows),
	}
}

func (c *copies) ofTheClient(ctx context.Context) contest {
	return contest{
		name: "client", contestants: []contestant{
			{"CopyFromSource", c.rows, func(int) error { return c.theirs(ctx) }},
			{"binary", c.rows, func(int) error { return c.binary(ctx) }},
			{"blocks", c.rows, func(int) error { return c.blocks(ctx) }},
		},
		note: fmt.Sprintf("what the client spends on copying %d rows, which the scorer lacks", c.rows),
	}
}

// binary writes one tuple a row in the binary format of COPY, while the server takes them.
func (c *copies) binary(ctx context.Context) error {
	in := &rowStream{scored: c.scored, buffer: c.buffer[:0]}
	_, err := c.conn.PgConn().CopyFrom(ctx, in, c.rowsInto)
	c.buffer = in.buffer
	return err
}

// theirs copies with pgx's CopyFromSource from values that are boxed already.
func (c *copies) theirs(ctx context.Context) error {
	_, err := c.conn.CopyFrom(ctx, pgx.Identifier{"bench_rows"}, strings.Split(rowColumns, ", "),
		pgx.CopyFromRows(c.boxed))
	return err
}

// blocks writes what the product writes.
func (c *copies) blocks(ctx context.Context) error {
	c.nextID++
	var err error
	if c.buffer, err = tuple.NewBlockEncoder(c.nextID).AppendBlocks(c.buffer[:0], c.scored); err != nil {
		return err
	}
	return copyBlocks(ctx, c.conn.PgConn(), c.buffer)
}

// rowStream encodes rows as they are asked for.
type rowStream struct {
	scored arrow.Record
	next   int
	buffer []byte
	unread []byte
	ended  bool
}

const (
	copyHead       = "PGCOPY\n\377\r\n\000\x00\x00\x00\x00\x00\x00\x00\x00"
	copyEnd        = "\xff\xff"
	rowsAtOnce     = 1000
	rowTupleFields = 5
)

// Read implements io.Reader.
func (s *rowStream) Read(p []byte) (int, error) {
	if len(s.unread) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		s.encode()
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	return n, nil
}

func (s *rowStream) encode() {
	s.buffer = s.buffer[:0]
	if s.next == 0 {
		s.buffer = append(s.buffer, copyHead...)
	}
	row, id := s.scored.Column(0).(*array.Int64), s.scored.Column(1).(*array.String)
	probability, band := s.scored.Column(2).(*array.Float32), s.scored.Column(3).(*array.Int16)
	be := binary.BigEndian
	end := min(s.next+rowsAtOnce, int(s.scored.NumRows()))
	for ; s.next < end; s.next++ {
		b := be.AppendUint16(s.buffer, rowTupleFields)
		b = be.AppendUint64(be.AppendUint32(b, 8), 1)
		b = be.AppendUint32(be.AppendUint32(b, 4), uint32(row.Value(s.next)))
		text := id.Value(s.next)
		b = append(be.AppendUint32(b, uint32(len(text))), text...)
		b = be.AppendUint32(be.AppendUint32(b, 4), math.Float32bits(probability.Value(s.next)))
		s.buffer = be.AppendUint16(be.AppendUint32(b, 2), uint16(band.Value(s.next)))
	}
	if s.next == int(s.scored.NumRows()) {
		s.buffer, s.ended = append(s.buffer, copyEnd...), true
	}
	s.unread = s.buffer
}

// scoredRows makes up a batch of scored rows as the engine gives them to the encoder of blocks.
func scoredRows(from, n int) arrow.Record {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "_row", Type: arrow.PrimitiveTypes.Int64},
		{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "probability", Type: arrow.PrimitiveTypes.Float32},
		{Name: "risk_band", Type: arrow.PrimitiveTypes.Int16},
		{Name: "result_bytes", Type: arrow.PrimitiveTypes.Int32},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for row := from; row < from+n; row++ {
		id, p, band := madeUpScore(row)
		b.Field(0).(*array.Int64Builder).Append(int64(row))
		b.Field(1).(*array.StringBuilder).Append(id)
		b.Field(2).(*array.Float32Builder).Append(p)
		b.Field(3).(*array.Int16Builder).Append(band)
		b.Field(4).(*array.Int32Builder).Append(int32(400 + row%100))
	}
	return b.NewRecord()
}

// madeUpScore returns a row an id of ten letters and a probability that differs from its neighbours'.
func madeUpScore(row int) (id string, probability float32, band int16) {
	probability = float32((row*7919)%100_003) / 100_003
	return fmt.Sprintf("c%09d", row), probability, int16(min(3*probability, 2))
}
