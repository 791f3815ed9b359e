package api

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
)

// prediction is the resource that customers see, in the same form in answers, lists (without the summary) and events. It
// contains no user and no object key.
type prediction struct {
	ID            string             `json:"id"` // the same as PredictionID
	PredictionID  string             `json:"prediction_id"`
	UploadID      int64              `json:"upload_id"`
	Filename      string             `json:"filename"`
	Status        store.Status       `json:"status"`
	UploadStatus  string             `json:"upload_status"`
	Done          bool               `json:"done"`
	Stage         *string            `json:"stage"`
	StatusReason  *string            `json:"status_reason"`
	Model         *string            `json:"model"`
	ModelVersion  *string            `json:"model_version"`
	ModelSHA256   *string            `json:"model_sha256"`
	EngineVersion *string            `json:"engine_version"`
	Dataset       string             `json:"dataset"`
	DuplicateOf   *string            `json:"possible_duplicate_of"`
	Source        predictionSource   `json:"source"`
	RowCount      *int64             `json:"row_count"`
	RowsProcessed int64              `json:"rows_processed"` // scored or rejected
	Rows          predictionRows     `json:"rows"`
	Progress      predictionProgress `json:"progress"`
	Warnings      []warning          `json:"warnings"`
	Summary       json.RawMessage    `json:"summary,omitempty"` // null until there is one; not in lists
	Error         *fault.ErrorObject `json:"error"`
	CreatedAt     string             `json:"created_at"`
	StartedAt     *string            `json:"started_at"`
	FirstResultAt *string            `json:"first_result_at"`
	FinishedAt    *string            `json:"finished_at"`
	ExpiresAt     *string            `json:"expires_at"`
	Links         *predictionLinks   `json:"links"`
}

type predictionSource struct {
	Bytes  int64   `json:"bytes"`
	SHA256 *string `json:"sha256"`
}

// predictionRows always add up to the row count; all three are 0 until it is known.
type predictionRows struct {
	Scored      int64 `json:"scored"`
	Rejected    int64 `json:"rejected"`
	Unprocessed int64 `json:"unprocessed"`
}

type predictionProgress struct {
	Percent       float64  `json:"percent"`
	RowsPerSecond *float64 `json:"rows_per_second"`
	ETASeconds    *float64 `json:"eta_seconds"`
	QueuePosition *int     `json:"queue_position"` // predictions ahead; only in the answer about one prediction
}

type warning struct {
	Code    string `json:"code"`
	Count   int64  `json:"count"`
	Column  string `json:"column"`
	Message string `json:"message"`
}

type predictionLinks struct {
	Self     string `json:"self"`
	Rows     string `json:"rows"`
	Events   string `json:"events"`
	Download string `json:"download"`
	Rejects  string `json:"rejects"`
	Cancel   string `json:"cancel"`
}

// links returns the URLs of a prediction; query is that of its results, see [generationQuery].
func (s *server) links(id uuid.UUID, query string) *predictionLinks {
	self := s.PublicURL + "/predictions/" + id.String()
	return &predictionLinks{
		Self: self, Rows: self + "/rows" + query, Events: self + "/events", Download: self + "/download" + query,
		Rejects: self + "/rejects" + query, Cancel: self + "/cancel",
	}
}

// resource returns the customer's view of a prediction; now is for its ETA.
func (s *server) resource(p store.Prediction, now time.Time) *prediction {
	view := &prediction{
		ID: p.ID.String(), PredictionID: p.ID.String(), UploadID: p.UploadNumber, Filename: p.Filename,
		Status: p.Status, UploadStatus: uploadStatus(p.Status), Done: p.Status.Done(), Stage: stage(p), StatusReason: Optional(p.StatusReason),
		Model: Optional(p.Model.Name), ModelVersion: Optional(p.Model.Version), ModelSHA256: Optional(p.Model.SHA256),
		EngineVersion: Optional(p.Model.Engine), Dataset: p.Dataset,
		DuplicateOf: idText(p.PossibleDuplicateOf),
		Source:      predictionSource{Bytes: p.Bytes, SHA256: Optional(hex.EncodeToString(p.SHA256))},
		RowCount:    p.RowCount, RowsProcessed: p.Scored + p.Rejected, Rows: rowsOf(p), Progress: progressOf(p, now), Warnings: warnings(p.Warnings),
		Summary: p.Summary, CreatedAt: wire.TimeText(p.CreatedAt), StartedAt: timeTextOf(p.StartedAt),
		FirstResultAt: timeTextOf(p.FirstResultAt), FinishedAt: timeTextOf(p.FinishedAt), Links: s.links(p.ID, generationQuery(p)),
	}
	view.ExpiresAt = s.expiry(p)
	if view.Summary == nil {
		view.Summary = json.RawMessage("null")
	}
	if f := outcome(p); f != nil {
		object := s.pages.Object(f)
		view.Error = &object
	}
	return view
}

