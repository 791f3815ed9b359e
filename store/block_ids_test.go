package store_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/schema"
	"github.com/retainwise/millrace/store/tuple"
)

// someIDs makes up the ids of n rows, from the given texts and from none.
func someIDs(r *rand.Rand, n int, texts ...string) []*string {
	ids := make([]*string, n)
	for i := range ids {
		if at := r.IntN(len(texts) + 1); at < len(texts) {
			ids[i] = text(strings.ReplaceAll(texts[at], "#", fmt.Sprint(i)))
		}
	}
	return ids
}

// Whatever the ids are, they come back: from a page in either order, row by row, and from the view.
func TestBlockIDs_RoundTrip(t *testing.T) {
	b := newBench(t, store.Config{})
	r := rand.New(rand.NewPCG(20, 22))
	for name, ids := range map[string][]*string{
		"plain":               someIDs(r, 2100, "c-#", "d-#", "e-#"),
		"none":                make([]*string, 1100),
		"one row":             {text("c-1")},
		"one row without":     {nil},
		"one row, empty":      {text("")},
		"one row, separator":  {text("\x1f")},
		"separators":          someIDs(r, 1500, "c-#", "\x1fc-#", "c\x1f#", "c-#\x1f", "\x1f"),
		"empty":               someIDs(r, 1500, "c-#", ""),
		"many bytes":          someIDs(r, 1500, "é#", "\U0001f600", "c-#", strings.Repeat("ö", 400)),
		"separator in a rest": append(someIDs(r, 1003, "c-#"), text("\x1f")),
		"characters of COPY":  someIDs(r, 40, `\N`, `\.`, "{#,\"NULL\"}", "NULL", "\t\n\r", " "),
	} {
		t.Run(name, func(t *testing.T) {
			rows, bands := span(1, int64(len(ids))), make([]int16, len(ids))
			for i := range bands {
				bands[i] = int16(r.IntN(64))
			}
			b.wantIDsBack(b.storeIDs(t, rows, ids, bands), rows, ids, bands)
		})
	}
}

// storeIDs commits a prediction whose rows have these ids and bands; the later the row, the higher its probability.
func (b bench) storeIDs(t *testing.T, rows []int64, ids []*string, bands []int16) store.Prediction {
	t.Helper()
	p := b.upload(int64(len(rows)))
	c := b.claim("w")
	probabilities := make([]float32, len(rows))
	for i := range probabilities {
		probabilities[i] = float32(i) / 4096
	}
	blocks, err := tuple.NewBlockEncoder(c.PredictionID).
		AppendBlocks(nil, recordOf(t, rows, ids, probabilities, bands))
	if err != nil {
		t.Fatal(err)
	}
	last, err := b.Ledger.CommitPart(ctx(), c, store.PartResult{Scored: int64(len(rows))}, bytes.NewReader(blocks))
	if err == nil {
		err = b.finish(last)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b bench) wantIDsBack(p store.Prediction, rows []int64, ids []*string, bands []int16) {
	b.Helper()
	shown := func(row int64, id *string, band int16) string {
		if id == nil {
			return fmt.Sprint(row, " has none ", band)
		}
		return fmt.Sprintf("%d %q %d", row, *id, band)
	}
	want := make([]string, len(rows))
	for i, row := range rows {
		want[i] = shown(row, ids[i], bands[i])
	}
	found := map[string][]string{}
	for _, row := range b.pages(p, store.RowQuery{Limit: 700}) {
		found["a page"] = append(found["a page"], shown(row.Row, row.ID, row.Band))
	}
	for _, row := range slices.Backward(b.pages(p, store.RowQuery{Limit: 700, Order: store.ByProbability})) {
		found["a sorted page"] = append(found["a sorted page"], shown(row.Row, row.ID, row.Band))
	}
	some, err := b.Ledger.CustomerIDs(ctx(), &store.Claim{PredictionID: p.InternalID}, rows)
	if err != nil {
		b.Fatal(err)
	}
	for i, row := range rows {
		var id *string
		if one, ok := some[row]; ok {
			id = &one
		}
		found["one by one"] = append(found["one by one"], shown(row, id, bands[i]))
	}
	found["the view"] = b.viewRows(p, shown)
	for where, got := range found {
		if !slices.Equal(got, want) {
			b.Errorf("%s: %d rows differ from %d stored", where, len(got), len(want))
		}
	}
	if len(found) != 4 {
		b.Errorf("read in %d ways", len(found))
	}
}

// viewRows reads the view, in the order of the file.
func (b bench) viewRows(p store.Prediction, shown func(row int64, id *string, band int16) string) []string {
	b.Helper()
	one := func(column, kind string) string {
		return `ARRAY(SELECT ` + column + ` FROM prediction_rows WHERE prediction_id = $1 ORDER BY row_no)::` + kind
	}
	numbers := ask[[]int64](b, `SELECT `+one("row_no", "bigint[]"), p.InternalID)
	ids := ask[[]*string](b, `SELECT `+one("customer_id", "text[]"), p.InternalID)
	bands := ask[[]int16](b, `SELECT `+one("risk_band", "smallint[]"), p.InternalID)
	rows := make([]string, len(numbers))
	for i, row := range numbers {
		rows[i] = shown(row, ids[i], bands[i])
	}
	return rows
}

// The migration to joined ids can be taken back with rows in them.
func TestMigrateDown_BlockIDs(t *testing.T) {
	b := newBench(t, store.Config{})
	want := map[int64][]string{}
	shown := func(row int64, id *string, band int16) string {
		if id == nil {
			return fmt.Sprint(row, band)
		}
		return fmt.Sprint(row, *id, band)
	}
	for _, ids := range [][]*string{{nil}, {nil, nil}, {text("a"), nil, text("b")}, {text(""), text("\x1f")}} {
		p := b.storeIDs(t, span(1, int64(len(ids))), ids, make([]int16, len(ids)))
		want[p.InternalID] = b.viewRows(p, shown)
	}
	if err := schema.Down(ctx(), b.url, migrations.FS, 21); err != nil {
		t.Fatal(err)
	}
	for id, rows := range want {
		wantEqual(t, "ids", ask[bool](b, `SELECT cardinality(customer_id) = n AND cardinality(risk_band) = n
			FROM prediction_blocks WHERE prediction_id = $1`, id), true)
		if got := b.viewRows(store.Prediction{InternalID: id}, shown); !slices.Equal(got, rows) {
			t.Errorf("%q, want %q", got, rows)
		}
	}
	if err := schema.Migrate(ctx(), b.url, migrations.FS); err != nil {
		t.Fatal(err)
	}
}
