package api

import (
	"errors"
	"io"
	"strconv"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/wire"
)

// scoreHead is the part of a JSON answer before the rows.
type scoreHead struct {
	Model         string         `json:"model"`
	ModelVersion  string         `json:"model_version"`
	ModelSHA256   string         `json:"model_sha256"`
	EngineVersion string         `json:"engine_version"`
	RowCount      int64          `json:"row_count"`
	Scored        int64          `json:"scored"`
	Rejected      int64          `json:"rejected"`
	Warnings      []warning      `json:"warnings"`
	Summary       engine.Summary `json:"summary"`
}

func (o *scored) head() scoreHead {
	return scoreHead{
		Model: o.bundle.Name(), ModelVersion: o.bundle.Version(), ModelSHA256: o.bundle.SHA256(),
		EngineVersion: engine.Version, RowCount: o.tally.Rows, Scored: o.tally.Scored, Rejected: o.tally.Rejected,
		Warnings: warningsOf(o.tally.Warnings), Summary: o.tally.Summary(),
	}
}

// answerScore answers with the scored rows as CSV, or in another format with all rows.
func (s *server) answerScore(r *request, o *scored, format string) error {
	for _, c := range o.tally.Rejects {
		s.Metrics.Rejected(c.Code, c.Count)
	}
	r.set("X-Row-Count", strconv.FormatInt(o.tally.Scored, 10))
	r.set("X-Rejected-Count", strconv.FormatInt(o.tally.Rejected, 10))
	r.set("X-Model", o.bundle.Name()+" "+o.bundle.Version())
	r.rc.SetContentType(mediaTypes[format])
	answer := o.result
	if format == wire.FormatCSV {
		r.setGuardHeader(o.unguarded)
	} else {
		defer o.close()
		answer = r.newSpool() // the result's blocks return to the pool as they are read
		if err := o.convert(answer, format); err != nil {
			_ = answer.Close()
			return err
		}
	}
	_ = o.rejects.Close()
	if coding := r.codingOf(int(answer.Size)); coding != "" {
		packed := r.newSpool()
		if err := s.compressSpool(packed, answer, coding); err != nil {
			return err
		}
		r.set("Content-Encoding", coding)
		answer = packed
	}
	r.rc.SetBodyStream(answer, int(answer.Size)) // closes it
	return nil
}

// compressSpool compresses one spool into another, whose length is then known, and closes the first.
func (s *server) compressSpool(packed, plain *wire.Spool, coding string) error {
	err := s.compressors.Compress(packed, plain, coding)
	_ = plain.Close()
	if err != nil {
		_ = packed.Close()
	}
	return err
}

// convert writes every row in the order of the input: scored rows with their scores, rejected rows with their reasons.
func (o *scored) convert(w io.Writer, format string) error {
	results, columns, err := wire.StoredTable{Text: o.result, Own: wire.ResultColumns, Guarded: !o.unguarded}.Open()
	if err != nil {
		return err
	}
	rejects, _, err := wire.StoredTable{Text: o.rejects, Own: wire.RejectColumns, Guarded: !o.unguarded}.Open()
	if err != nil {
		return err
	}
	m := merger{results: results, rejects: rejects, theirs: len(columns) - len(wire.ResultColumns)}
	all := append([]wire.TableColumn{wire.RejectColumns[0]}, columns...)
	all = append(all, wire.RejectColumns[1:]...)
	m.cells = make([][]byte, len(all))
	table := wire.NewTableWriter
	if format == wire.FormatJSON {
		head, err := wire.CompactJSON(o.head())
		if err != nil {
			return err
		}
		table = func(w io.Writer, _ string, columns []wire.TableColumn) wire.TableWriter {
			return wire.NewJSONTable(w, columns, head+`,"rows":[`, ",", "]}")
		}
	}
	return m.write(table(w, format, all))
}

// merger puts scored and rejected rows back into the order of the input.
type merger struct {
	results, rejects *ingest.Rows
	theirs           int      // number of the customer's columns
	cells            [][]byte // _row, the customer's columns, scores, _line and the other columns of rejects
	number           []byte
}

func (m *merger) write(table wire.TableWriter) error {
	refused, err := nextRow(m.rejects)
	if err != nil {
		return err
	}
	for row := int64(1); ; row++ {
		m.number = strconv.AppendInt(m.number[:0], row, 10)
		clear(m.cells)
		m.cells[0] = m.number
		if refused != nil && string(refused[m.theirs]) == string(m.number) {
			copy(m.cells[1:], refused[:m.theirs])
			copy(m.cells[1+m.theirs+len(wire.ResultColumns):], refused[m.theirs+1:])
			if err := table.Write(m.cells); err != nil {
				return err
			}
			if refused, err = nextRow(m.rejects); err != nil {
				return err
			}
			continue
		}
		scored, err := nextRow(m.results)
		if err != nil {
			return err
		}
		if scored == nil {
			return table.Close()
		}
		copy(m.cells[1:], scored)
		if err := table.Write(m.cells); err != nil {
			return err
		}
	}
}

// nextRow returns the next row; nil at the end.
func nextRow(rows *ingest.Rows) ([][]byte, error) {
	cells, err := rows.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return cells, err
}