// uploadStatus maps the status of a prediction to the four statuses of uploads.
func uploadStatus(s store.Status) string {
	switch s {
	case store.Queued:
		return "pending"
	case store.Running:
		return "processing"
	case store.Completed:
		return "completed"
	}
	return "failed"
}

// expiry returns when the results will be deleted, or were; nil if they are kept forever.
func (s *server) expiry(p store.Prediction) *string {
	if p.ResultsDeletedAt != nil || p.FinishedAt == nil || s.Retain == 0 {
		return timeTextOf(p.ResultsDeletedAt)
	}
	return Optional(wire.TimeText(p.FinishedAt.Add(s.Retain)))
}

// Optional returns nil for an empty text, which is null in JSON.
func Optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func idText(id *uuid.UUID) *string {
	if id == nil {
		return nil
	}
	return Optional(id.String())
}

func stage(p store.Prediction) *string {
	switch {
	case p.Status != store.Running:
		return nil
	case p.RowCount == nil:
		return Optional("reading")
	case p.PartsDone == p.PartsTotal:
		return Optional("finalizing")
	}
	return Optional("scoring")
}

func rowsOf(p store.Prediction) predictionRows {
	rows := predictionRows{Scored: p.Scored, Rejected: p.Rejected}
	if p.RowCount != nil {
		rows.Unprocessed = *p.RowCount - p.Scored - p.Rejected
	}
	return rows
}

// progressOf returns the progress of a prediction. The speed is that of the committed rows up to the last commit; it is
// unknown before the first commit. Between two commits the ETA counts down; once it is over it is unknown.
func progressOf(p store.Prediction, now time.Time) (progress predictionProgress) {
	done := p.Scored + p.Rejected
	if p.RowCount != nil && *p.RowCount > 0 {
		progress.Percent = math.Round(1000*float64(done)/float64(*p.RowCount)) / 10
	}
	end := p.FinishedAt
	if end == nil {
		end = p.ProgressedAt
	}
	if p.StartedAt == nil || end == nil || done == 0 || !end.After(*p.StartedAt) {
		return progress
	}
	speed := float64(done) / end.Sub(*p.StartedAt).Seconds()
	rounded := math.Round(speed)
	progress.RowsPerSecond = &rounded
	if !p.Status.Done() && p.RowCount != nil {
		rest := *p.RowCount - done
		left := float64(rest)/speed - now.Sub(*end).Seconds()
		if rest == 0 {
			left = 0 // the last step is short
		}
		progress.ETASeconds = secondsLeft(left)
	}
	return progress
}

// secondsLeft rounds to milliseconds; nil if there are none.
func secondsLeft(seconds float64) *float64 {
	if seconds < 0 {
		return nil
	}
	seconds = math.Round(1000*seconds) / 1000
	return &seconds
}

// etaOfQueued returns the ETA in seconds of a queued prediction: the rows before it in the fair order and its own, at the
// recent speed. It is nil while any of these is unknown.
func etaOfQueued(p store.Prediction, ahead store.Ahead) *float64 {
	if p.RowCount == nil || ahead.Uncounted > 0 || ahead.RowsPerSecond <= 0 {
		return nil
	}
	rest := *p.RowCount - p.Scored - p.Rejected
	return secondsLeft(float64(ahead.Rows+rest) / ahead.RowsPerSecond)
}

// warnings decodes the list of [engine.ReasonCount] that the worker has stored.
func warnings(kept json.RawMessage) []warning {
	var counts []engine.ReasonCount
	if len(kept) == 0 || json.Unmarshal(kept, &counts) != nil {
		return []warning{}
	}
	return warningsOf(counts)
}

// warningsOf converts counts of warnings to their view with the code's message.
func warningsOf(counts []engine.ReasonCount) []warning {
	list := []warning{}
	for _, c := range counts {
		code, _ := fault.ParseCode(c.Code)
		list = append(list, warning{Code: c.Code, Count: c.Count, Column: c.Column, Message: code.Message()})
	}
	return list
}

// outcome returns the error that a prediction ended with, or nil.
func outcome(p store.Prediction) *fault.Failure {
	if p.Status != store.Failed && p.Status != store.Dead {
		return nil
	}
	f := fault.Fail(fault.CodePredictionFailed, "")
	f.Status = 409
	if p.Error == nil {
		return f
	}
	d := fault.Details{}
	if json.Unmarshal(p.Error.Details, &d) != nil || d == nil {
		d = fault.Details{}
	}
	if p.Error.Stage != "" {
		d["stage"], d["chunk"] = p.Error.Stage, p.Error.Chunk
	}
	f.Details = d
	if code, ok := fault.ParseCode(p.Error.Code); ok {
		f.Code, f.Message = code, p.Error.Message
	}
	if f.Code == fault.CodeGone { // permanent, unlike a conflict
		f.Status = f.Code.Status()
	}
	return f
}

func timeTextOf(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return Optional(wire.TimeText(*t))
}
