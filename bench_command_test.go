package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/bench"
)

func TestBenchCommandPrintsEachForm(t *testing.T) {
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

func TestBenchCommandRunsAllSuites(t *testing.T) {
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

func TestBenchCommandTakesAModelAndRows(t *testing.T) {
	dir := "testdata/forest/lightgbm/binary/"
	status, out, messages := command(t, "", "bench", "engine", "--quick", "--json",
		"--model", dir+"model.txt", "--data", dir+"x.tsv")
	if status != 0 || !strings.Contains(out, `"given/1"`) {
		t.Errorf("status %d: %s%s", status, messages, out)
	}
}

func TestBenchCommandSaysWhatIsWrong(t *testing.T) {
	model := "testdata/forest/lightgbm/binary/model.txt"
	empty := filepath.Join(t.TempDir(), "empty.tsv")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
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
		"Missing required col": {"bench", "engine", "--quick", "--sample", "testdata/samples/saas_sample.csv"},
	} {
		status, _, messages := command(t, "", args...)
		if status != 1 || !strings.Contains(messages, want) || strings.Count(messages, "\n") != 1 {
			t.Errorf("%v: status %d: %q, want %q", args, status, messages, want)
		}
	}
}
