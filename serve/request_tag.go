package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
)

// tagged answers with a value that stays as it is for a while, or that the client has it already. Nobody but the client
// may keep it: Cache-Control and Vary of every answer say so.
func (r *request) tagged(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r.taggedBytes(typeJSON, text)
	return nil
}

func (r *request) taggedBytes(mediaType string, body []byte) {
	if !r.unchanged(body) {
		r.bytes(http.StatusOK, mediaType, body)
	}
}

// unchanged tags the answer with a digest of its body, and answers if the client has that body already.
func (r *request) unchanged(body []byte) bool {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	r.set("ETag", tag)
	if !matches(r.header("If-None-Match"), tag) {
		return false
	}
	statusOnly(r, http.StatusNotModified)
	return true
}
