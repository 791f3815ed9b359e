package admin

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
)

// retryBatch bounds the dead letters that one request retries, each in a transaction.
const retryBatch = 50

// retriedPage is a page of retried dead letters, latest first. Dead letters that fail again are listed before them, so a
// client that follows the cursor retries none twice.
type retriedPage struct {
	DryRun     bool         `json:"dry_run"`
	Retried    []deadLetter `json:"retried"` // as they were before; with dry_run, those that would be
	Skipped    int          `json:"skipped"` // retried by another request, deleted or expired meanwhile
	NextCursor *string      `json:"next_cursor"`
}

// retryMany retries dead letters from scratch: ?all=true, or those with a ?code= or ?since= a time.
func (a *Admin) retryMany(req *http.Request) (any, error) {
	filter, err := deadFilterParams(req)
	if err != nil {
		return nil, err
	}
	dry := false
	if text := req.FormValue("dry_run"); text != "" {
		if dry, err = strconv.ParseBool(text); err != nil {
			return nil, fault.Fail(fault.CodeInvalidValue, "'dry_run' must be true or false.").With(fault.Details{"field": "dry_run"})
		}
	}
	after, err := api.ParseCursor(req.FormValue("cursor"))
	if err != nil {
		return nil, err
	}
	list, err := a.Store.Upkeep.DeadLetters(req.Context(), filter, after, retryBatch+1)
	if err != nil {
		return nil, err
	}
	page := retriedPage{DryRun: dry, Retried: []deadLetter{}}
	if len(list) > retryBatch {
		list = list[:retryBatch]
		page.NextCursor = api.Optional(api.CursorText(list[retryBatch-1].Cursor()))
	}
	for _, d := range list {
		if !dry {
			err = a.Store.Upkeep.Retry(req.Context(), d.ID, store.Model{})
		}
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			page.Skipped++
			continue
		}
		if err != nil {
			return nil, err
		}
		page.Retried = append(page.Retried, newDeadLetter(d))
	}
	if !dry {
		a.Log.Info("dead letters retried", "code", filter.Code, "retried", len(page.Retried), "skipped", page.Skipped)
	}
	return page, nil
}

// deadFilterParams reads the filter of dead letters. Without a code or a time it requires all=true.
func deadFilterParams(req *http.Request) (f store.DeadFilter, err error) {
	f.Code = req.FormValue("code")
	if text := req.FormValue("since"); text != "" {
		if f.Since, err = time.Parse(time.RFC3339, text); err != nil {
			return f, fault.Fail(fault.CodeInvalidValue, "'since' must be a time such as 2026-03-31T12:00:00Z.").
				With(fault.Details{"field": "since"})
		}
	}
	if f == (store.DeadFilter{}) && req.FormValue("all") != "true" {
		return f, fault.Fail(fault.CodeInvalidValue, "Say which: all=true, a code or since when.").With(fault.Details{"field": "all"})
	}
	return f, nil
}
