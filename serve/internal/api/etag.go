package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
)

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
