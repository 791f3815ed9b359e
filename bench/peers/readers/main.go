//go:build unix

// Readers serves csv_readers.py: it writes the file that reading is measured on, or reads such a file with package
// ingest, several rounds, and prints the CPU seconds of every round and what it read as JSON.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/bench"
	"github.com/retainwise/millrace/ingest"
)

func main() {
	write := flag.Int("write", 0, "write a file of this many rows instead of reading it")
	rounds := flag.Int("rounds", 5, "timed rounds")
	flag.Parse()
	if err := run(flag.Arg(0), *write, *rounds); err != nil {
		log.Fatal(err)
	}
}

func run(name string, write, rounds int) error {
	if write > 0 {
		return os.WriteFile(name, bench.CustomerFile(write, false), 0o600)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var result struct {
		Seconds []float64 `json:"seconds"`
		Rows    int64     `json:"rows"`
		Sum     float64   `json:"sum"` // of MonthlyCharges: everyone read the same
	}
	for range rounds {
		begin := cpu()
		if result.Rows, result.Sum, err = read(file); err != nil {
			return err
		}
		result.Seconds = append(result.Seconds, (cpu() - begin).Seconds())
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// read converts every column of every row.
func read(file []byte) (rows int64, sum float64, err error) {
	header, body, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
	if err != nil {
		return 0, 0, err
	}
	mapping, err := ingest.Map(bench.CustomerSchema(), header)
	if err != nil {
		return 0, 0, err
	}
	chunker := ingest.NewChunker(body, header.Delimiter, header.Start(), ingest.Limits{})
	converter := ingest.NewConverter(mapping, ingest.Limits{})
	for buf := []byte(nil); ; {
		chunk, err := chunker.Next(buf)
		if errors.Is(err, io.EOF) {
			return rows, sum, nil
		}
		if err != nil {
			return rows, sum, err
		}
		buf = chunk.Bytes
		batch, err := converter.Convert(chunk)
		if err != nil {
			return rows, sum, err
		}
		if len(batch.Rejects) > 0 {
			return rows, sum, fmt.Errorf("%d rows were rejected", len(batch.Rejects))
		}
		rows += batch.Record.NumRows()
		place := batch.Record.Schema().FieldIndices("MonthlyCharges")[0]
		for _, x := range batch.Record.Column(place).(*array.Float64).Float64Values() {
			sum += x
		}
	}
}

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
