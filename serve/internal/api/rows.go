package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
)

const (
	rowsPageMax     = 1000
	rowsPageDefault = 100
)

// rowView is a scored row.
type rowView struct {
	Row         int64   `json:"row"`
	CustomerID  *string `json:"customer_id"`
	Probability float32 `json:"churn_probability"`
	Band        string  `json:"risk_band"`
	*rowReasons         // nil without ?explain=true
}

type rowsBody struct {
	Rows       []rowView `json:"rows"`
	NextCursor *string   `json:"next_cursor"`
	Done       bool      `json:"done"` // no more rows will come
}

// getRows answers with a page of a prediction's scored rows, also of finished parts while it runs: in the order of the
// file, or by descending probability.
func getRows(s *server, r *request) error {
	p, err := s.findPrediction(r)
	if err != nil {
		return err
	}
	if err := r.checkGeneration(p); err != nil {
		return err
	}
	if p.ResultsDeletedAt != nil {
		return fault.Fail(fault.CodeResultExpired, "")
	}
	if p.Status == store.Failed { // nothing of its file is a result
		return outcome(p)
	}
	bands, err := s.bandNames(r.ctx, p)
	if err != nil {
		return err
	}
	q, err := r.rowQuery(p.ID, bands)
	if err != nil {
		return err
	}
	explained, err := r.reasonsParam()
	if err != nil {
		return err
	}
	if explained {
		if q.Limit, err = r.limitParam(explainedRowsMax, explainedRowsMax); err != nil {
			return err
		}
	}
	page, err := s.Store.Predictions.Rows(r.ctx, r.user.ID, p.ID, q)
	if errors.Is(err, store.ErrTooManyRows) {
		return fault.Fail(fault.CodeOutOfRange, "This prediction has more than "+fault.GroupedText(store.RowsSortMax)+
			" rows, too many to be sorted here. Sort the downloaded file instead.").
			With(fault.Details{"field": "sort", "limit": store.RowsSortMax, "unit": "rows"}).Because(err)
	}
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	body := rowsBody{Rows: make([]rowView, len(page.Rows)), Done: p.Status.Done()}
	for i, row := range page.Rows {
		body.Rows[i] = rowView{
			Row: row.Row, CustomerID: row.ID, Probability: row.Probability, Band: bandName(bands, row.Band),
		}
	}
	if explained {
		if err := s.explainRows(r, p, body.Rows); err != nil {
			return err
		}
	}
	if page.Next != nil {
		body.NextCursor = Optional(rowCursorText(p.ID, q, *page.Next))
	}
	return s.answerRows(r, p, body)
}

// answerRows answers with a page. Before it allows caching it reads the prediction again: it may have been retried between
// reading the prediction and its rows.
func (s *server) answerRows(r *request, p store.Prediction, body rowsBody) error {
	if !body.Done {
		return r.json(http.StatusOK, body)
	}
	if _, given := r.query["generation"]; given {
		now, err := s.findPrediction(r)
		if err != nil {
			return err
		}
		if err := r.checkGeneration(now); err != nil {
			return err
		}
		if _, err := s.Kept.Pinned(r.ctx, p.Model); err == nil { // else the names of its bands may differ
			s.setResultMaxAge(r, now, time.Now())
		}
	}
	return r.jsonWithETag(body)
}

// bandNames returns the names of the bands of the model that a prediction was accepted with. If that cannot be had they
// are those of the model in use with its name; nil if there is none.
func (s *server) bandNames(ctx context.Context, p store.Prediction) ([]string, error) {
	bundle, err := s.pinned(ctx, p.Model)
	if err != nil {
		return nil, err
	}
	if bundle == nil {
		bundle, _ = s.Models.Get(p.Model.Name)
	}
	return bandNames(bundle), nil
}

