package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/tuple"
)

func customerKey(t testing.TB, fill string) customer.Key {
	t.Helper()
	key, err := customer.NewKey([]byte(strings.Repeat(fill, customer.SecretMin)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestCustomerKeyTooShort(t *testing.T) {
	if _, err := customer.NewKey(make([]byte, customer.SecretMin-1)); err == nil {
		t.Error("taken")
	}
}

// A hash must be found again next year: it is HMAC-SHA256 over the user and the id, and its first half is kept.
func TestCustomerHash(t *testing.T) {
	hash := customerKey(t, "k").Hasher(7).Hash([]byte("A-1"))
	// printf '\0\0\0\0\0\0\0\7A-1' | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
	wantEqual(t, "hash", fmt.Sprintf("%x", hash), "c27c6bffc9ad09ca12805a19dc4f96ec")
	for name, other := range map[string]customer.Hash{
		"another user": customerKey(t, "k").Hasher(8).Hash([]byte("A-1")),
		"another key":  customerKey(t, "l").Hasher(7).Hash([]byte("A-1")),
		"another id":   customerKey(t, "k").Hasher(7).Hash([]byte("A-1 ")),
	} {
		if other == hash {
			t.Errorf("%s: the same hash", name)
		}
	}
}

// inputBatch is what the model read of the rows: a number, missing in row 2, and a category, unknown in row 3.
func inputBatch(rows []int64) arrow.Record {
	plan := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint16, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "_row", Type: arrow.PrimitiveTypes.Int64},
		{Name: "customerID", Type: arrow.BinaryTypes.String},
		{Name: `the "tenure"`, Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "plan", Type: plan, Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, row := range rows {
		b.Field(0).(*array.Int64Builder).Append(row)
		b.Field(1).(*array.StringBuilder).Append("secret")
		if row == 2 {
			b.Field(2).AppendNull()
		} else {
			b.Field(2).(*array.Float64Builder).Append(float64(row) / 4)
		}
		if row == 3 {
			b.Field(3).AppendNull()
		} else if err := b.Field(3).(*array.BinaryDictionaryBuilder).AppendString(`ba"sic`); err != nil {
			panic(err)
		}
	}
	return b.NewRecord()
}

// trainingOf encodes the sample of a claim's rows.
func (b bench) trainingOf(c *store.Claim, rate float32) []byte {
	b.Helper()
	rows := scoredRows(c.Part, nil)
	e := tuple.NewTrainingEncoder(c.UserID, c.PredictionID, tuple.TrainingSample{Key: customerKey(b, "k"), Rate: rate, Group: "letter"})
	tuples, err := e.AppendSample(nil, inputBatch(rows), scoredBatch(rows))
	if err != nil {
		b.Fatal(err)
	}
	return tuples
}

// keepTraining commits a part with the sample of its rows.
func (b bench) keepTraining(s *store.Store, c *store.Claim, rate float32) error {
	b.Helper()
	rows := scoredRows(c.Part, nil)
	_, err := s.Ledger.CommitPart(ctx(), c, store.PartResult{Scored: c.Part.Rows, Training: b.trainingOf(c, rate)},
		bytes.NewReader(encode(b, c.PredictionID, rows)))
	return err
}

func TestTrainingRows(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(11)
	c := b.claim("w")
	if err := b.keepTraining(b.Store, c, 1); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rows", ask[string](b, `SELECT string_agg(row_no::text, ' ' ORDER BY row_no) FROM ml_training_data`),
		"1 2 3 4 5 6 7 8 9 11") // row 10 has no customer id
	wantEqual(t, "features", ask[string](b, `
		SELECT string_agg(features::text, ' ' ORDER BY row_no) FROM ml_training_data WHERE row_no < 4`),
		`{"plan": "ba\"sic", "the \"tenure\"": 0.25} {"plan": "ba\"sic", "the \"tenure\"": null} `+
			`{"plan": null, "the \"tenure\"": 0.75}`)
	_, p, band := rowValue(7)
	wantEqual(t, "the rest", ask[string](b, `
		SELECT concat_ws(' ', user_id, prediction_id, probability, risk_band, experiment_group, actual_churn)
		FROM ml_training_data WHERE row_no = 7`),
		fmt.Sprint(b.user.ID, " ", c.PredictionID, " ", p, " ", band, " letter"))
	hash := customerKey(t, "k").Hasher(b.user.ID).Hash([]byte("c-7"))
	wantEqual(t, "hash", ask[string](b, `SELECT encode(customer_hash, 'hex') FROM ml_training_data WHERE row_no = 7`),
		fmt.Sprintf("%x", hash))
}

// TestTrainingSample wants the same customers from every attempt and file, and the smaller samples within the larger.
func TestTrainingSample(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(10_000)
	c := b.claim("w")
	if got := b.trainingOf(c, 0); len(got) != 0 {
		t.Errorf("%d bytes without consent", len(got))
	}
	half := b.trainingOf(c, 0.5)
	if !bytes.Equal(half, b.trainingOf(c, 0.5)) {
		t.Error("another attempt keeps other rows")
	}
	all := b.trainingOf(c, 1)
	if share := float64(len(half)) / float64(len(all)); math.Abs(share-0.5) > 0.02 {
		t.Errorf("half of the rows is %.3f of the bytes", share)
	}
	kept := map[float32][]string{}
	for _, rate := range []float32{0.1, 0.5} {
		b.exec(`TRUNCATE ml_training_data`)
		b.exec(`UPDATE prediction_parts SET status = 'open'`)
		b.exec(`TRUNCATE prediction_blocks`)
		if err := b.keepTraining(b.Store, c, rate); err != nil {
			t.Fatal(err)
		}
		kept[rate] = strings.Fields(ask[string](b, `
			SELECT string_agg(encode(customer_hash, 'hex'), ' ') FROM ml_training_data`))
	}
	larger := map[string]bool{}
	for _, hash := range kept[0.5] {
		larger[hash] = true
	}
	for _, hash := range kept[0.1] {
		if !larger[hash] {
			t.Fatal("a customer of the smaller sample is not in the larger one")
		}
	}
	if n := len(kept[0.1]); n < 800 || n > 1000 { // of 9,000 with an id
		t.Errorf("a tenth is %d rows", n)
	}
}

// A worker that lost its lease keeps nothing; scoring from scratch forgets what was kept.
func TestCommitPart_TrainingRowsFenced(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(20)
	late := b.claim("w")
	if err := b.Ledger.ReleasePart(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	c := b.claim("w")
	wantErr(t, b.keepTraining(b.Store, late, 1), store.ErrLeaseLost)
	count := func() int { return ask[int](b, `SELECT count(*)::int FROM ml_training_data`) }
	wantEqual(t, "rows of the late one", count(), 0)
	for range 2 { // the second time as if the answer had been lost
		if err := b.keepTraining(b.Store, c, 1); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "rows", count(), 18)
	}
	b.exec(`UPDATE predictions SET status = 'dead' WHERE public_id = $1`, p.ID)
	if err := b.Upkeep.Retry(t.Context(), p.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rows after the retry", count(), 0)
}

func TestAppendSampleRefuses(t *testing.T) {
	b := newBench(t, store.Config{})
	e := tuple.NewTrainingEncoder(0, 0, tuple.TrainingSample{Key: customerKey(t, "k"), Rate: 1})
	if _, err := e.AppendSample(nil, inputBatch(span(1, 3)), scoredBatch(span(1, 2))); err == nil {
		t.Error("a row too many")
	}
	if _, err := e.AppendSample(nil, inputBatch(span(1, 3)), inputBatch(span(1, 3))); err == nil {
		t.Error("not scored")
	}
	b.upload(10)
	c := b.claim("w")
	_, err := b.Ledger.CommitPart(t.Context(), c, store.PartResult{Scored: 10, Training: []byte("no tuples")}, nil)
	if err == nil || !strings.Contains(err.Error(), "copy training rows") {
		t.Errorf("no tuples: %v", err)
	}
}

// countRows stands for a report.
var countRows = store.Reports{
	OfModel: func(m store.Model, rows []store.ObservedRow) (json.RawMessage, error) {
		return json.Marshal(map[string]any{"model": m, "rows": rows})
	},
	OfMonth: func(rows []counts.Scored) []int64 { return []int64{int64(len(rows))} },
}
