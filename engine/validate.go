package engine

import (
	"context"
	"errors"
	"io"

	"github.com/retainwise/millrace/ingest"
)

// Validate reads the rows of in like [Score] without scoring them. In the tally Scored counts the rows that would be
// scored; rejects, warnings and columns are those of a score. It calls rejected for every rejected row in input order;
// the arguments are valid until the call returns. Input without rows is [ingest.ErrEmpty].
func Validate(ctx context.Context, in Input, b *Bundle, rejected func(ingest.Chunk, ingest.Reject)) (Tally, error) {
	m, err := ingest.Map(b.Schema(), in.Header)
	if err != nil {
		return Tally{}, err
	}
	m.Numbers = in.Numbers
	v := newValidator(b, m, in.Limits, rejected)
	total, part := Tally{Columns: b.newColumnTallies(), NotUsed: m.Unused(), Numbers: in.Numbers}, Tally{Columns: b.newColumnTallies()}
	chunker := ingest.NewChunker(in.Body, in.Header.Delimiter, in.Start, in.Limits)
	var ids idSet
	for buf := []byte(nil); ; {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		chunk, err := chunker.Next(buf)
		if errors.Is(err, io.EOF) {
			if total.Rows == 0 {
				return total, ingest.ErrEmpty
			}
			return total, nil
		}
		if err != nil {
			return total, err
		}
		buf = chunk.Bytes[:0]
		if err := v.read(&part, chunk); err != nil {
			return total, err
		}
		part.addDuplicateIDs(ids.add(v.ids), b)
		total.Add(&part)
	}
}

// validator reads chunk by chunk and reuses its scratch.
type validator struct {
	bundle    *Bundle
	mapping   ingest.Mapping
	converter *ingest.Converter
	counter   columnCounter
	rejected  func(ingest.Chunk, ingest.Reject)
	ids       []uint64
}

func newValidator(b *Bundle, m ingest.Mapping, limits ingest.Limits, rejected func(ingest.Chunk, ingest.Reject)) *validator {
	return &validator{
		bundle: b, mapping: m, converter: ingest.NewConverter(m, limits), counter: newColumnCounter(b, m), rejected: rejected,
	}
}

// read replaces t by the counts of a chunk.
func (v *validator) read(t *Tally, chunk ingest.Chunk) error {
	batch, err := v.converter.Convert(chunk)
	if err != nil {
		return err
	}
	t.reset()
	t.Rows, t.Scored, t.Skipped = chunk.Rows, batch.Record.NumRows(), chunk.Skipped
	t.countReasons(&batch, &v.bundle.file.Training)
	v.counter.count(t.Columns, &batch)
	v.bundle.addExamples(t.Columns, &batch, chunk, v.mapping)
	v.ids = appendIDHashes(v.ids[:0], batch.Record, v.bundle.idColumn)
	for _, reject := range batch.Rejects {
		v.rejected(chunk, reject)
	}
	return nil
}
