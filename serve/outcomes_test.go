package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
)

// outcomesBody is the answer to an outcomes file.
type outcomesBody struct {
	RowCount      int64   `json:"row_count"`
	Matched       int64   `json:"matched"`
	Unmatched     int64   `json:"unmatched"`
	Rejected      int64   `json:"rejected"`
	RowsUpdated   int64   `json:"rows_updated"`
	UnmatchedRows []int64 `json:"unmatched_rows"`
	Errors        []struct {
		Row, Line    int64
		Code, Column string
	}
	ErrorsOmitted int64 `json:"errors_omitted"`
	Reports       []report
}

type report struct {
	Model string `json:"model"`
	engine.OutcomeReport
}

func (a *testAPI) outcomes(text string, options ...option) outcomesBody {
	a.t.Helper()
	var body outcomesBody
	r := a.post("/outcomes", text, options...).want(a.t, http.StatusOK)
	if err := json.Unmarshal(r.body, &body); err != nil {
		a.t.Fatal(err)
	}
	if body.RowCount != body.Matched+body.Unmatched+body.Rejected {
		a.t.Errorf("rows do not add up: %s", r.body)
	}
	return body
}

// optIn lets rows be kept for retraining.
func (a *testAPI) optIn(rate string, options ...option) {
	a.t.Helper()
	a.do(http.MethodPut, "/account", strings.NewReader(`{"training_rate":`+rate+`}`),
		append(options, header("Content-Type", "application/json"))...).want(a.t, http.StatusOK)
}

// customers returns a telecom file of n different customers.
func customers(n int) string {
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for i := range n {
		fmt.Fprintf(&b, "c-%d,%d,%d.5,%d,%s\n", i, 1+i%70, 20+i%90, 100+i,
			[]string{"Month-to-month", "One year", "Two year"}[i%3])
	}
	return b.String()
}

// TestOutcomes is the whole path: opt in, score, send the outcomes, and read the report, which must follow from the
// downloaded probabilities and the outcomes.
func TestOutcomes(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	a.optIn("1")
	groups := []string{"control", "letter"}
	var observed []engine.Observed
	bands := []string{}
	for _, b := range a.model("telecom").Bands() {
		bands = append(bands, b.Name)
	}
	file := "Churn;Customer ID\n"
	for i, group := range groups {
		text := strings.ReplaceAll(customers(200), "c-", group+"-")
		p := a.post("/upload?experiment_group="+group, text, header("Prefer", "wait=30")).want(t, http.StatusOK).object(t)
		rows := a.get(fmt.Sprint("/predictions/", p["prediction_id"], "/rows?limit=1000")).object(t)["rows"].([]any)
		for j, v := range rows {
			row := v.(map[string]any)
			churned := (j*7+i)%3 == 0
			file += fmt.Sprintf("%v;%v\n", churned, row["customer_id"])
			observed = append(observed, engine.Observed{
				Probability: float32(row["churn_probability"].(float64)), Churned: churned, Group: group,
				Band: int16(slices.Index(bands, row["risk_band"].(string))),
			})
		}
	}
	got := a.outcomes(file + "yes;nobody\nperhaps;control-1\nno;\n")
	if got.Matched != 400 || got.Unmatched != 1 || got.Rejected != 2 || got.RowsUpdated != 400 ||
		!slices.Equal(got.UnmatchedRows, []int64{401}) || len(got.Reports) != 1 {
		t.Fatalf("%+v", got)
	}
	first := fmt.Sprint(got.Errors)
	if want := "[{402 403 ERR-1607 Churn} {403 404 ERR-1604 Customer ID}]"; first != want {
		t.Errorf("errors %s, want %s", first, want)
	}
	if got.Reports[0].Model != "telecom" {
		t.Errorf("model %s", got.Reports[0].Model)
	}
	equalJSON(t, withoutTies(got.Reports[0].OutcomeReport), withoutTies(engine.NewOutcomeReport(observed, bands)))

	if again := a.outcomes(file); again.RowsUpdated != 0 || again.Matched != 400 {
		t.Errorf("the same file again: %+v", again)
	}
	var view struct{ Outcomes []report }
	if err := json.Unmarshal(a.get("/models/telecom").want(t, http.StatusOK).body, &view); err != nil {
		t.Fatal(err)
	}
	equalJSON(t, view.Outcomes, got.Reports)
	for _, path := range []string{"/models/saas", "/models/telecom"} {
		r := a.get(path, as(a.token("other"))).want(t, http.StatusOK).object(t)
		if list := r["outcomes"].([]any); len(list) != 0 {
			t.Errorf("another user sees %v", list)
		}
	}
	if other := a.outcomes(file, as(a.token("other"))); other.Matched != 0 || len(other.Reports) != 0 {
		t.Errorf("another user's customers: %+v", other)
	}
	if strings.Contains(a.log.String(), "control-1") {
		t.Error("a customer id is in the log")
	}
}

