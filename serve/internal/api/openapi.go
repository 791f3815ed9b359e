package api

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// openAPI is the OpenAPI document as it is maintained.
//
//go:embed openapi.yaml
var openAPI []byte

func getOpenAPI(s *server, r *request) error {
	file, err := s.assets.get("openapi.json", func() (*asset, error) {
		text, err := openAPIJSON()
		return &asset{mediaType: fault.TypeJSON, body: text}, err
	})
	if err != nil {
		return err
	}
	r.set("Cache-Control", "public, max-age=300")
	return r.asset(file)
}

// openAPIJSON converts the document to JSON, as it is served, with its merge keys resolved.
func openAPIJSON() ([]byte, error) {
	var doc any
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		return nil, fmt.Errorf("read API document: %w", err)
	}
	text, err := json.Marshal(doc)
	return append(text, '\n'), err
}
