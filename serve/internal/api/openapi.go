package api

import (
	_ "embed"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// openAPI is openapi.yaml as JSON; a test compares them, and writes it with -update.
//
//go:embed openapi.json
var openAPI []byte

func getOpenAPI(s *server, r *request) error {
	file, err := s.assets.get("openapi.json", func() (*asset, error) {
		return &asset{mediaType: fault.TypeJSON, body: openAPI}, nil
	})
	if err != nil {
		return err
	}
	r.set("Cache-Control", "public, max-age=300")
	return r.asset(file)
}
