package cli

import (
	"strings"
	"testing"
)

// TestB26ScorerLeavesRefused checks that a model that leaves cannot represent has the code of an unsupported model.
func TestB26ScorerLeavesRefused(t *testing.T) {
	const native = "testdata/forest/xgboost/categorical/model.ubj"
	if status, out, _ := command(t, "", "model", "verify", native); status != 0 ||
		!strings.Contains(out, "not compared with leaves: ") {
		t.Errorf("verify: status %d: %s", status, out)
	}
	bundle, err := openModel(native)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range bundle.Schema().Columns {
		names = append(names, c.Name)
	}
	file := strings.Join(names, ",") + "\n" + strings.Repeat("1,", len(names)-1) + "1\n"
	if status, _, messages := command(t, file, "score", "--model", native, "-"); status != 0 {
		t.Errorf("compiled: status %d: %s", status, messages)
	}
	status, _, messages := command(t, file, "score", "--model", native, "--scorer", "leaves", "-")
	if status == 0 || !strings.Contains(messages, "ERR-1703") || !strings.Contains(messages, "missing category") {
		t.Errorf("leaves: status %d: %s", status, messages)
	}
}

// TestB1CommandsListUnusedColumns checks that score and validate list the columns that the model does not use.
func TestB1CommandsListUnusedColumns(t *testing.T) {
	file := readSample(t, "saas_sample.csv")
	for model, want := range map[string]string{
		"saas":    "",
		"telecom": "  columns not used: seats_used, feature_usage_score, last_activity_days_ago, support_tickets\n",
	} {
		_, _, scored := command(t, file, "score", "--model", model, "-")
		_, valid, _ := command(t, file, "validate", "--model", model, "-")
		want = strings.Join(strings.Fields(want), " ")
		for _, text := range []string{scored, valid} {
			text = strings.Join(strings.Fields(text), " ")
			if want == "" && strings.Contains(text, "columns not used") || !strings.Contains(text, want) {
				t.Errorf("%s: %s", model, text)
			}
		}
	}
}
