// Generate writes the dashboards, the rules and the rules' tests. It is run by go generate from the root module.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if err := generate("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate writes everything below dir.
func generate(dir string) error {
	for name, make := range boards {
		board, err := make().Build()
		if err != nil {
			return fmt.Errorf("board %s: %w", name, err)
		}
		text, err := boardText(board)
		if err != nil {
			return fmt.Errorf("board %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "grafana", name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"rules.yaml": rulesText(), "rules_test.yaml": rulesTestText()} {
		if err := os.WriteFile(filepath.Join(dir, "prometheus", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func boardText(b dashboard.Dashboard) ([]byte, error) {
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}
