package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// jsonWithETag answers with a value that stays as it is for a while, or that the client has it already. Nobody but the client
// may keep it: Cache-Control and Vary of every answer say so.
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

// digest distinguishes bodies.
func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:12])
}

// notModified tags the answer, and answers if the client has what is tagged so.
func (r *request) notModified(tag string) bool {
	r.set("ETag", tag)
	if !matchesETag(r.header("If-None-Match"), tag) {
		return false
	}
	statusOnly(r, http.StatusNotModified)
	return true
}
