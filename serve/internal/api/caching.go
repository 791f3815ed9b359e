package api

import (
	"fmt"
	"strconv"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
)

// Values of Cache-Control. Vary names Authorization on every answer, so that no cache gives one user's to another.
const (
	// cacheRevalidate lets a client keep an answer but not use it without asking: most have an ETag to ask with.
	cacheRevalidate = "private, no-cache"
	// cacheAccount is how long a user's own settings may be taken for current.
	cacheAccount = "private, max-age=30"
)

// resultMaxAge is how long a client may use finished results without asking: they never change, but a prediction that is
// deleted should not be read much longer from a cache either.
const resultMaxAge = 24 * time.Hour

// finished says whether the results of a prediction are complete and there. They are then the same for ever, until they
// expire or another generation takes their place.
func finished(p store.Prediction) bool { return notReady(p, p.ResultKey) == nil }

// generationQuery names the generation of finished results in a link, so that the address is of these alone.
func generationQuery(p store.Prediction) string {
	if !finished(p) {
		return ""
	}
	return "?generation=" + strconv.Itoa(p.Generation)
}

// checkGeneration wants the results of the generation that is asked for, if one is.
func (r *request) checkGeneration(p store.Prediction) error {
	text, given := r.query["generation"]
	if !given {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	switch {
	case err != nil || n == 0 || strconv.FormatUint(n, 10) != text:
		return fault.Fail(fault.CodeInvalidValue, "'generation' must be a whole number, 1 or more.").
			With(fault.Details{"field": "generation"})
	case int(n) > p.Generation:
		return fault.Fail(fault.CodePredictionNotFound, fmt.Sprintf("This prediction has no generation %d.", n)).
			With(fault.Details{"field": "generation", "limit": p.Generation})
	case int(n) < p.Generation:
		return fault.Fail(fault.CodeResultExpired, "These results were replaced when the prediction was scored again. "+
			"Ask for the prediction: its links are those of the new results.").
			With(fault.Details{"field": "generation", "expected": p.Generation})
	}
	return nil
}

// setResultMaxAge lets the client keep an answer made of finished results, if its address names their generation, and
// never beyond the time at which they expire.
func (s *server) setResultMaxAge(r *request, p store.Prediction, now time.Time) {
	if _, given := r.query["generation"]; !given || !finished(p) {
		return
	}
	keep := resultMaxAge
	if s.Retain > 0 && p.FinishedAt != nil {
		keep = min(keep, p.FinishedAt.Add(s.Retain).Sub(now))
	}
	if seconds := int(keep / time.Second); seconds > 0 {
		r.set("Cache-Control", fmt.Sprintf("private, max-age=%d, immutable", seconds))
	}
}
