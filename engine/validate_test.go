package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

func validate(
	t testing.TB, file string, b *engine.Bundle, limits ingest.Limits,
) (tally engine.Tally, rows []int64, err error) {
	t.Helper()
	header, body, err := ingest.ReadHeader(strings.NewReader(file), limits)
	if err != nil {
		t.Fatal(err)
	}
	in := engine.Input{Body: body, Header: header, Start: header.Start(), Limits: limits}
	tally, err = engine.Validate(t.Context(), in, b, func(_ ingest.Chunk, r ingest.Reject) {
		rows = append(rows, r.Row)
	})
	return tally, rows, err
}

// Validate counts what Score counts, without scores.
func TestValidateCountsEqualScore(t *testing.T) {
	b := baseline(t, "telecom")
	file := numbered(t, sampled(t, sample(t, "telecom_10k.csv"), 1200, nil))
	for _, chunk := range []int{4 << 10, 1 << 20} {
		limits := ingest.Limits{ChunkBytes: chunk, RowBytesMax: 4000}
		tally, rows, err := validate(t, file, b, limits)
		if err != nil {
			t.Fatal(err)
		}
		got, want := tally.Summary(), summarize(t, file, b, limits)
		if got.Rows != want.Rows || got.Scored != want.Scored || got.Rejected != 12 ||
			!slices.Equal(got.Rejects, want.Rejects) ||
			!slices.Equal(got.Warnings, want.Warnings) {
			t.Errorf("%+v", got)
		}
		sameJSON(t, asJSON(t, got.Quality), asJSON(t, want.Quality))
		sameJSON(t, asJSON(t, got.Drift.Features), asJSON(t, want.Drift.Features))
		if got.Drift.Score != nil || got.Value != nil || len(got.Bands) != 0 {
			t.Errorf("scores of rows that were not scored: %+v %+v %+v", got.Drift.Score, got.Value, got.Bands)
		}
		if len(rows) != 12 || rows[0] != 14 || rows[11] != 1114 {
			t.Errorf("rejected rows %v", rows)
		}
	}
}

func TestValidateErrorsEqualScore(t *testing.T) {
	b := baseline(t, "telecom")
	good := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\na,1,2,3,One year\n"
	var missing *ingest.MissingColumnsError
	if _, _, err := validate(t, "customerID,tenure\na,1\n", b, ingest.Limits{}); !errors.As(err, &missing) {
		t.Errorf("missing columns: %v", err)
	}
	var quote *ingest.QuoteError
	if _, _, err := validate(t, good+"\"a,1,2,3,One year\n", b, ingest.Limits{}); !errors.As(err, &quote) {
		t.Errorf("unclosed quote: %v", err)
	}
	var long *ingest.RowTooLongError
	_, _, err := validate(t, good+strings.Repeat("x", 999), b, ingest.Limits{RowBytesMax: 100})
	if !errors.As(err, &long) {
		t.Errorf("long row: %v", err)
	}
	in := engine.Input{Body: strings.NewReader(""), Header: headerOf(t, strings.SplitN(good, "\n", 2)[0])}
	if _, err := engine.Validate(t.Context(), in, b, nil); !errors.Is(err, ingest.ErrEmpty) {
		t.Errorf("no rows: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in.Body = strings.NewReader("a,1,2,3,One year\n")
	if _, err := engine.Validate(ctx, in, b, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
