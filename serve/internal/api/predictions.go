package api

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
)

const (
	// ListMax is the largest page of predictions or dead letters, and the default.
	ListMax = 100
	skipMax = 10_000
)

type predictionPage struct {
	Predictions []*prediction `json:"predictions"`
	NextCursor  *string       `json:"next_cursor"`
}

// listPredictions answers with a page of the user's predictions, newest first, without their summaries.
func listPredictions(s *server, r *request) error {
	q, err := r.listQuery()
	if err != nil {
		return err
	}
	limit := q.Limit
	q.Limit++ // one more, to find out whether there is another page
	list, err := s.Store.Predictions.List(r.ctx, r.user.ID, q)
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	page := predictionPage{Predictions: []*prediction{}}
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = Optional(CursorText(list[limit-1].Cursor()))
	}
	now := time.Now()
	for _, p := range list {
		view := s.resource(p, now)
		view.Summary = nil
		page.Predictions = append(page.Predictions, view)
	}
	return r.json(http.StatusOK, page)
}

// listQuery reads ?limit=, ?cursor= and ?skip=.
func (r *request) listQuery() (q store.ListQuery, err error) {
	if q.Limit, err = r.limitParam(ListMax, ListMax); err != nil {
		return q, err
	}
	if q.After, err = ParseCursor(r.query["cursor"]); err != nil {
		return q, err
	}
	q.Skip, err = r.skipParam()
	return q, err
}

// skipParam reads ?skip=. Over skipMax, or together with a cursor, it is an error.
func (r *request) skipParam() (int, error) {
	skip, err := r.wholeParam("skip", 0)
	switch {
	case err != nil:
		return 0, err
	case skip < 0 || skip > skipMax:
		f := outOfRange("skip", 0, skipMax)
		f.Message += " To read further, pass next_cursor of each page as 'cursor' to get the next one."
		return 0, f
	case r.query["skip"] != "" && r.query["cursor"] != "":
		return 0, fault.Fail(fault.CodeInvalidValue, "Give either 'skip' or 'cursor': a cursor knows its place.").
			With(fault.Details{"field": "skip"})
	}
	return skip, nil
}

// limitParam reads ?limit=.
func (r *request) limitParam(standard, most int) (int, error) {
	n, err := r.wholeParam("limit", standard)
	if err == nil && (n < 1 || n > most) {
		err = outOfRange("limit", 1, most)
	}
	return n, err
}

// wholeParam reads a parameter that is a whole number.
func (r *request) wholeParam(name string, standard int) (int, error) {
	text := r.query[name]
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fault.Fail(fault.CodeInvalidValue, "'"+name+"' must be a whole number.").With(fault.Details{"field": name})
	}
	return n, nil
}

// A cursor is a version byte, the time in microseconds and the id. It is opaque to customers.
const (
	cursorVersion = 1
	cursorBytes   = 17
)

// CursorText encodes a cursor for an answer.
func CursorText(c *store.Cursor) string {
	b := make([]byte, 1, cursorBytes)
	b[0] = cursorVersion
	b = binary.BigEndian.AppendUint64(b, uint64(c.CreatedAt.UnixMicro()))
	return auth.Base64url.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(c.ID)))
}

// ParseCursor decodes a cursor of [CursorText]; nil for an empty text.
func ParseCursor(text string) (*store.Cursor, error) {
	if text == "" {
		return nil, nil
	}
	b, err := auth.Base64url.DecodeString(text)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion {
		return nil, fault.Fail(fault.CodeInvalidCursor, "").With(fault.Details{"field": "cursor"})
	}
	at, id := int64(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint64(b[9:]))
	c := &store.Cursor{CreatedAt: time.UnixMicro(at), ID: id}
	if year := c.CreatedAt.Year(); id < 0 || year < 2000 || year > 9999 {
		return nil, fault.Fail(fault.CodeInvalidCursor, "").With(fault.Details{"field": "cursor"})
	}
	return c, nil
}

// findPrediction returns the prediction of the path, if it is the user's.
func (s *server) findPrediction(r *request) (store.Prediction, error) {
	id, err := r.predictionID()
	if err != nil {
		return store.Prediction{}, err
	}
	p, err := s.Store.Predictions.Get(r.ctx, r.user.ID, id)
	if err != nil {
		return store.Prediction{}, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return p, nil
}

// getPrediction answers with one prediction, and while it is queued with its position and ETA.
func getPrediction(s *server, r *request) error {
	p, err := s.findPrediction(r)
	if err != nil {
		return err
	}
	view := s.resource(p, time.Now())
	if p.Status == store.Queued {
		ahead, err := s.Store.Predictions.Ahead(r.ctx, p)
		if err != nil {
			return storefault.ExplainAs(fault.CodeDatabase, err)
		}
		view.Progress.QueuePosition, view.Progress.ETASeconds = &ahead.Predictions, etaOfQueued(p, ahead)
		if view.StatusReason == nil {
			view.StatusReason = Optional(queuePositionText(ahead.Predictions))
		}
	}
	if !p.Status.Done() {
		r.set("Retry-After", "1")
		return r.json(http.StatusOK, view)
	}
	return r.jsonWithETag(view)
}

// queuePositionText is the status_reason of a queued prediction.
func queuePositionText(n int) string {
	return fmt.Sprintf("%d %s ahead", n, fault.Plural(n, "prediction", "predictions"))
}

// cancelPrediction stops a prediction. Cancelling it again changes nothing and is no error.
func cancelPrediction(s *server, r *request) error {
	id, err := r.predictionID()
	if err != nil {
		return err
	}
	p, err := s.Store.Predictions.Cancel(r.ctx, r.user.ID, id)
	if err != nil {
		f := storefault.ExplainAs(fault.CodeDatabase, err)
		if f.Code == fault.CodeWrongState {
			f = fault.Fail(fault.CodeWrongState, "This prediction is finished, so it cannot be cancelled.").Because(err)
		}
		return f
	}
	return r.json(http.StatusOK, s.resource(p, time.Now()))
}
