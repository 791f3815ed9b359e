package serve

import (
	"errors"
	"io"
	"net/http"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// findingsMax is how many rejected rows are listed; the others are counted.
const findingsMax = 100

// validation is what scoring a file would meet.
type validation struct {
	Valid         bool      `json:"valid"` // no row would be rejected
	Model         string    `json:"model"`
	ModelVersion  string    `json:"model_version"`
	RowCount      int64     `json:"row_count"`
	Accepted      int64     `json:"accepted"`
	Rejected      int64     `json:"rejected"`
	Errors        []finding `json:"errors"`
	ErrorsOmitted int64     `json:"errors_omitted"`
	Warnings      []warning `json:"warnings"`
}

// finding is a row that would be rejected.
type finding struct {
	Row     int64  `json:"row"`
	Line    int64  `json:"line"`
	Code    string `json:"code"`
	Column  string `json:"column"`
	Message string `json:"message"`
}

// postValidate reads a file as an upload would and says what is wrong with it, row by row; it keeps and scores nothing.
// What refuses a file as a whole is answered as an upload would answer it.
func postValidate(s *server, r *request) error {
	leave, err := enter(r.ctx, s.uploads, "Too many files are being uploaded at the moment.")
	if err != nil {
		return err
	}
	defer leave()
	file, err := r.openFile(s.UploadBytesMax)
	if err != nil {
		return err
	}
	v, err := s.validate(r, file)
	if err == nil {
		err = file.finish()
	}
	if err != nil {
		if broken := file.body.failed(); broken != nil {
			err = broken
		}
		return err
	}
	return r.json(http.StatusOK, v)
}

func (s *server) validate(r *request, file *uploadFile) (*validation, error) {
	text, err := ingest.Unpack(file, s.UploadLimits)
	if err != nil {
		return nil, err
	}
	header, rows, err := ingest.ReadHeader(text, s.UploadLimits)
	if err != nil {
		return nil, err
	}
	bundle, err := s.chooseModel(r, file, header)
	if err != nil {
		return nil, err
	}
	mapping, err := ingest.Map(bundle.Schema(), header)
	if err != nil {
		return nil, err
	}
	v := &validation{Model: bundle.Name(), ModelVersion: bundle.Version(), Errors: []finding{}}
	chunker := ingest.NewChunker(rows, header.Start(), s.UploadLimits)
	counts, err := v.read(chunker, ingest.NewConverter(mapping, s.UploadLimits))
	if err != nil {
		return nil, err
	}
	v.Valid = v.Rejected == 0
	v.Accepted = v.RowCount - v.Rejected
	v.ErrorsOmitted = v.Rejected - int64(len(v.Errors))
	v.Warnings = warningsOf(counts)
	return v, nil
}

// read converts chunk by chunk and notes what would be rejected and remarked upon.
func (v *validation) read(chunker *ingest.Chunker, converter *ingest.Converter) ([]engine.ReasonCount, error) {
	var buf []byte
	var counts []engine.ReasonCount
	for {
		chunk, err := chunker.Next(buf)
		if errors.Is(err, io.EOF) {
			if v.RowCount == 0 {
				return nil, ingest.ErrEmpty
			}
			return counts, nil
		}
		if err != nil {
			return nil, err
		}
		buf = chunk.Bytes[:0]
		batch, err := converter.Convert(chunk)
		if err != nil {
			return nil, err
		}
		v.RowCount += chunk.Rows
		v.Rejected += int64(len(batch.Rejects))
		for _, reject := range batch.Rejects[:min(len(batch.Rejects), findingsMax-len(v.Errors))] {
			v.Errors = append(v.Errors, finding{
				Row: reject.Row, Line: reject.Line, Code: reject.Reason.Code(), Column: shown(reject.Column),
				Message: reject.Sentence(),
			})
		}
		counts = countWarnings(counts, batch.Warnings)
	}
}

// countWarnings adds a batch's warnings to those before it.
func countWarnings(counts []engine.ReasonCount, more []ingest.WarningCount) []engine.ReasonCount {
next:
	for _, w := range more {
		for i := range counts {
			if c := &counts[i]; c.Code == w.Reason.Code() && c.Column == w.Column {
				c.Count += w.Count
				continue next
			}
		}
		counts = append(counts, engine.ReasonCount{Code: w.Reason.Code(), Column: w.Column, Count: w.Count})
	}
	return counts
}
