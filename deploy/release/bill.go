package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const pagesFolder = "serve/internal/api/docs"

// page is an npm package whose files are embedded into the program.
type page struct {
	name, version, licence string
	licences               []string // files in pagesFolder
}

var pageRow = regexp.MustCompile(`(?m)^\| [^|]+ \| ([a-z-]+) ([0-9.]+) \| ([A-Za-z0-9.-]+) \(([^)]+)\) \|$`)

// embeddedPages reads which versions are embedded from the page that says where they come from.
func embeddedPages(root string) ([]page, error) {
	text, err := os.ReadFile(filepath.Join(root, pagesFolder, "README.md"))
	if err != nil {
		return nil, err
	}
	var pages []page
	for _, row := range pageRow.FindAllStringSubmatch(string(text), -1) {
		pages = append(pages, page{row[1], row[2], row[3], strings.Split(row[4], ", ")})
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("%s names no package", pagesFolder)
	}
	return pages, nil
}

// writeBill writes the bill of materials in CycloneDX: the modules that the toolchain recorded in the program, and what is
// embedded besides.
func (r release) writeBill(ctx context.Context, tools, out, source string) error {
	pages, err := embeddedPages(source)
	if err != nil {
		return err
	}
	made, err := output(ctx, "", nil, filepath.Join(tools, "cyclonedx-gomod"), "bin", "-json", "-noserial", "-notimestamp",
		"-version", r.version, r.program)
	if err != nil {
		return err
	}
	bill, err := completeBill(made, pages)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, r.name()+".cdx.json"), bill, 0o644)
}

// completeBill adds the pages, and takes out the digests of the tool itself, which differ from machine to machine.
func completeBill(made []byte, pages []page) ([]byte, error) {
	var bill map[string]any
	if err := json.Unmarshal(made, &bill); err != nil {
		return nil, err
	}
	metadata, _ := bill["metadata"].(map[string]any)
	tools, _ := metadata["tools"].([]any)
	components, _ := bill["components"].([]any)
	if len(tools) == 0 || len(components) == 0 {
		return nil, errors.New("it names no tool or no component")
	}
	for _, tool := range tools {
		if tool, ok := tool.(map[string]any); ok {
			delete(tool, "hashes")
		}
	}
	for _, p := range pages {
		address := "pkg:npm/" + p.name + "@" + p.version
		components = append(components, map[string]any{
			"bom-ref": address, "type": "library", "name": p.name, "version": p.version, "purl": address, "scope": "required",
			"licenses": []any{map[string]any{"license": map[string]any{"id": p.licence}}},
		})
	}
	bill["components"] = components
	text, err := json.MarshalIndent(bill, "", "  ")
	return append(text, '\n'), err
}
