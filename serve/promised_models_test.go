package serve_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	promisedHeader = "customerID,tenure,MonthlyCharges,TotalCharges,Contract," +
		"seats_used,feature_usage_score,last_activity_days_ago,support_tickets"
	promisedRow = "A-1,12,49.5,594,Month-to-month,3,20,30,4"
)

// TestB1ColumnsNotUsedAreAnswered sends the promised file with and without columns beside, and to a model that does not
// read them, wherever a file may be sent.
func TestB1ColumnsNotUsedAreAnswered(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	for i, c := range []struct {
		query, columns, cells, model string
		unused                       []string
	}{
		{"", "", "", "saas", nil},
		{"", ",region, notes ", ",north,x", "saas", []string{"region", "notes"}},
		{
			"&model=telecom", ",region", ",north", "telecom",
			[]string{"seats_used", "feature_usage_score", "last_activity_days_ago", "support_tickets", "region"},
		},
	} {
		file := promisedHeader + c.columns + "\n" + promisedRow + c.cells + "\n"
		query := fmt.Sprintf("?filename=%d.csv%s", i, c.query)
		want := fmt.Sprint(c.unused)
		check := func(where string, model, got any) {
			t.Helper()
			if model != c.model || fmt.Sprint(got) != want {
				t.Errorf("%s%s: model %v, columns not used %v, want %s", where, query, model, got, want)
			}
		}
		valid := a.post("/validate"+query, file).want(t, http.StatusOK).object(t)
		check("/validate", valid["model"], valid["columns_not_used"])
		r := a.post("/upload"+query, file)
		if r.status != http.StatusOK && r.status != http.StatusAccepted {
			t.Fatalf("upload: %d %s", r.status, r.body)
		}
		sent := r.object(t)
		check("/upload", sent["model"], sent["columns_not_used"])
		view := a.ended(sent["prediction_id"].(string))
		check("/predictions", view["model"], view["summary"].(map[string]any)["columns_not_used"])
		scored := a.post("/score"+query, file, header("Accept", "application/json")).want(t, http.StatusOK).object(t)
		check("/score", scored["model"], scored["summary"].(map[string]any)["columns_not_used"])
	}
}

// TestB1SampleIsThePromisedFile expects the sample to have the promised columns and the template to begin with them.
func TestB1SampleIsThePromisedFile(t *testing.T) {
	a := startAPI(t, nil)
	sample := string(a.get("/csv-samples/saas").want(t, http.StatusOK).body)
	kept, err := os.ReadFile("../testdata/samples/saas_sample.csv")
	if first, _, _ := strings.Cut(sample, "\n"); first != promisedHeader || err != nil || sample != string(kept) {
		t.Errorf("sample %s %v", first, err)
	}
	template := string(a.get("/models/saas/template.csv").want(t, http.StatusOK).body)
	if !strings.HasPrefix(template, promisedHeader+",") {
		t.Errorf("template %s", template)
	}
	var names []string
	for _, c := range a.get("/models/saas").want(t, http.StatusOK).object(t)["columns"].([]any) {
		names = append(names, c.(map[string]any)["name"].(string))
	}
	if want := strings.Split(strings.TrimSpace(template), ","); !slices.Equal(names, want) {
		t.Errorf("/models/saas has columns %q, the template %q", names, want)
	}
}
