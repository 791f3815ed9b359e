package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// Limits on the segments of a summary.
const (
	segmentsMax      = 5
	segmentValuesMax = 50
)

// segmentColumn is a category column to summarise by. It is immutable and shared.
type segmentColumn struct {
	column int // position in the schema
	name   string
	label  string
	values []string
	slots  []uint8 // index in SegmentTally.Cohorts by category code
}

// segmentColumns returns the columns to summarise by in order of preference: those that the bundle names, or else the
// categories with the largest importance. Sensitive columns are never included.
func (b *Bundle) segmentColumns() ([]segmentColumn, error) {
	var list []segmentColumn
	for _, name := range b.file.Segments {
		c := b.file.column(name)
		if c == nil || c.Sensitive || len(c.Categories) == 0 {
			return nil, fmt.Errorf("segments: %q must be a category column that is not sensitive", name)
		}
		list = append(list, b.segmentColumn(b.columns[name]))
	}
	if len(list) > 0 {
		return list, nil
	}
	for i := range b.file.Columns {
		if c := &b.file.Columns[i]; len(c.Categories) > 0 && !c.Sensitive {
			list = append(list, b.segmentColumn(i))
		}
	}
	slices.SortStableFunc(list, func(x, y segmentColumn) int {
		return cmp.Compare(b.profiles[y.column].importance(), b.profiles[x.column].importance())
	})
	return list, nil
}

// segmentColumn keeps the categories that were most frequent in training apart and merges the others.
func (b *Bundle) segmentColumn(at int) segmentColumn {
	c := &b.file.Columns[at]
	s := segmentColumn{column: at, name: c.Name, label: c.text().label(), slots: make([]uint8, len(c.Categories)+2)}
	codes := make([]int, len(c.Categories))
	for i := range codes {
		codes[i] = i
	}
	if p := b.profiles[at].training; p != nil && len(p.Shares) > len(codes) {
		slices.SortStableFunc(codes, func(x, y int) int { return cmp.Compare(p.Shares[y], p.Shares[x]) })
	}
	kept := min(len(codes), segmentValuesMax)
	for i := range s.slots {
		s.slots[i] = uint8(kept) // others
	}
	s.slots[len(codes)] = uint8(kept + 1) // missing
	for i, code := range codes[:kept] {
		s.slots[code] = uint8(i)
		s.values = append(s.values, c.Categories[code])
	}
	return s
}

// SegmentTally counts the customers by the value of a category column.
type SegmentTally struct {
	Column string   `json:"column"`
	Label  string   `json:"label"`
	Values []string `json:"values"`
	// Cohorts has one entry per value, then one for all other values and one for missing values.
	Cohorts []Cohort `json:"cohorts"`

	column *segmentColumn
}

// newSegmentTallies returns empty tallies for the first segmentsMax columns that the file has.
func (b *Bundle) newSegmentTallies(m ingest.Mapping) []SegmentTally {
	var tallies []SegmentTally
	for i := range b.segments {
		s := &b.segments[i]
		if len(tallies) == segmentsMax || m.Fields[s.column] < 0 {
			continue
		}
		tallies = append(tallies, SegmentTally{
			Column: s.name, Label: s.label, Values: s.values, Cohorts: make([]Cohort, len(s.values)+2), column: s,
		})
	}
	return tallies
}

// count adds the rows of a batch.
func (t *SegmentTally) count(rec arrow.Record, rows []Cohort) {
	codes := rec.Column(firstSchemaColumn + t.column.column).(*array.Dictionary).Indices().(*array.Uint16).Uint16Values()
	slots := t.column.slots
	for i, code := range codes {
		t.Cohorts[slots[code]].add(rows[i])
	}
}

// Segment is the customers by the value of a category column.
type Segment struct {
	Column string         `json:"column"`
	Label  string         `json:"label"`
	Values []SegmentValue `json:"values"` // the largest first
}

// SegmentValue is the customers with one value. Value is nil for missing values and for Other, which merges all values
// without an entry of their own.
type SegmentValue struct {
	Value    *string  `json:"value"`
	Other    bool     `json:"other,omitempty"`
	Count    int64    `json:"count"`
	Mean     float64  `json:"mean_probability"`
	Expected float64  `json:"expected_churners"`
	Loss     *float64 `json:"expected_loss,omitempty"`
}

func (t *Tally) segments() []Segment {
	list := make([]Segment, len(t.Segments))
	for i := range t.Segments {
		s := &t.Segments[i]
		list[i] = Segment{Column: s.Column, Label: s.Label, Values: []SegmentValue{}}
		for j, c := range s.Cohorts {
			if c.Count == 0 {
				continue
			}
			v := SegmentValue{
				Count: c.Count, Mean: roundFigure(c.Expected / float64(c.Count)), Expected: roundFigure(c.Expected),
				Loss: t.money(c.Loss), Other: j == len(s.Values),
			}
			if j < len(s.Values) {
				v.Value = &s.Values[j]
			}
			list[i].Values = append(list[i].Values, v)
		}
		slices.SortStableFunc(list[i].Values, func(x, y SegmentValue) int { return cmp.Compare(y.Count, x.Count) })
	}
	return list
}
