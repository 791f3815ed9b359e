package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/bench"
	"github.com/retainwise/millrace/cli"
)

func TestBenchOutputFormats(t *testing.T) {
	for form, want := range map[string]string{
		"--json":     `"suite": "ingest"`,
		"--text":     "BenchmarkIngest/unquoted/memcpy\t",
		"--markdown": "\n### ingest\n",
		"":           "ns/row",
	} {
		args := []string{"bench", "ingest", "--quick"}
		if form != "" {
			args = append(args, form)
		}
		status, out, messages := command(t, "", args...)
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: status %d: %s%s", form, status, messages, out)
		}
	}
}

func TestBenchRunsAllSuites(t *testing.T) {
	t.Setenv(childVariable, "1") // for the services that are measured
	sample := "testdata/samples/telecom_sample.csv"
	status, out, messages := command(t, "", "bench", "--quick", "--json", "--sample", sample)
	if status != 0 {
		t.Fatalf("status %d: %s", status, messages)
	}
	decoder := json.NewDecoder(strings.NewReader(out))
	for _, suite := range bench.Suites() {
		var r bench.Report
		if err := decoder.Decode(&r); err != nil || r.Suite != suite || len(r.Comparisons)+len(r.Latencies) == 0 {
			t.Errorf("%s: %+v (%v)", suite, r, err)
		}
		for _, l := range r.Latencies {
			if l.Failed > 0 || l.Requests == 0 || !(l.P50 > 0 && l.P50 <= l.P95 && l.P95 <= l.P99 && l.P99 <= l.Max) {
				t.Errorf("%s: %+v", suite, l)
			}
		}
	}
}

func TestBenchPrintsSavedReport(t *testing.T) {
	_, kept, _ := command(t, "", "bench", "ingest", "--quick", "--json")
	file := filepath.Join(t.TempDir(), "kept.json")
	if err := os.WriteFile(file, []byte(kept+kept), 0o600); err != nil {
		t.Fatal(err)
	}
	status, again, messages := command(t, "", "bench", "--from", file, "--json")
	if status != 0 || again != kept+kept {
		t.Errorf("status %d: %s%s", status, messages, again)
	}
	status, markdown, messages := command(t, "", "bench", "--from", file, "--markdown")
	if status != 0 || strings.Count(markdown, "\n### ingest\n") != 2 {
		t.Errorf("status %d: %s%s", status, messages, markdown)
	}
}

func TestBenchGateFailsBelowAFloor(t *testing.T) {
	_, out, _ := command(t, "", "bench", "gate", "--quick", "--json")
	var r bench.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	floors := filepath.Join(t.TempDir(), "floors.json")
	for floor, want := range map[string]int{"1e-9": 0, "1e9": cli.ExitData} {
		text := fmt.Sprintf(`{%q: {"scores of 64: leaves / compiled/portable": %s}}`, r.Machine.CPU, floor)
		if err := os.WriteFile(floors, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, messages := command(t, "", "bench", "gate", "--quick", "--floors", floors)
		named := strings.Contains(messages, "below the recorded floor: scores of 64: leaves / compiled/portable is ")
		if status != want || named != (want == cli.ExitData) || !strings.Contains(out, "compiled/portable") {
			t.Errorf("floor %s: status %d: %s", floor, status, messages)
		}
	}
}

func TestBenchOfModelFile(t *testing.T) {
	dir := "testdata/forest/lightgbm/binary/"
	status, out, messages := command(t, "", "bench", "engine", "--quick", "--json",
		"--model", dir+"model.txt", "--data", dir+"x.tsv")
	if status != 0 || !strings.Contains(out, `"given/1"`) {
		t.Errorf("status %d: %s%s", status, messages, out)
	}
}

func TestBenchErrors(t *testing.T) {
	model := "testdata/forest/lightgbm/binary/model.txt"
	empty := filepath.Join(t.TempDir(), "empty.tsv")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	truncated := filepath.Join(t.TempDir(), "truncated.json")
	if err := os.WriteFile(truncated, []byte(`{"suite":`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"must be one of":       {"bench", "sleep"},
		"belong together":      {"bench", "engine", "--model", model},
		"between 0 and 3600":   {"bench", "engine", "--seconds=-1"},
		"can't be used":        {"bench", "engine", "--json", "--text"},
		"no rows":              {"bench", "engine", "--model", model, "--data", empty},
		"no such file":         {"bench", "engine", "--model", model, "--data", "nowhere.tsv"},
		"nowhere.txt":          {"bench", "engine", "--model", "nowhere.txt", "--data", empty},
		"directory":            {"bench", "engine", "--sample", t.TempDir()},
		"not a number":         {"bench", "engine", "--model", model, "--data", "testdata/samples/telecom_sample.csv"},
		"kept.json":            {"bench", "--from", "kept.json"},
		"unexpected EOF":       {"bench", "--from", truncated},
		"nowhere.json":         {"bench", "gate", "--floors", "nowhere.json"},
		"read floors":          {"bench", "gate", "--floors", model},
		"Missing required col": {"bench", "engine", "--quick", "--sample", "testdata/samples/bad/missing_column.csv"},
	} {
		status, _, messages := command(t, "", args...)
		if status < cli.ExitUsage || status > cli.ExitNoInput || !strings.Contains(messages, want) {
			t.Errorf("%v: status %d: %q, want %q", args, status, messages, want)
		}
	}
}

// TestBenchUpgrade migrates a schema under load and replaces a process: the suite that says for how long neither serves.
func TestBenchUpgrade(t *testing.T) {
	t.Setenv(childVariable, "1") // for the process that is replaced
	status, out, messages := command(t, "", "bench", "upgrade", "--quick", "--json", "--sample", "testdata/samples/telecom_sample.csv")
	if status != 0 {
		t.Fatalf("status %d: %s", status, messages)
	}
	var r bench.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Goals) != 3 || !strings.Contains(r.Goals[2].Name, "one process replaced") || !(r.Goals[2].Value > 0) {
		t.Errorf("%+v", r.Goals)
	}
	for _, l := range r.Latencies {
		if l.Failed > 0 || l.Requests == 0 {
			t.Errorf("%+v", l)
		}
	}
}
