package serve_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// columnFile is n rows of which those from row first on have a contract that the model does not know; the last row is
// rejected.
func columnFile(n, first int) string {
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for row := range n {
		contract := "One year"
		if row >= first {
			contract = "Lifelong"
		}
		fmt.Fprintf(&b, "c%d,12,70.35,844.2,%s\n", row, contract)
	}
	b.WriteString("last,many,70.35,844.2,One year\n")
	return b.String()
}

// TestUselessColumnFails checks every way in: refused by its front, failed at the end with the rejects kept, and scored where
// the parameter says so. No value is logged.
func TestUselessColumnFails(t *testing.T) {
	a := startAPI(t, nil)
	front, end := columnFile(200, 50), columnFile(40_000, 15_000)
	const sentence = "Column 'Contract' is of no use: in 75 % of the rows its values are not known to the model ('Lifelong'), " +
		"and the model expects 'Month-to-month', 'One year', 'Two year'."
	for _, path := range []string{"/upload", "/validate", "/score?column_check=fail", "/upload?column_check=fail"} {
		e := a.post(path, front).wantError(t, http.StatusBadRequest, "ERR-1018")
		if e.Error.Message != sentence {
			t.Errorf("%s: %s", path, e.Error.Message)
		}
	}
	if keys := a.objectKeys(); len(keys) != 0 {
		t.Errorf("stored of refused files: %v", keys)
	}
	a.post("/upload?column_check=maybe", front).wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	a.post("/score", front).want(t, http.StatusOK)

	stop := a.work()
	defer stop()
	wait := header("Prefer", "wait=60")
	p := a.post("/upload", end, wait).want(t, http.StatusOK).object(t)
	failure, _ := p["error"].(map[string]any)
	if p["status"] != "failed" || failure["code"] != "ERR-1018" || !strings.Contains(fmt.Sprint(failure["message"]), "'Lifelong'") {
		t.Fatalf("%v: %v", p["status"], failure)
	}
	self := "/predictions/" + fmt.Sprint(p["prediction_id"])
	a.get(self+"/download").wantError(t, http.StatusConflict, "ERR-1018")
	a.get(self+"/rows").wantError(t, http.StatusConflict, "ERR-1018")
	if rejects := string(a.get(self+"/rejects").want(t, http.StatusOK).body); strings.Count(rejects, "\n") != 2 || !strings.Contains(rejects, "last,many") {
		t.Errorf("rejects %q", rejects)
	}
	p = a.post("/upload?column_check=warn", end, wait).want(t, http.StatusOK).object(t)
	summary, _ := p["summary"].(map[string]any)
	if p["status"] != "completed" || !strings.Contains(fmt.Sprint(summary["remarks"]), "Column 'Contract' is of no use") {
		t.Errorf("%v: %v", p["status"], summary["remarks"])
	}
	if strings.Contains(a.log.String(), "Lifelong") {
		t.Error("a value is in the log")
	}
}

// TestFewScoredFails checks that a prediction of which fewer than half of the rows were scored fails with its rejects, unless
// the upload allows it.
func TestFewScoredFails(t *testing.T) {
	a := startAPI(t, nil)
	stop := a.work()
	defer stop()
	const file = "customerID,tenure,MonthlyCharges,TotalCharges,Contract\na,12,70.35,844.2,One year\nb,x,1,2,One year\nc,y,1,2,One year\n"
	wait := header("Prefer", "wait=30")
	p := a.post("/upload", file, wait).want(t, http.StatusOK).object(t)
	failure, _ := p["error"].(map[string]any)
	if p["status"] != "failed" || failure["code"] != "ERR-1111" || failure["message"] != "Only 1 of the 3 rows could be scored." {
		t.Errorf("%v: %v", p["status"], failure)
	}
	self := "/predictions/" + fmt.Sprint(p["prediction_id"])
	a.get(self+"/download").wantError(t, http.StatusConflict, "ERR-1111")
	if rejects := string(a.get(self+"/rejects").want(t, http.StatusOK).body); strings.Count(rejects, "\n") != 3 {
		t.Errorf("rejects %q", rejects)
	}
	for _, path := range []string{"/upload?allow_rejects=true", "/upload?max_rejected=2"} {
		if p := a.post(path, file, wait).want(t, http.StatusOK).object(t); p["status"] != "completed" {
			t.Errorf("%s: %v", path, p["error"])
		}
	}
	a.post("/upload?allow_rejects=x", file).wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
}
