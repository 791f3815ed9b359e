package admin

import (
	"fmt"
	"net/http"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/store/counts"
)

// modelHealth says over all users whether a model is still right, in the form of the API's answer to each of them.
func (a *Admin) modelHealth(req *http.Request) (any, error) {
	q := counts.Query{Model: req.PathValue("name")}
	query := req.URL.Query()
	if query.Has("dataset") {
		dataset := query.Get("dataset")
		q.Dataset = &dataset
	}
	if err := health.SetSpan(&q, query.Get("from"), query.Get("to"), time.Now()); err != nil {
		return nil, err
	}
	r, err := health.Read(req.Context(), a.Store.Counts, q)
	if err != nil {
		return nil, err
	}
	if len(r.Versions) == 0 && !a.knows(q.Model) {
		return nil, fault.Fail(fault.CodeUnknownModel, fmt.Sprintf("There is no model named '%s'.", fault.Sanitize(q.Model)))
	}
	return r, nil
}

func (a *Admin) knows(model string) bool {
	if a.Models == nil {
		return false
	}
	_, ok := a.Models.Get(model)
	return ok
}
