package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
	"github.com/retainwise/millrace/store/tuple"
)

// bench is a store with a user, and a bare connection to look at the tables from outside.
type bench struct {
	testing.TB
	*store.Store
	url  string
	user store.User
}

func newBench(t testing.TB, config store.Config) bench {
	t.Helper()
	config.URL = storetest.Postgres(t)
	s := storetest.Open(t, config)
	user, err := s.Accounts.EnsureUser(t.Context(), "user_1")
	if err != nil {
		t.Fatal(err)
	}
	return bench{TB: t, Store: s, url: config.URL, user: user}
}

// ask reads one value past the store.
func ask[T any](b bench, sql string, args ...any) T {
	b.Helper()
	conn, err := pgx.Connect(context.Background(), b.url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var value T
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&value); err != nil {
		b.Fatalf("%s: %v", sql, err)
	}
	return value
}

func (b bench) exec(sql string, args ...any) {
	b.Helper()
	conn, err := pgx.Connect(context.Background(), b.url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		b.Fatalf("%s: %v", sql, err)
	}
}

// newUpload describes a file of parts with the given numbers of rows, 100 bytes a row.
func newUpload(userID int64, rows ...int64) store.NewUpload {
	u := store.NewUpload{
		ID: store.NewID(), UserID: userID, Filename: "march.csv", ObjectETag: `"abc"`,
		Header: store.Header{Columns: []string{"customerID", "tenure"}, Delimiter: ';', Bytes: 18, Lines: 1},
		Model:  store.Model{Name: "telecom", Version: "1", SHA256: "5a", Engine: "e1"}, Explain: "none",
		Options: []byte(`{"guard": true}`),
	}
	u.ObjectKey = objects.InputKey(u.ID)
	u.SHA256[0] = 7
	offset, row := int64(18), int64(1)
	for i, n := range rows {
		u.Parts = append(u.Parts, store.Part{
			No: i, Planned: true, Offset: offset, Bytes: 100 * n, FirstRow: row, FirstLine: row + 1, Rows: n,
		})
		offset, row = offset+100*n, row+n
	}
	u.Rows, u.Bytes = row-1, offset
	return u
}

func (b bench) upload(rows ...int64) store.Prediction {
	b.Helper()
	p, err := b.Predictions.CreateUpload(b.Context(), newUpload(b.user.ID, rows...))
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b bench) claim(worker string) *store.Claim {
	b.Helper()
	c, err := b.Ledger.ClaimPart(b.Context(), worker)
	if err != nil {
		b.Fatal(err)
	}
	if c == nil {
		b.Fatal("nothing to claim")
	}
	return c
}

func (b bench) noClaim() {
	b.Helper()
	if c, err := b.Ledger.ClaimPart(b.Context(), "another"); c != nil || err != nil {
		b.Fatalf("claimed %+v: %v", c, err)
	}
}

// reload reads a prediction again.
func (b bench) reload(p store.Prediction) store.Prediction {
	b.Helper()
	p, err := b.Predictions.Get(context.Background(), p.UserID, p.ID)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// ctx is for calls that must not end with the test.
func ctx() context.Context { return context.Background() }

// rowValue is what the tests score a row with.
func rowValue(row int64) (id string, probability float32, band int16) {
	return fmt.Sprintf("c-%d", row), float32((row*7919)%10_000) / 10_000, int16(row % 3)
}

// rowBytes is how long the tests pretend that a row of the result is.
func rowBytes(row int64) int32 { return int32(300 + row%50) }

// scoredBatch makes a batch of the given rows, scored by rowValue. Rows divisible by 10 have no id.
func scoredBatch(rows []int64) arrow.Record {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "_row", Type: arrow.PrimitiveTypes.Int64},
		{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "probability", Type: arrow.PrimitiveTypes.Float32},
		{Name: "risk_band", Type: arrow.PrimitiveTypes.Int16},
		{Name: "result_bytes", Type: arrow.PrimitiveTypes.Int32},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, row := range rows {
		id, p, band := rowValue(row)
		b.Field(0).(*array.Int64Builder).Append(row)
		if row%10 == 0 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(id)
		}
		b.Field(2).(*array.Float32Builder).Append(p)
		b.Field(3).(*array.Int16Builder).Append(band)
		b.Field(4).(*array.Int32Builder).Append(rowBytes(row))
	}
	return b.NewRecord()
}

// scoredRows lists the rows of a part without those that the tests reject: every row that rejected names.
func scoredRows(p store.Part, rejected func(row int64) bool) []int64 {
	var rows []int64
	for row := p.FirstRow; row < p.FirstRow+p.Rows; row++ {
		if rejected == nil || !rejected(row) {
			rows = append(rows, row)
		}
	}
	return rows
}

func encode(t testing.TB, prediction int64, rows []int64) []byte {
	t.Helper()
	batch := scoredBatch(rows)
	defer batch.Release()
	blocks, err := tuple.NewBlockEncoder(prediction).AppendBlocks(nil, batch)
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// score commits a claimed part as a worker would.
func (b bench) score(c *store.Claim, rejected func(row int64) bool) (*store.Claim, error) {
	b.Helper()
	rows := scoredRows(c.Part, rejected)
	return b.Ledger.CommitPart(context.Background(), c, store.PartResult{
		Scored: int64(len(rows)), Rejected: c.Part.Rows - int64(len(rows)), ResultBytes: 10, ResultETag: `"r"`,
	}, bytes.NewReader(encode(b, c.PredictionID, rows)))
}

// mustScore scores a part whose lease is good.
func (b bench) mustScore(c *store.Claim) *store.Claim {
	b.Helper()
	last, err := b.score(c, nil)
	if err != nil {
		b.Fatal(err)
	}
	return last
}

func (b bench) finish(c *store.Claim) error {
	return b.Ledger.Finish(context.Background(), c, store.Result{
		ResultKey: objects.ResultKey(c.PublicID, c.Generation, objects.ResultName), ResultETag: `"x"`, ResultBytes: 20,
		Summary: []byte(`{"mean": 0.5}`),
	})
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// readFunc is a function as io.Reader.
type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