// withoutTies leaves out what depends on the order of customers with the same probability.
func withoutTies(p engine.OutcomeReport) engine.OutcomeReport {
	p.Deciles, p.Contacted = nil, nil
	return p
}

func equalJSON(t *testing.T, got, want any) {
	t.Helper()
	g, err1 := json.Marshal(got)
	w, err2 := json.Marshal(want)
	if err1 != nil || err2 != nil || string(g) != string(w) {
		t.Errorf("got  %s\nwant %s\n%v %v", g, w, err1, err2)
	}
}

func (a *testAPI) model(name string) *engine.Bundle {
	a.t.Helper()
	b, ok := a.models.Get(name)
	if !ok {
		a.t.Fatalf("no model %s", name)
	}
	return b
}

// Without consent nothing is kept, and later consent is no consent for what was scored before.
func TestTrainingSample_RequiresConsent(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	a.finished(telecom)
	a.optIn("0.5")
	a.finished(telecom)
	a.optIn("0")
	a.finished(telecom)
	got := a.outcomes("id,churned\nA-1,yes\nA-2,yes\nA-3,yes\n")
	if got.Matched != got.RowsUpdated {
		t.Errorf("kept more often than once: %+v", got)
	}
}

func TestOutcomesRefused(t *testing.T) {
	a := startAPI(t, smallLimits)
	a.work()
	a.optIn("1")
	a.finished(telecom)
	for name, test := range map[string]struct {
		text   string
		status int
		code   string
	}{
		"no outcome":    {"customer_id,left\nA-1,yes\n", 400, "ERR-1004"},
		"no rows":       {"customer_id,churned\n", 400, "ERR-1005"},
		"two outcomes":  {"customer_id,churned,Churned\nA-1,yes,no\n", 400, "ERR-1006"},
		"open quote":    {"customer_id,churned\nA-1,yes\nA-2,\"no\n", 400, "ERR-1009"},
		"too many rows": {"id,churned\n" + strings.Repeat("A-1,yes\n", 1001), 413, "ERR-1002"},
	} {
		t.Run(name, func(t *testing.T) {
			a.post("/outcomes", test.text).wantError(t, test.status, test.code)
		})
	}
	a.post("/outcomes", "{}", header("Content-Type", "application/json")).wantError(t, 415, "ERR-1310")
	if got := a.outcomes("id,churned\nA-1,yes\n"); got.RowsUpdated != 1 {
		t.Errorf("something of a refused file was written: %+v", got)
	}
}

func TestOutcomes_TruncatesErrorList(t *testing.T) {
	a := startAPI(t, nil)
	got := a.outcomes("id,churned\n" + strings.Repeat("A-1,maybe\n", 150) + strings.Repeat("A-1,no\n", 150))
	if len(got.Errors) != 100 || got.ErrorsOmitted != 50 || got.Rejected != 150 ||
		len(got.UnmatchedRows) != 100 || got.UnmatchedRows[0] != 151 || got.Unmatched != 150 {
		t.Errorf("%d errors, %d omitted, %d rejected; %d unmatched rows of %d", len(got.Errors), got.ErrorsOmitted,
			got.Rejected, len(got.UnmatchedRows), got.Unmatched)
	}
}

func TestOutcomes_MultipartForm(t *testing.T) {
	a := startAPI(t, nil)
	body, contentType := form(t, "left.csv", []byte("id,churned\nA-1,yes\n"))
	a.postForm("/outcomes", body, contentType).want(t, http.StatusOK)
	a.postForm("/outcomes", body[:len(body)-30], contentType).wantError(t, http.StatusBadRequest, "ERR-1304")
}

