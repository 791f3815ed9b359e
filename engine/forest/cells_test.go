package forest_test

import (
	"encoding/csv"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// TestCategoriesOfText scores rows whose categories are text, through the maps that the files carry: a category that
// training never saw and an empty cell are missing, not category 0.
func TestCategoriesOfText(t *testing.T) {
	fixturesWith(t, func(fx fixture) bool { return fx.Cells }, func(t *testing.T, fx fixture, f *forest.Forest) {
		r := csv.NewReader(strings.NewReader(string(fx.bytes(t, "cells.tsv"))))
		r.Comma, r.LazyQuotes = '\t', true
		cells, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var table [][]float64
		for _, line := range cells[1:] {
			var row []float64
			for i, cell := range line {
				row = append(row, cellValue(t, &f.Features[i], cell))
			}
			table = append(table, row)
		}
		rows := columns(table)
		got := make([]float64, rows.Len*f.Classes)
		forest.NewWalker(f).Raw(got, rows)
		sameBits(t, got, flat(fx.table(t, "raw")))
	})
}

func cellValue(t *testing.T, f *forest.Feature, cell string) float64 {
	t.Helper()
	if f.Categories != nil {
		if code, ok := f.Code(cell); ok {
			return float64(code)
		}
		return math.NaN()
	}
	if cell == "" {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
