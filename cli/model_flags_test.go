package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
)

const bareModel = "testdata/forest/lightgbm/binary/model.txt"

// labelledFile scores random rows and returns them with an id, a value and an outcome drawn from the probability.
func labelledFile(t *testing.T, rows int) (file string, probabilities []float64, left []bool) {
	t.Helper()
	b, err := openModel(bareModel)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range b.Schema().Columns {
		names = append(names, c.Name)
	}
	random := rand.New(rand.NewPCG(3, 4))
	header, lines := strings.Join(names, ",")+",key,worth", make([]string, rows)
	for i := range lines {
		for range names {
			lines[i] += fmt.Sprintf("%.3f,", random.NormFloat64())
		}
		lines[i] += fmt.Sprintf("key-%d,%d", i+1, 10)
	}
	status, out, messages := command(t, header+"\n"+strings.Join(lines, "\n")+"\n", "score", "--model", bareModel, "--explain", "none", "-")
	if status != 0 {
		t.Fatal(messages)
	}
	scored, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	file = header + ",left\n"
	for i, record := range scored[1:] {
		p, err := strconv.ParseFloat(record[len(names)+2], 64)
		if err != nil {
			t.Fatal(err)
		}
		gone := random.Float64() < p
		probabilities, left = append(probabilities, p), append(left, gone)
		file += lines[i] + "," + map[bool]string{true: "Yes", false: "No"}[gone] + "\n"
	}
	return file, probabilities, left
}

// TestScoreWithLabel compares AUC and lift of a labelled file with a count of all pairs, and the result with that without
// flags.
func TestScoreWithLabel(t *testing.T) {
	file, probabilities, left := labelledFile(t, 600)
	var won, pairs, gone float64
	for i, p := range probabilities {
		if left[i] {
			gone++
		}
		for j, q := range probabilities {
			if left[i] && !left[j] {
				pairs++
				switch {
				case p > q:
					won++
				case p == q:
					won += 0.5
				}
			}
		}
	}
	dir := t.TempDir()
	out, name := filepath.Join(dir, "out.csv"), filepath.Join(dir, "summary.json")
	_, plain, _ := command(t, file, "score", "--model", bareModel, "-")
	status, _, messages := command(t, file, "score", "--model", bareModel, "--id", "key", "--value", "worth", "--label", "left",
		"--out", out, "--summary", name, "-")
	written, err := os.ReadFile(out)
	if status != 0 || err != nil || string(written) != plain {
		t.Fatalf("status %d, %v: %s", status, err, messages)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		engine.Summary
		Outcomes *engine.OutcomeReport `json:"outcomes"`
	}
	if err := json.Unmarshal(text, &s); err != nil || s.Outcomes == nil {
		t.Fatalf("%v: %s", err, text)
	}
	// Results have fewer digits than probabilities: close ones may change places.
	if auc := won / pairs; s.Outcomes.AUC == nil || math.Abs(*s.Outcomes.AUC-auc) > 1e-3 || float64(s.Outcomes.Churned) != gone ||
		s.Outcomes.Customers != 600 || len(s.Outcomes.Deciles) != 10 {
		t.Errorf("AUC %v, want %v; %+v", *s.Outcomes.AUC, auc, s.Outcomes)
	}
	if s.Value == nil || s.Value.Total != 6000 || !strings.HasPrefix(s.Top.ByLoss[0].ID, "key-") {
		t.Errorf("value %+v, top %+v", s.Value, s.Top.ByLoss)
	}
	for _, want := range []string{
		fmt.Sprintf("Compared with the outcomes of 600 rows; %.0f left", gone),
		fmt.Sprintf("  AUC %.4f, Brier score ", *s.Outcomes.AUC), "\nLift\n", "\nCalibration\n", "  0.8 to 0.9 ",
	} {
		if !strings.Contains(messages, want) {
			t.Errorf("no %q in\n%s", want, messages)
		}
	}
}

func TestScoreWithBands(t *testing.T) {
	file, _, _ := labelledFile(t, 20)
	status, out, messages := command(t, file, "score", "--model", bareModel, "--bands", "stays=0.5,leaves", "-")
	if status != 0 || !strings.Contains(out, ",stays,") || !strings.Contains(out, ",leaves,") || strings.Contains(out, ",high,") ||
		!strings.Contains(messages, "\n  stays ") {
		t.Errorf("status %d: %s%s", status, out, messages)
	}
	status, out, messages = command(t, file, "validate", "--model", bareModel, "--id", "key", "--value", "worth", "-")
	if status != 0 || !strings.Contains(out, "columns not used: left") {
		t.Errorf("status %d: %s%s", status, out, messages)
	}
}

func TestModelFlagsRefused(t *testing.T) {
	file, _, _ := labelledFile(t, 2)
	for want, args := range map[string][]string{
		"for bare model files":          {"--model", "telecom", "--id", "key"},
		"every band but the last":       {"--model", bareModel, "--bands", "low=0.3,high=0.9"},
		"and a name of its own":         {"--model", bareModel, "--bands", "low=0.3,low"},
		"2 is not a probability":        {"--model", bareModel, "--bands", "low=2,high"},
		"--bands: band \"high\": bound": {"--model", bareModel, "--bands", "low=0.5,high=0.4,top"},
		"--label: column \"key\" is":    {"--model", bareModel, "--id", "key", "--label", "key"},
	} {
		if status, _, messages := command(t, file, append([]string{"score", "-"}, args...)...); status != ExitUsage ||
			!strings.Contains(messages, want) {
			t.Errorf("%q: status %d: %s", args, status, messages)
		}
	}
	if status, _, messages := command(t, file, "score", "--model", bareModel, "--label", "churned", "-"); status != ExitData ||
		!strings.Contains(messages, "ERR-1004: Missing required column 'Churned'") {
		t.Errorf("no label column: status %d: %s", status, messages)
	}
}
