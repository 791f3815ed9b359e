package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/serve/internal/plan"
)

func (a *testAPI) health(query string, options ...option) health.Report {
	a.t.Helper()
	var r health.Report
	answer := a.get("/models/telecom/health"+query, options...).want(a.t, http.StatusOK)
	if err := json.Unmarshal(answer.body, &r); err != nil {
		a.t.Fatal(err)
	}
	return r
}

// onlyMonth returns the month of a report that has one.
func onlyMonth(t *testing.T, r health.Report) health.Month {
	t.Helper()
	if len(r.Versions) != 1 || len(r.Versions[0].Months) != 1 || !r.Complete {
		t.Fatalf("%+v", r)
	}
	return r.Versions[0].Months[0]
}

// TestModelHealth is the whole path: score two datasets, send outcomes, ask, delete, and ask again.
func TestModelHealth(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	a.optIn("1")
	if r := a.health(""); len(r.Versions) != 0 || !r.Complete || r.Floors.Drift != 500 {
		t.Errorf("of nothing: %+v", r)
	}
	newcomers := strings.ReplaceAll(customers(600), "Two year", "Month-to-month") // others than those of the training
	newcomers = strings.ReplaceAll(newcomers, "One year", "Barter")               // which it has never seen
	broken := newcomers + "c-600,many,20,20,Two year\n"
	first := a.completed(broken, "?dataset=a")
	a.completed(strings.ReplaceAll(customers(150), "c-", "d-"), "?dataset=b")

	m := onlyMonth(t, a.health("?dataset=a"))
	if m.Uploads != 1 || m.Rows != 601 || m.Scored != 600 || m.Rejected != 1 || m.Mean == nil || *m.RejectedShare != 1.0/601 ||
		*m.UnseenColumn != "Contract" || *m.UnseenShare != 200.0/600 || m.Outcomes != nil {
		t.Errorf("%s", asText(m))
	}
	if m.Score == nil || m.Score.Against != "training" || *m.State != "changed" || m.Columns[0].State != "changed" ||
		m.Compared == 0 || m.Month != time.Now().UTC().Format("2006-01") {
		t.Errorf("%s", asText(m))
	}
	for i := range m.Columns[1:] {
		if m.Columns[i].PSI < m.Columns[i+1].PSI {
			t.Errorf("the worst column is not first: %s", asText(m.Columns))
		}
	}
	if m = onlyMonth(t, a.health("?dataset=b")); m.Score != nil || m.State != nil || len(m.Columns) != 0 || m.Mean == nil ||
		!strings.Contains(strings.Join(m.Missing, "\n"), "of 150 scored rows, 500 are needed") {
		t.Errorf("too few rows: %s", asText(m))
	}
	if m = onlyMonth(t, a.health("")); m.Uploads != 2 || m.Scored != 750 {
		t.Errorf("both: %s", asText(m))
	}

	var file strings.Builder
	file.WriteString("Customer ID,Churn\n")
	for i := range 600 {
		fmt.Fprintf(&file, "c-%d,%v\n", i, i%3 == 0)
	}
	a.outcomes(file.String())
	o := onlyMonth(t, a.health("?dataset=a")).Outcomes
	if o == nil || o.Customers != 600 || o.Left != 200 || o.AUC == nil || *o.Share != 1 || *o.Rate != 1.0/3 {
		t.Errorf("outcomes: %s", asText(o))
	}
	if m = onlyMonth(t, a.health("?dataset=b")); m.Outcomes != nil {
		t.Errorf("outcomes of another dataset: %s", asText(m))
	}
	testOthersSeeNothing(t, a)
	a.testHealthGauges(t, *o.AUC)

	a.do(http.MethodDelete, "/predictions/"+first, nil).want(t, http.StatusNoContent)
	if m = onlyMonth(t, a.health("?dataset=a")); m.Uploads != 0 || m.Scored != 0 || !m.Outcomes.BeingMade || m.Outcomes.AUC != nil {
		t.Errorf("deleted: %s", asText(m))
	}
	if err := a.store.Counts.Remake(t.Context(), health.Sum); err != nil {
		t.Fatal(err)
	}
	if r := a.health("?dataset=a"); len(r.Versions) != 0 {
		t.Errorf("deleted and made anew: %s", asText(r))
	}
}

// completed uploads a file with options, waits for its end, and returns the prediction's id.
func (a *testAPI) completed(file, query string) string {
	a.t.Helper()
	p := a.post("/upload"+query, file, header("Prefer", "wait=30")).want(a.t, http.StatusOK).object(a.t)
	if p["status"] != "completed" {
		a.t.Fatalf("%v", p)
	}
	return p["prediction_id"].(string)
}

