package ingest

import (
	"slices"
	"strings"
)

// Names of the columns that a scored file has behind the customer's own.
const (
	ProbabilityColumn = "churn_probability"
	BandColumn        = "risk_band"
	RiskColumn        = "risk_factors"
	ProtectiveColumn  = "protective_factors"
	ExplanationColumn = "explanation"
)

// resultColumns and rejectColumns are what millrace writes behind the customer's columns. All of them in a row, in this
// order, are the mark by which a file of its own is known; one alone may be a customer's word.
var (
	resultColumns = []string{ProbabilityColumn, BandColumn, RiskColumn, ProtectiveColumn, ExplanationColumn}
	rejectColumns = []string{rejectRow, rejectLine, rejectCode, rejectColumn, rejectReason}
)

// RenamedColumn is a customer's column that would have the name of one that millrace adds.
type RenamedColumn struct {
	Field    int // its place in the header, from 0
	Name, As string
}

// ownColumns finds the fields that an earlier file of millrace added, and the customer's columns of the same names.
func ownColumns(names []string) (former []int, renamed []RenamedColumn) {
	for _, own := range [][]string{resultColumns, rejectColumns} {
		for at := 0; at+len(own) <= len(names); at++ {
			if slices.Equal(names[at:at+len(own)], own) {
				for i := range own {
					former = append(former, at+i)
				}
			}
		}
	}
	slices.Sort(former)
	for field, name := range names {
		if slices.Contains(former, field) || !slices.Contains(resultColumns, name) && !slices.Contains(rejectColumns, name) {
			continue
		}
		as := name + "_input"
		for slices.Contains(names, as) {
			as += "_"
		}
		renamed = append(renamed, RenamedColumn{Field: field, Name: name, As: as})
	}
	return former, renamed
}

// formerField is where a rejects file of millrace has one of its columns, or -1.
func (m *Mapping) formerField(name string) int {
	for _, field := range m.Former {
		if m.Header.Names[field] == name {
			return field
		}
	}
	return -1
}

// AppendHeader writes the header row, without former fields, with the new names of renamed ones, and without a line end.
func (m Mapping) AppendHeader(dst []byte) []byte {
	row := m.Header.Row
	if len(m.Renamed) > 0 {
		row = m.renamedHeader()
	}
	if m.Guard {
		return m.AppendGuardedRow(dst, row)
	}
	return m.AppendRow(dst, row)
}

func (m *Mapping) renamedHeader() []byte {
	var out []byte
	rest := m.Header.Row
	for field := range m.Header.Names {
		var cell []byte
		cell, rest = cutField(rest, m.Header.Delimiter)
		if field > 0 {
			out = append(out, m.Header.Delimiter)
		}
		if i := slices.IndexFunc(m.Renamed, func(r RenamedColumn) bool { return r.Field == field }); i >= 0 {
			out = append(out, m.Renamed[i].As...)
		} else {
			out = append(out, cell...)
		}
	}
	return out
}

// RenamedNames lists the renamed columns as "name as new name".
func (m *Mapping) RenamedNames() []string {
	var names []string
	for _, r := range m.Renamed {
		names = append(names, strings.TrimSpace(r.Name)+" as "+r.As)
	}
	return names
}
