package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// Outcome is one row of an outcomes file.
type Outcome struct {
	Row     int64
	ID      string
	Churned bool
	On      time.Time // day of the outcome in UTC; zero if the row has none
}

// Names of the columns of an outcomes file.
const (
	outcomeID      = "customer_id"
	outcomeChurned = "churned"
	outcomeDate    = "date"
)

const (
	yes = "yes"
	no  = "no"
)

// outcomeSchema has the customer's id, whether the customer left, and the date of that.
func outcomeSchema() ingest.Schema {
	spellings := map[string]string{}
	for spelling, word := range map[string][]string{
		yes: {"YES", "Yes", "y", "Y", "true", "TRUE", "True", "t", "T", "1", "1.0"},
		no:  {"NO", "No", "n", "N", "false", "FALSE", "False", "f", "F", "0", "0.0"},
	} {
		for _, w := range word {
			spellings[w] = spelling
		}
	}
	return ingest.Schema{Columns: []ingest.Column{
		{
			Name: outcomeID, Aliases: []string{"id", "customer", "account_id"}, Kind: ingest.Text,
			Required: true, NotEmpty: true,
		},
		{
			Name: outcomeChurned, Aliases: []string{"churn", "actual_churn", "outcome"}, Kind: ingest.Category,
			Required: true, NotEmpty: true, RefuseUnknown: true, Categories: []string{no, yes}, Spellings: spellings,
		},
		{Name: outcomeDate, Aliases: []string{"outcome_date", "churn_date", "churned_on"}, Kind: ingest.Text},
	}}
}

// ReadOutcomes reads an outcomes file and calls take for each row, or reject for a row that cannot be used; rows is the
// number of both. Calls are in input order, but the rejects of unreadable rows come before the other rows of their
// chunk. Arguments are valid until the call returns. Dates look like 2026-03-31, with an optional time behind. A file
// without rows is [ingest.ErrEmpty].
func ReadOutcomes(
	ctx context.Context, in Input, take func(Outcome), reject func(ingest.Reject),
) (rows int64, err error) {
	m, err := ingest.Map(outcomeSchema(), in.Header)
	if err != nil {
		return 0, err
	}
	r := outcomeReader{mapping: m, converter: ingest.NewConverter(m, in.Limits), take: take, reject: reject}
	chunker := ingest.NewChunker(in.Body, in.Header.Delimiter, in.Start, in.Limits)
	for buf := []byte(nil); ; {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		chunk, err := chunker.Next(buf)
		if errors.Is(err, io.EOF) && rows > 0 {
			return rows, nil
		}
		if errors.Is(err, io.EOF) {
			return 0, ingest.ErrEmpty
		}
		if err != nil {
			return rows, err
		}
		buf = chunk.Bytes[:0]
		if err := r.read(chunk); err != nil {
			return rows, err
		}
		rows += chunk.Rows
	}
}

// outcomeReader reads an outcomes file chunk by chunk.
type outcomeReader struct {
	mapping   ingest.Mapping
	converter *ingest.Converter
	take      func(Outcome)
	reject    func(ingest.Reject)
}

func (r *outcomeReader) read(chunk ingest.Chunk) error {
	batch, err := r.converter.Convert(chunk)
	if err != nil {
		return err
	}
	for _, reject := range batch.Rejects {
		if reject.Reason == ingest.CategoryRefused {
			reject.Reason, reject.Expected = ingest.NotYesNoOrDate, "yes or no"
		}
		r.reject(reject)
	}
	r.rows(batch.Record, chunk)
	return nil
}

// rows takes the rows that were read, but rejects those with an invalid date.
func (r *outcomeReader) rows(rec arrow.Record, chunk ingest.Chunk) {
	row, start := rec.Column(0).(*array.Int64), rec.Column(1).(*array.Int32)
	id := rec.Column(firstSchemaColumn).(*array.String)
	churned := rec.Column(firstSchemaColumn + 1).(*array.Dictionary).Indices().(*array.Uint16)
	date := rec.Column(firstSchemaColumn + 2).(*array.String)
	counted, line := 0, chunk.Line
	for i := range int(rec.NumRows()) {
		o := Outcome{Row: row.Value(i), ID: id.Value(i), Churned: churned.Value(i) == 1}
		if !date.IsNull(i) {
			var ok bool
			if o.On, ok = parseDay(date.Value(i)); !ok {
				at := int(start.Value(i))
				line += int64(bytes.Count(chunk.Bytes[counted:at], []byte{'\n'}))
				counted = at
				r.reject(ingest.Reject{
					Row: o.Row, Line: line, Reason: ingest.NotYesNoOrDate, Expected: "a date such as 2026-03-31",
					Column: r.mapping.Header.Names[r.mapping.Fields[2]],
				})
				continue
			}
		}
		r.take(o)
	}
}

// parseDay parses a date and ignores a time of day behind it.
func parseDay(text string) (time.Time, bool) {
	const layout = time.DateOnly
	if len(text) > len(layout) && (text[len(layout)] == ' ' || text[len(layout)] == 'T') {
		text = text[:len(layout)]
	}
	day, err := time.Parse(layout, text)
	return day, err == nil && day.Year() >= 1900
}
