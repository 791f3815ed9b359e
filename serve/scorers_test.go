package serve_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/api"
)

// wrongKernel is the telecom baseline whose compiled engine is that of other trees: it scores wrong, as a defect of a
// kernel or of a processor would, while the model, leaves and the walker are right. No model file does that, and
// nothing but a test may, so the engine has no door for it.
func wrongKernel(t *testing.T) *engine.Bundle {
	t.Helper()
	right, err := engine.OpenBaseline("telecom")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../engine/baseline/telecom/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	leaf := regexp.MustCompile(`(?m)^leaf_value=(\S+)`).FindSubmatchIndex(text)[2:4]
	copy(text[leaf[0]:leaf[1]], "3."+strings.Repeat("5", leaf[1]-leaf[0]-2)) // the file knows how long its trees are
	others, err := engine.OpenModelFile("telecom.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	compiled := func(b *engine.Bundle) reflect.Value {
		field := reflect.ValueOf(b).Elem().FieldByName("compiled")
		return reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
	}
	compiled(right).Set(compiled(others))
	return right
}

// scorableRows is a file of which leaves checks a few rows only.
func scorableRows(n int) string {
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for i := range n {
		fmt.Fprintf(&b, "C-%d,%d,%d.5,%d,%s\n", i, i%70, 20+i%90, i, []string{"One year", "Month-to-month"}[i%2])
	}
	return b.String()
}

// TestB26WalkerTakesOverFromAWrongKernel expects the right bytes from a part and from a request although the kernel is
// wrong, and both counted; with a right kernel nothing of it.
func TestB26WalkerTakesOverFromAWrongKernel(t *testing.T) {
	right := startAPI(t, nil)
	file := scorableRows(3000)
	want := right.post("/score", file).want(t, http.StatusOK).body
	right.work()
	if got := right.result(file); got != string(want) {
		t.Error("an upload and a request give other bytes")
	}
	right.wantMetrics(`millrace_leaves_checked_rows_total{model="telecom"} 204`) // 64 + 12 of the request, 128 of the part
	if strings.Contains(right.scrape(), "\nmillrace_leaves_differing_rows_total{") {
		t.Error("a right kernel is said to differ")
	}

	models, err := engine.NewRegistry(wrongKernel(t))
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Models = models })
	a.models = models
	a.work()
	if got := a.post("/score", file).want(t, http.StatusOK).body; !bytes.Equal(got, want) {
		t.Errorf("a request: wrong scores are answered: %.300s", got)
	}
	a.wantMetrics(`millrace_walker_scored_total{model="telecom"} 1`)
	if got := a.result(file); got != string(want) {
		t.Errorf("a part: wrong scores are kept: %.300s", got)
	}
	a.wantMetrics(`millrace_walker_scored_total{model="telecom"} 2`)
	differing := regexp.MustCompile(`\nmillrace_leaves_differing_rows_total{model="telecom"} [1-9]`)
	if !differing.MatchString(a.scrape()) {
		t.Error("no differing row is counted")
	}
	if !strings.Contains(a.log.String(), "leaves disagrees with the compiled engine") || strings.Contains(a.log.String(), "C-1") {
		t.Errorf("log %s", a.log.String())
	}
	if left, want := a.objectKeys(), right.objectKeys(); len(left) != len(want) {
		t.Errorf("objects %v, with a right kernel %v", left, want)
	}
}

// result uploads a file and downloads what came of it.
func (a *testAPI) result(file string) string {
	a.t.Helper()
	view := a.finished(file)
	return string(a.get(view["links"].(map[string]any)["download"].(string)).want(a.t, http.StatusOK).body)
}

// TestB26ModelsSayWhetherLeavesHoldsThem expects the reason and its code in /models where leaves cannot hold a model, and
// files scored by it all the same.
func TestB26ModelsSayWhetherLeavesHoldsThem(t *testing.T) {
	model, err := os.ReadFile("../testdata/forest/xgboost/categorical/model.ubj")
	if err != nil {
		t.Fatal(err)
	}
	native, err := engine.OpenModelFile("native.ubj", model)
	if err != nil {
		t.Fatal(err)
	}
	models, err := engine.NewRegistry(native)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range engine.BaselineNames() {
		b, err := engine.OpenBaseline(name)
		if err != nil {
			t.Fatal(err)
		}
		models.Swap(b)
	}
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Models = models })
	for _, m := range a.get("/models").want(t, http.StatusOK).object(t)["models"].([]any) {
		view := m.(map[string]any)
		leaves := view["leaves"].(map[string]any)
		if view["name"] != "native" {
			if leaves["holds"] != true || leaves["reason"] != nil || leaves["code"] != nil {
				t.Errorf("%s: %v", view["name"], leaves)
			}
			continue
		}
		reason, _ := leaves["reason"].(string)
		if leaves["holds"] != false || leaves["code"] != "ERR-1703" || !strings.Contains(reason, "missing category") {
			t.Errorf("native: %v", leaves)
		}
	}
	template := string(a.get("/models/native/template.csv").want(t, http.StatusOK).body)
	row := strings.Repeat("1,", strings.Count(template, ",")) + "1\n"
	a.post("/score?model=native", template+row).want(t, http.StatusOK)
}

// TestB26ScorerLeaves scores a request by leaves, whose scores of a LightGBM model are the same bytes; nothing is
// checked, for there is nothing to check it with.
func TestB26ScorerLeaves(t *testing.T) {
	models, err := engine.NewRegistry(wrongKernel(t))
	if err != nil {
		t.Fatal(err)
	}
	file := scorableRows(500)
	want := startAPI(t, nil).post("/score", file).want(t, http.StatusOK).body
	a := startAPI(t, func(c *api.Config, p *api.Parts) { c.Scorer, p.Models = engine.ScorerLeaves, models })
	if got := a.post("/score", file).want(t, http.StatusOK).body; !bytes.Equal(got, want) {
		t.Errorf("the wrong kernel scored: %.300s", got)
	}
	a.wantMetrics(`millrace_leaves_checked_rows_total{model="telecom"} 0`)
}
