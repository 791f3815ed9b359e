package api

import (
	"cmp"
	"net/http"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
)

// findingsMax is how many rejected rows are listed; further ones are only counted.
const findingsMax = 100

// validation is the answer of POST /validate: what scoring the file would report.
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
	NotUsed       []string  `json:"columns_not_used"` // the model does not read them
	// Remarks are the warnings in sentences, as a prediction's summary has them.
	Remarks []engine.Remark `json:"remarks"`
	// Quality is what the columns hold, as a prediction's summary has it.
	Quality engine.Quality `json:"quality"`
}

// finding is a row that would be rejected.
type finding struct {
	Row     int64  `json:"row"`
	Line    int64  `json:"line"`
	Code    string `json:"code"`
	Column  string `json:"column"`
	Message string `json:"message"` // of all reasons
	// Reasons are all reasons of a row that has several.
	Reasons []reason `json:"reasons,omitempty"`
}

// reason is one of several for which a row would be rejected.
type reason struct {
	Code    string `json:"code"`
	Column  string `json:"column"`
	Message string `json:"message"`
}

// postValidate checks a file as an upload would and lists the rows that would be rejected. It stores and scores nothing. An
// error of the whole file is answered as by an upload.
func postValidate(s *server, r *request) error {
	file, err := r.openFile(s.UploadBytesMax)
	if err != nil {
		return err
	}
	leave, err := r.work(file.body, s.places.Scores)
	if err != nil {
		return err
	}
	defer leave()
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
	v := &validation{Model: bundle.Name(), ModelVersion: bundle.Version(), Errors: []finding{}}
	in := engine.Input{Body: rows, Header: header, Start: header.Start(), Limits: s.UploadLimits}
	check, err := r.columnCheckParam()
	if err != nil {
		return nil, err
	}
	check = cmp.Or(check, engine.ColumnCheckFail)
	style, err := r.numberParams()
	if err == nil {
		err = in.DecideNumbers(bundle, style)
	}
	if err == nil {
		err = in.CheckColumns(bundle, check)
	}
	if err != nil {
		return nil, err
	}
	tally, err := engine.Validate(r.ctx, in, bundle, v.note)
	if err == nil {
		err = tally.CheckColumns(check)
	}
	if err != nil {
		return nil, err
	}
	tally.ColumnCheck = check
	v.Valid = tally.Rejected == 0
	v.RowCount, v.Accepted, v.Rejected = tally.Rows, tally.Scored, tally.Rejected
	v.ErrorsOmitted = v.Rejected - int64(len(v.Errors))
	v.Warnings = warningsOf(tally.Warnings)
	v.NotUsed = fault.SanitizeAll(tally.NotUsed)
	summary := tally.Summary()
	v.Quality, v.Remarks = summary.Quality, summary.Remarks
	return v, nil
}

// note lists a rejected row, up to findingsMax.
func (v *validation) note(_ ingest.Chunk, reject ingest.Reject) {
	if len(v.Errors) < findingsMax {
		v.Errors = append(v.Errors, newFinding(reject))
	}
}

func newFinding(reject ingest.Reject) finding {
	f := finding{
		Row: reject.Row, Line: reject.Line, Code: reject.Reason.Code(), Column: fault.Sanitize(reject.Column),
		Message: reject.Sentence(),
	}
	if len(reject.More) > 0 {
		for _, c := range reject.Causes() {
			f.Reasons = append(f.Reasons, reason{c.Reason.Code(), fault.Sanitize(c.Column), c.Sentence()})
		}
	}
	return f
}