func asText(v any) string {
	text, _ := json.MarshalIndent(v, "", " ")
	return string(text)
}

// testOthersSeeNothing asks as another user, and as the operator, who sees what is of all users.
func testOthersSeeNothing(t *testing.T, a *testAPI) {
	t.Helper()
	other := as(a.token("other"))
	if r := a.health("", other); len(r.Versions) != 0 {
		t.Errorf("another user sees %s", asText(r))
	}
	a.finished(customers(120), other)
	if m := onlyMonth(t, a.health("", other)); m.Uploads != 1 || m.Scored != 120 || m.Outcomes != nil {
		t.Errorf("another user's own: %s", asText(m))
	}
	operators := startAdmin(t, a, nil)
	var all health.Report
	if err := json.Unmarshal(operators.get(t, "/models/telecom/health").want(t, http.StatusOK).body, &all); err != nil {
		t.Fatal(err)
	}
	if m := onlyMonth(t, all); m.Uploads != 3 || m.Scored != 870 || m.Outcomes.Customers != 600 {
		t.Errorf("the operator sees %s", asText(m))
	}
	for path, status := range map[string]int{
		"/models/telecom/health?dataset=b": http.StatusOK, "/models/unknown/health": http.StatusNotFound,
		"/models/telecom/health?from=x": http.StatusUnprocessableEntity,
	} {
		operators.do(t, http.MethodGet, path).want(t, status)
	}
}

// testHealthGauges sets the gauges, which are of all users and name none. Setting them again changes nothing, and those
// of a model that is not in use any more are removed.
func (a *testAPI) testHealthGauges(t *testing.T, auc float64) {
	t.Helper()
	version := a.model("telecom").Version()
	label := fmt.Sprintf(`{model="telecom",version="%s"} `, version)
	kept := plan.NewKeptModels(plan.KeptParts{Registry: a.models, Models: a.store.Models, Objects: a.objects, Metrics: a.metrics})
	for range 2 {
		if err := duty.SetHealth(t.Context(), a.store.Counts, kept, a.metrics); err != nil {
			t.Fatal(err)
		}
		text := a.scrape()
		for _, name := range []string{"column_psi", "score_psi", "rejected_ratio", "unseen_ratio", "calibration_error", "lift"} {
			if !strings.Contains(text, "millrace_model_"+name+label) {
				t.Errorf("no gauge of %s", name)
			}
		}
		if want := "millrace_model_auc" + label + strconv.FormatFloat(auc, 'g', -1, 64); !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
		if strings.Contains(text, `millrace_model_auc{model="saas"`) {
			t.Error("a figure of nothing")
		}
	}
	a.metrics.SetModelHealth(nil)
	if text := a.scrape(); strings.Contains(text, "millrace_model_auc{") {
		t.Error("the gauge of a model that is not in use")
	}
}

func TestModelHealth_Parameters(t *testing.T) {
	a := startAPI(t, nil)
	for _, query := range []string{
		"?from=2026-13", "?to=yesterday", "?from=0001-01", "?from=2026-03&to=2026-02", "?from=2020-01&to=2026-01",
	} {
		a.get("/models/telecom/health"+query).wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	}
	a.get("/models/telecom/health?month=2026-01").want(t, http.StatusBadRequest)
	a.get("/models/unknown/health").want(t, http.StatusNotFound)
	r := a.health("?from=2024-01&to=2026-12")
	if r.From != "2024-01" || r.To != "2026-12" {
		t.Errorf("%+v", r)
	}
	if r = a.health("?to=2025-12"); r.From != "2025-01" || r.To != "2025-12" {
		t.Errorf("a year by default: %+v", r)
	}
}

// TestModelHealth_PushedModels checks that pushed versions are watched as the bundles of the process are, until they are
// retired.
func TestModelHealth_PushedModels(t *testing.T) {
	a, o := startCatalog(t, nil)
	o.push(archiveOf(t, churn(t, "mine", "1", "")), "")
	o.push(archiveOf(t, churn(t, "mine", "2", "")), "")
	o.change(http.MethodPost, "/models/mine@2/retire", "")
	inUse, err := plan.NewKeptModels(plan.KeptParts{Registry: a.models, Models: a.store.Models}).InUse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range inUse {
		names = append(names, m.Name+"@"+m.Version)
	}
	if got := strings.Join(names, " "); got != "saas@2 telecom@1 mine@1" {
		t.Errorf("watched: %s", got)
	}
}