// The bands of a model that was withdrawn still have a place in the report, and those of one that is only not in use keep
// their names.
func TestOutcomes_WithdrawnModel(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	a.optIn("1")
	a.finished(telecom)
	none, err := engine.NewRegistry(a.model("saas"))
	if err != nil {
		t.Fatal(err)
	}
	all := a.models
	for _, want := range []string{"low", "band 1"} {
		a.restart(none)
		if got := a.outcomes("id,churned\nA-1,yes\nA-2,no\nA-3,no\n"); got.Matched != 3 || len(got.Reports) != 0 {
			t.Errorf("%+v", got)
		}
		a.restart(all)
		var view struct{ Outcomes []report }
		if err := json.Unmarshal(a.get("/models/telecom").body, &view); err != nil {
			t.Fatal(err)
		}
		if b := view.Outcomes[0].Bands; len(b) == 0 || b[0].Band != want {
			t.Errorf("bands %+v, want %s first", b, want)
		}
		a.withdraw("telecom")
	}
}

func TestExperimentGroup(t *testing.T) {
	a := startAPI(t, nil)
	a.post("/upload?experiment_group="+strings.Repeat("x", 65), telecom).wantError(t, 422, "ERR-1302")
	a.post("/upload?experiment_group=a%0Ab", telecom).wantError(t, 422, "ERR-1302")
	a.post("/upload?experiment_group=%FF", telecom).wantError(t, 422, "ERR-1302")
	body, contentType := form(t, "march.csv", []byte(telecom), "experiment_group", strings.Repeat("x", 65))
	a.postForm("/upload", body, contentType).wantError(t, 422, "ERR-1302")
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestAccount(t *testing.T) {
	a := startAPI(t, nil)
	put := func(text string, options ...option) answer {
		return a.do(http.MethodPut, "/account", strings.NewReader(text),
			append([]option{header("Content-Type", "application/json")}, options...)...)
	}
	if got := a.get("/account", as(a.token("who_asks"))).object(t)["subject"]; got != "who_asks" {
		t.Errorf("subject %v", got)
	}
	if got := a.get("/account").want(t, http.StatusOK).object(t)["training_rate"]; got != 0.0 {
		t.Errorf("a new user allows %v", got)
	}
	if got := put(`{"training_rate": 0.1}`).want(t, http.StatusOK).object(t)["training_rate"]; got != 0.1 {
		t.Errorf("answer %v", got)
	}
	for name, test := range map[string]struct {
		text   string
		status int
		code   string
	}{
		"too much":      {`{"training_rate": 1.1}`, 422, "ERR-1303"},
		"negative":      {`{"training_rate": -0.1}`, 422, "ERR-1303"},
		"missing":       {`{}`, 422, "ERR-1301"},
		"text":          {`{"training_rate": "0.1"}`, 400, "ERR-1304"},
		"unknown field": {`{"training_rate": 0.1, "admin": true}`, 400, "ERR-1304"},
		"two values":    {`{"training_rate": 0.1}{}`, 400, "ERR-1304"},
		"too long":      {`{"training_rate": 0.1` + strings.Repeat(" ", 20_000) + `}`, 413, "ERR-1002"},
		"nothing":       {``, 400, "ERR-1304"},
	} {
		t.Run(name, func(t *testing.T) { put(test.text).wantError(t, test.status, test.code) })
	}
	put(`{}`, header("Content-Type", "text/csv")).wantError(t, 415, "ERR-1310")
	if got := a.get("/account").object(t)["training_rate"]; got != 0.1 {
		t.Errorf("a refused request has set %v", got)
	}
	if got := a.get("/account", as(a.token("other"))).object(t)["training_rate"]; got != 0.0 {
		t.Errorf("another user's is %v", got)
	}
}

// Without a database every answer says so.
func TestOutcomes_UnreachableDatabaseError(t *testing.T) {
	a := startAPI(t, nil)
	a.get("/account").want(t, http.StatusOK) // the user is known from now on
	a.store.Close()
	a.get("/account").wantError(t, http.StatusServiceUnavailable, fault.CodeDatabase.String())
	a.get("/models/telecom").wantError(t, http.StatusServiceUnavailable, fault.CodeDatabase.String())
	a.post("/outcomes", "id,churned\nA-1,yes\n").wantError(t, http.StatusServiceUnavailable, fault.CodeDatabase.String())
}
