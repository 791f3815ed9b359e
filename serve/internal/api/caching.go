package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
)

// Values of Cache-Control. Vary names Authorization on every answer, so that no cache gives one user's to another.
const (
	// cacheRevalidate lets a client store an answer but not use it without revalidation, mostly by its ETag.
	cacheRevalidate = "private, no-cache"
	// cacheAccount lets a client use the account's settings for half a minute.
	cacheAccount = "private, max-age=30"
)

// resultMaxAge is how long a client may use finished results without revalidation: they never change, but a deleted
// prediction should not be read from a cache for much longer.
const resultMaxAge = 24 * time.Hour

// finished reports whether the results of a prediction are complete and available. They do not change until they expire or
// the prediction is retried as another generation.
func finished(p store.Prediction) bool { return notReady(p, p.ResultKey) == nil }

// generationQuery returns the query of links to finished results, which names their generation: the URL is then of these
// results only, and can be cached.
func generationQuery(p store.Prediction) string {
	if !finished(p) {
		return ""
	}
	return "?generation=" + strconv.Itoa(p.Generation)
}

// checkGeneration returns an error if ?generation= is not the prediction's current generation.
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

// setResultMaxAge lets the client cache an answer with finished results, if its URL names their generation, for at most
// resultMaxAge and not beyond the time at which they expire.
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

// jsonWithETag answers with a value as JSON and an ETag, or 304 if the client has it already.
func (r *request) jsonWithETag(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !r.notModified(formETag(digest(text), r.codingOf(len(text)))) {
		r.bytes(http.StatusOK, fault.TypeJSON, text)
	}
	return nil
}

// digest returns a short hash of a body for its ETag.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:12])
}

// notModified sets the ETag of the answer. If the client has that version it answers 304 and returns true.
func (r *request) notModified(tag string) bool {
	r.set("ETag", tag)
	if !matchesETag(r.header("If-None-Match"), tag) {
		return false
	}
	statusOnly(r, http.StatusNotModified)
	return true
}

// matchesETag reports whether an If-None-Match header names a tag, by the weak comparison.
func matchesETag(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}