// pinned returns the model that a prediction was accepted with; nil if it was not chosen yet, cannot be had, or was
// withdrawn.
func (s *server) pinned(ctx context.Context, m store.Model) (*engine.Bundle, error) {
	if m.SHA256 == "" {
		return nil, nil
	}
	b, err := s.Kept.Pinned(ctx, m)
	var missing *plan.MissingModelError
	if errors.As(err, &missing) || errors.Is(err, plan.ErrModelWithdrawn) {
		return nil, nil
	}
	if err != nil {
		return nil, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return b, nil
}

// bandNames returns the names of a model's bands; nil if there is no model.
func bandNames(b *engine.Bundle) (names []string) {
	if b == nil {
		return nil
	}
	for _, band := range b.Bands() {
		names = append(names, band.Name)
	}
	return names
}

// bandName returns the name of a stored band, or its number if the model is no longer loaded.
func bandName(names []string, band int16) string {
	if int(band) < len(names) && band >= 0 {
		return names[band]
	}
	return strconv.Itoa(int(band))
}

// rowQuery reads ?limit=, ?sort=, ?band= and ?cursor=.
func (r *request) rowQuery(id uuid.UUID, bands []string) (q store.RowQuery, err error) {
	if q.Limit, err = r.limitParam(rowsPageDefault, rowsPageMax); err != nil {
		return q, err
	}
	switch r.query["sort"] {
	case "", "row":
	case "probability":
		q.Order = store.ByProbability
	default:
		return q, fault.Fail(fault.CodeInvalidValue, "'sort' must be row or probability.").
			With(fault.Details{"field": "sort", "expected": []string{"row", "probability"}})
	}
	if name, given := r.query["band"]; given {
		if q.Band = bandNumber(bands, name); q.Band == nil {
			return q, fault.Fail(fault.CodeInvalidValue, "There is no risk band '"+fault.Sanitize(name)+"'. Available: "+fault.ListText(bands)+".").
				With(fault.Details{"field": "band", "expected": bands})
		}
	}
	q.After, err = parseRowCursor(id, q, r.query["cursor"])
	return q, err
}

func bandNumber(names []string, name string) *int16 {
	for i, n := range names {
		if n == name {
			band := int16(i)
			return &band
		}
	}
	return nil
}

// The cursor of a page of rows is a version byte, the order, the band plus one (0: any), the last row, its probability and
// the prediction. It is valid only for the same order, band and prediction.
const (
	rowCursorVersion = 2
	rowCursorBytes   = 4 + 8 + 4 + 16
)

func rowCursorText(id uuid.UUID, q store.RowQuery, c store.RowCursor) string {
	b := append(make([]byte, 0, rowCursorBytes), rowCursorHead(q)...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Row))
	b = binary.BigEndian.AppendUint32(b, math.Float32bits(c.Probability))
	return auth.Base64url.EncodeToString(append(b, id[:]...))
}

func rowCursorHead(q store.RowQuery) []byte {
	band := uint16(0)
	if q.Band != nil {
		band = uint16(*q.Band) + 1
	}
	return []byte{rowCursorVersion, byte(q.Order), byte(band >> 8), byte(band)}
}

func parseRowCursor(id uuid.UUID, q store.RowQuery, text string) (*store.RowCursor, error) {
	if text == "" {
		return nil, nil
	}
	b, err := auth.Base64url.DecodeString(text)
	if err != nil || len(b) != rowCursorBytes ||
		!bytes.Equal(b[:4], rowCursorHead(q)) || !bytes.Equal(b[16:], id[:]) {
		return nil, fault.Fail(fault.CodeInvalidCursor, "").With(fault.Details{"field": "cursor"})
	}
	c := &store.RowCursor{
		Row:         int64(binary.BigEndian.Uint64(b[4:])),
		Probability: math.Float32frombits(binary.BigEndian.Uint32(b[12:])),
	}
	if c.Row < 0 || c.Row > math.MaxInt32 || math.IsNaN(float64(c.Probability)) {
		return nil, fault.Fail(fault.CodeInvalidCursor, "").With(fault.Details{"field": "cursor"})
	}
	return c, nil
}
