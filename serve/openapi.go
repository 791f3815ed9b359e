package serve

import (
	_ "embed"
	"net/http"
)

// openAPI is openapi.yaml as JSON; a test compares them, and writes it with -update.
//
//go:embed openapi.json
var openAPI []byte

func getOpenAPI(_ *server, r *request) error {
	r.set("Cache-Control", "public, max-age=300")
	r.bytes(http.StatusOK, typeJSON, openAPI)
	return nil
}
