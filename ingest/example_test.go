package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// CSV text becomes Arrow records, and every row that is no record has a reason.
func Example() {
	file := "customer;tenure;plan\nA1;12;basic\nA2;soon;basic\nA3;7.5;premium\n"
	schema := ingest.Schema{Columns: []ingest.Column{
		{Name: "customer", Kind: ingest.Text, Required: true},
		{Name: "tenure", Kind: ingest.Number, Required: true},
		{Name: "plan", Kind: ingest.Category, Categories: []string{"basic", "premium"}},
	}}
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	mapping, err := ingest.Map(schema, header)
	if err != nil {
		log.Fatal(err)
	}
	chunker := ingest.NewChunker(body, header.Delimiter, header.Start(), ingest.Limits{})
	converter := ingest.NewConverter(mapping, ingest.Limits{})
	for {
		chunk, err := chunker.Next(nil)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		batch, err := converter.Convert(chunk)
		if err != nil {
			log.Fatal(err)
		}
		rows := batch.Record.Column(0).(*array.Int64)
		tenure := batch.Record.Column(4).(*array.Float64)
		for i := range rows.Len() {
			fmt.Println("row", rows.Value(i), "tenure", tenure.Value(i))
		}
		for _, reject := range batch.Rejects {
			fmt.Println("row", reject.Row, reject.Reason.Code(), reject.Sentence())
		}
	}
	// Output:
	// row 1 tenure 12
	// row 3 tenure 7.5
	// row 2 ERR-1602 The value in column 'tenure' cannot be used. Expected a number such as 12.5.
}
