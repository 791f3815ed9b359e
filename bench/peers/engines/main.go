//go:build unix

// Engines times the Go engines for compare.py: it scores the rows of a file with one model, several rounds each, and
// prints the seconds of every round and the raw scores as JSON.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"syscall"
	"time"

	"github.com/retainwise/millrace/engine/forest"
)

// engine is one way to score, and what was measured of it.
type engine struct {
	Name    string    `json:"name"`
	Seconds []float64 `json:"seconds"` // of a core, per round
	Raw     []float64 `json:"raw"`     // row-major: the raw score, or the contributions and the bias
	width   int       // numbers per row
	score   func(dst []float64, rows forest.Rows) error
}

func main() {
	model := flag.String("model", "", "model file")
	columns := flag.String("columns", "", "file of little-endian float64, feature after feature")
	rows := flag.Int("rows", 0, "rows in that file")
	rounds := flag.Int("rounds", 7, "timed rounds per engine")
	contributions := flag.Bool("contributions", false, "compute contributions instead of scores")
	flag.Parse()
	if err := run(*model, *columns, *rows, *rounds, *contributions); err != nil {
		log.Fatal(err)
	}
}

func run(model, columns string, rowCount, rounds int, contributions bool) error {
	file, err := os.ReadFile(model)
	if err != nil {
		return err
	}
	f, err := forest.Read(model, file, forest.DefaultLimits())
	if err != nil {
		return err
	}
	rows, err := readColumns(columns, rowCount, len(f.Features))
	if err != nil {
		return err
	}
	prepare := newEngines
	if contributions {
		prepare = newExplainer
	}
	engines, err := prepare(f)
	if err != nil {
		return err
	}
	for i := range engines {
		if err := engines[i].measure(rows, rounds); err != nil {
			return fmt.Errorf("score with %s: %w", engines[i].Name, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(engines)
}

func readColumns(name string, rows, features int) (forest.Rows, error) {
	file, err := os.ReadFile(name)
	if err != nil {
		return forest.Rows{}, err
	}
	if len(file) != 8*rows*features {
		return forest.Rows{}, fmt.Errorf("%s has %d bytes, %d rows of %d features take %d",
			name, len(file), rows, features, 8*rows*features)
	}
	columns := make([]forest.Column, features)
	for i := range columns {
		columns[i].Numbers = make([]float64, rows)
		for row := range rows {
			columns[i].Numbers[row] = math.Float64frombits(binary.LittleEndian.Uint64(file[8*(i*rows+row):]))
		}
	}
	return forest.Rows{Len: rows, Columns: columns}, nil
}

func newEngines(f *forest.Forest) ([]engine, error) {
	compiled, err := forest.Compile(f)
	if err != nil {
		return nil, err
	}
	leaves, err := forest.NewLeaves(f)
	if err != nil {
		return nil, err
	}
	scorer := compiled.NewScorer()
	return []engine{
		{Name: "millrace", width: f.Classes, score: func(dst []float64, rows forest.Rows) error {
			scorer.Raw(dst, rows)
			return nil
		}},
		{Name: "leaves", width: f.Classes, score: leaves.Raw},
	}, nil
}

func newExplainer(f *forest.Forest) ([]engine, error) {
	explainer, err := forest.NewExplainer(f)
	if err != nil {
		return nil, err
	}
	contributor := explainer.NewContributor()
	return []engine{{
		Name: "millrace", width: f.Classes * (len(f.Features) + 1),
		score: func(dst []float64, rows forest.Rows) error { contributor.Contributions(dst, rows); return nil },
	}}, nil
}

// measure scores once to warm up and then rounds times.
func (e *engine) measure(rows forest.Rows, rounds int) error {
	e.Raw = make([]float64, rows.Len*e.width)
	if err := e.score(e.Raw, rows); err != nil {
		return err
	}
	for range rounds {
		start, err := processSeconds()
		if err != nil {
			return err
		}
		if err := e.score(e.Raw, rows); err != nil {
			return err
		}
		end, err := processSeconds()
		if err != nil {
			return err
		}
		e.Seconds = append(e.Seconds, end-start)
	}
	return nil
}

// processSeconds is how long cores have worked for this process, so that other programs take little from a figure.
func processSeconds() (float64, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, err
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds(), nil
}
