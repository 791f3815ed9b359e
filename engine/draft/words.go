package draft

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// wordsMax bounds the different texts that are kept of a column.
const wordsMax = 1000

// columnWords are the texts of a column.
type columnWords struct {
	plain  wordSet // without digits
	digits wordSet // with digits: numbers and dates in most columns
	cells  int64   // that are not empty
	texts  int64   // of them, those that are neither a number nor a word for a missing value
	empty  int64
}

// wordSet holds different texts; nil when there were more than wordsMax.
type wordSet map[string]bool

func (s *wordSet) add(word string) {
	if *s == nil || (*s)[word] {
		return
	}
	if len(*s) == wordsMax {
		*s = nil
		return
	}
	(*s)[strings.Clone(word)] = true // the batch owns its memory
}

func (w *columnWords) add(cell string) {
	if cell == "" {
		w.empty++
		return
	}
	w.cells++
	if strings.ContainsAny(cell, "0123456789") {
		w.digits.add(cell)
		if !strings.ContainsAny(cell[:1], "0123456789+-.,$€£( ") {
			w.texts++
		}
		return
	}
	w.plain.add(cell)
	if !slices.Contains(missingWords, cell) {
		w.texts++
	}
}

// isText reports whether the column is no column of numbers.
func (w *columnWords) isText() bool { return 2*w.texts > w.cells }

// sorted returns the column's texts as pandas sorts categories: as numbers if all are numbers, else by code points. Nil if
// there are too many.
func (w *columnWords) sorted() []string {
	if w.plain == nil || w.digits == nil {
		return nil
	}
	words := slices.Sorted(maps.Keys(w.digits))
	numbers := !slices.ContainsFunc(words, func(word string) bool { return !isNumber(word) })
	for _, word := range w.others() {
		words, numbers = append(words, word), false
	}
	slices.SortFunc(words, func(a, b string) int {
		if !numbers {
			return cmp.Compare(a, b)
		}
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return cmp.Compare(x, y)
	})
	return words
}

// others returns the texts without digits that do not stand for a missing value, sorted.
func (w *columnWords) others() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(w.plain)), func(word string) bool { return slices.Contains(missingWords, word) })
}

// readWords reads the columns of a table as text.
func readWords(ctx context.Context, in engine.Input, names []string) ([]*columnWords, error) {
	schema := ingest.Schema{}
	words := make([]*columnWords, len(names))
	for i, name := range names {
		schema.Columns = append(schema.Columns, ingest.Column{Name: name, Kind: ingest.Text, Required: true})
		words[i] = &columnWords{plain: wordSet{}, digits: wordSet{}}
	}
	mapping, err := ingest.Map(schema, in.Header)
	if err != nil {
		return nil, err
	}
	converter := ingest.NewConverter(mapping, in.Limits)
	chunker := ingest.NewChunker(in.Body, in.Header.Delimiter, in.Start, in.Limits)
	var buf []byte
	for ctx.Err() == nil {
		chunk, err := chunker.Next(buf)
		if errors.Is(err, io.EOF) {
			return words, nil
		}
		if err != nil {
			return nil, err
		}
		batch, err := converter.Convert(chunk)
		if err != nil {
			return nil, err
		}
		for i := range words {
			cells := batch.Record.Column(leadColumns + i).(*array.String)
			for row := range cells.Len() {
				words[i].add(cells.Value(row))
			}
		}
		buf = chunk.Bytes[:0]
	}
	return nil, context.Cause(ctx)
}

// leadColumns are the columns of a batch before those of the schema: _row, _start and _length.
const leadColumns = 3
