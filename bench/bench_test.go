package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/retainwise/millrace/bench"
	"github.com/retainwise/millrace/engine/forest"
)

// quick runs a suite on next to nothing and returns the report as read from its JSON.
func quick(t *testing.T, suite string, o bench.Options) *bench.Report {
	t.Helper()
	o.Quick = true
	cores := runtime.GOMAXPROCS(0)
	report, err := bench.Run(t.Context(), suite, o)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOMAXPROCS(0) != cores {
		t.Errorf("left GOMAXPROCS at %d", runtime.GOMAXPROCS(0))
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	decoded := new(bench.Report)
	if err := json.Unmarshal(text, decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// expected are some of the measurements that every suite must have, by comparison.
var expected = map[string]map[string][]string{
	"engine": {
		"realistic/1":   {"leaves", "compiled/portable"},
		"realistic/128": {"leaves", "compiled/portable", "binning/portable"},
		"random/64":     {"leaves", "compiled/portable", "binning/portable"},
		"alike/128":     {"leaves", "compiled/portable", "binning/portable"},
		"workers":       {"one", "two"},
		"telecom":       {"leaves", "compiled/portable"},
	},
	"explain": {
		"contributions/64":      {"exact-float64", "compiled"},
		"contributions/telecom": {"exact-float64", "compiled"},
		"contributions/saas":    {"exact-float64", "compiled"},
		"end-to-end/telecom":    {"none", "all"},
		"end-to-end/saas":       {"none", "all"},
	},
	"ingest": {
		"unquoted": {
			"memcpy", "cut", "tokenise", "tokenise+convert", "encoding/csv", "encoding/csv+types", "arrow",
		},
		"quoted":           {"memcpy", "tokenise", "tokenise+convert", "arrow"},
		"unquoted/workers": {"one", "two"},
		"quoting":          {"unquoted", "quoted"},
	},
	"copy": {
		"rows":   {"server-side", "binary", "CopyFromSource", "blocks"},
		"client": {"CopyFromSource", "binary", "blocks"},
	},
}

// The suites that start a service need the program; the command line's tests run them.
func TestSuitesReportEverything(t *testing.T) {
	for suite := range expected {
		t.Run(suite, func(t *testing.T) {
			r := quick(t, suite, bench.Options{})
			for comparison, names := range expected[suite] {
				for _, name := range names {
					if find(r, comparison, name) == nil {
						t.Errorf("%s has no %s", comparison, name)
					}
				}
			}
			for _, c := range r.Comparisons {
				checkComparison(t, &c)
			}
			checkGoals(t, r)
			m := r.Machine
			if m.CPU == "" || m.Cores < 1 || m.Go == "" || m.System == "" || len(m.Kernels) == 0 || m.Ingest == "" {
				t.Errorf("machine %+v", m)
			}
			if !strings.HasPrefix(r.Command, "millrace bench "+suite) {
				t.Errorf("command %q", r.Command)
			}
		})
	}
}

func find(r *bench.Report, comparison, name string) *bench.Measurement {
	for _, c := range r.Comparisons {
		for _, m := range c.Measurements {
			if c.Name == comparison && m.Name == name {
				return &m
			}
		}
	}
	return nil
}

func checkComparison(t *testing.T, c *bench.Comparison) {
	t.Helper()
	if c.Note == "" || c.Clock == "" || len(c.Measurements) < 2 {
		t.Errorf("%s: note %q, clock %q, %d measurements", c.Name, c.Note, c.Clock, len(c.Measurements))
	}
	if c.Measurements[0].Ratio != 1 || c.Measurements[0].RatioOfMinima != 1 {
		t.Errorf("%s: the baseline's ratio is %v", c.Name, c.Measurements[0].Ratio)
	}
	for _, m := range c.Measurements {
		if !(m.NsPerOp > 0 && m.NsPerOpMin > 0 && m.NsPerOpMin <= m.NsPerOp && m.RowsPerSecond > 0) ||
			!(m.Ratio > 0 && m.RatioOfMinima > 0 && m.AllocsPerOp >= 0) || m.RowsPerOp < 1 || m.OpsPerRound < 1 {
			t.Errorf("%s: %+v", c.Name, m)
		}
		if len(m.Rounds) != 2 {
			t.Errorf("%s: %s: %d rounds", c.Name, m.Name, len(m.Rounds))
		}
		if (c.Trees > 0) != (m.NsPerRowTree > 0 && m.NsPerRowTreeMin > 0) || (c.BytesPerOp > 0) != (m.MBPerSecond > 0) {
			t.Errorf("%s: %d trees, %d bytes: %+v", c.Name, c.Trees, c.BytesPerOp, m)
		}
	}
}

func checkGoals(t *testing.T, r *bench.Report) {
	t.Helper()
	if len(r.Goals) < 3 {
		t.Errorf("%d goals", len(r.Goals))
	}
	for _, g := range r.Goals {
		met := g.Value >= g.Want
		if g.AtMost {
			met = g.Value <= g.Want
		}
		if g.Name == "" || g.Unit == "" || g.Met != met {
			t.Errorf("goal %+v", g)
		}
	}
}

func TestReportsInEveryForm(t *testing.T) {
	r := quick(t, "explain", bench.Options{})
	var table, markdown, text bytes.Buffer
	for name, write := range map[string]error{
		"table": r.WriteTable(&table), "markdown": r.WriteMarkdown(&markdown),
		"text": r.WriteText(&text),
	} {
		if write != nil {
			t.Errorf("%s: %v", name, write)
		}
	}
	for name, form := range map[string]string{"table": table.String(), "markdown": markdown.String()} {
		for _, c := range r.Comparisons {
			if !strings.Contains(form, c.Name) || !strings.Contains(form, c.Note) {
				t.Errorf("%s: %s is missing", name, c.Name)
			}
		}
		for _, g := range r.Goals {
			if !strings.Contains(form, g.Name) {
				t.Errorf("%s: goal %s is missing", name, g.Name)
			}
		}
	}
	width := 0
	for line := range strings.Lines(markdown.String()) {
		if cells := strings.Count(line, "|"); strings.HasPrefix(line, "|") && width > 0 && cells != width {
			t.Errorf("%d cells under a heading of %d: %s", cells, width, line)
		}
		if width = 0; strings.HasPrefix(line, "|") {
			width = strings.Count(line, "|")
		}
	}
	line := regexp.MustCompile(`^BenchmarkExplain/\S+\t\d+\t[\d.]+ ns/op\t\d+ rows/s\t\d+ allocs/op\n$`)
	found := 0
	for l := range strings.Lines(text.String()) {
		if strings.HasPrefix(l, "Benchmark") {
			found++
			if !line.MatchString(l) {
				t.Errorf("benchstat cannot read %q", l)
			}
		}
	}
	measurements := 0
	for _, c := range r.Comparisons {
		measurements += 2 * len(c.Measurements)
	}
	if found != measurements {
		t.Errorf("%d lines for %d rounds", found, measurements)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestReportsThatCannotBeWritten(t *testing.T) {
	r := &bench.Report{Suite: "engine", Comparisons: []bench.Comparison{{Name: "x"}}}
	for name, err := range map[string]error{
		"table": r.WriteTable(brokenWriter{}), "markdown": r.WriteMarkdown(brokenWriter{}),
		"text": r.WriteText(brokenWriter{}),
	} {
		if err == nil {
			t.Errorf("%s: the writer's error is lost", name)
		}
	}
}

func TestGivenModelAndRows(t *testing.T) {
	file, err := os.ReadFile("../testdata/forest/lightgbm/binary/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := forest.Read("model.txt", file, forest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for suite, name := range map[string]string{"engine": "given/1", "explain": "contributions/"} {
		r := quick(t, suite, bench.Options{Forest: f, Rows: f.ProbeRows()})
		if len(r.Comparisons) == 0 || !strings.HasPrefix(r.Comparisons[0].Name, name) {
			t.Errorf("%s: %+v", suite, r.Comparisons)
		}
		if len(r.Goals) > 0 || !strings.Contains(r.Command, "--model") {
			t.Errorf("%s: goals %v of %q", suite, r.Goals, r.Command)
		}
	}
}

func TestModelRefusedByLeaves(t *testing.T) {
	file, err := os.ReadFile("../testdata/forest/lightgbm/linear_tree/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := forest.Read("model.txt", file, forest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := quick(t, "engine", bench.Options{Forest: f, Rows: f.ProbeRows()})
	if find(r, "given/1", "leaves") != nil || find(r, "given/1", "compiled/portable") == nil {
		t.Errorf("%+v", r.Comparisons[0])
	}
	o := bench.Options{Quick: true, Forest: f, Rows: f.ProbeRows()}
	if _, err := bench.Run(t.Context(), "explain", o); err == nil {
		t.Error("explained linear leaves")
	}
}

func TestSampleIsUsed(t *testing.T) {
	sample, err := os.ReadFile("../testdata/samples/telecom_sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(string(sample), "\n") - 1
	r := quick(t, "engine", bench.Options{Sample: sample})
	if m := find(r, "telecom", "compiled/portable"); m == nil || m.RowsPerOp != rows {
		t.Errorf("%+v, want %d rows", m, rows)
	}
	for _, suite := range []string{"engine", "explain"} {
		o := bench.Options{Quick: true, Sample: []byte("a,b\n1,2\n")}
		if _, err := bench.Run(t.Context(), suite, o); err == nil {
			t.Errorf("%s: a sample of another kind passed", suite)
		}
	}
}

func TestRunStopsWithContext(t *testing.T) {
	_, err := bench.Run(t.Context(), "engines", bench.Options{})
	if err == nil || !strings.Contains(err.Error(), "ingest") {
		t.Errorf("unknown suite: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for suite := range expected {
		if _, err := bench.Run(ctx, suite, bench.Options{Quick: true}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", suite, err)
		}
	}
}
