package serve_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// formulas is telecom with cells that a spreadsheet would run: in a column of its own, in a header, in a refused row.
const formulas = "customerID,tenure,MonthlyCharges,TotalCharges,Contract,=note\n" +
	"A-1,5,70.35,350.5,Month-to-month,=1+1\n" +
	"@A-2,40,20.1,804,Two year,-5\n" +
	"A-3,=cmd,99.9,1198.8,One year,\"two\n+x\"\n" +
	"|A-4,5,70.35,350.5,Month-to-month,%x\n"

func TestGuard(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	for _, test := range []struct {
		query, header string
		result        []string
		rejects       string
	}{
		{"", "on", []string{",'=note,", ",'=1+1,", "'@A-2,", ",-5,", "\n'|A-4,", ",'%x,"}, "A-3,'=cmd,99.9,1198.8,One year,\"two\n'+x\",3,4,"},
		{"&guard=off", "off", []string{",=note,", ",=1+1,", "\n@A-2,", ",-5,", "\n|A-4,", ",%x,"}, "A-3,=cmd,99.9,1198.8,One year,\"two\n+x\",3,4,"},
	} {
		r := a.post("/upload?filename=-x.csv"+test.query, formulas, header("Prefer", "wait=30")).want(t, http.StatusOK)
		links := r.object(t)["links"].(map[string]any)
		stored := a.get(links["download"].(string)).want(t, http.StatusOK)
		scored := a.post("/score?filename=x.csv"+test.query, formulas).want(t, http.StatusOK)
		if string(stored.body) != string(scored.body) {
			t.Errorf("%q: stored\n%s\nscored\n%s", test.query, stored.body, scored.body)
		}
		for _, want := range test.result {
			if !strings.Contains(string(stored.body), want) {
				t.Errorf("%q: no %q in\n%s", test.query, want, stored.body)
			}
		}
		rejects := a.get(links["rejects"].(string)).want(t, http.StatusOK)
		if !strings.Contains(string(rejects.body), test.rejects) {
			t.Errorf("%q: no %q in\n%s", test.query, test.rejects, rejects.body)
		}
		for _, got := range []answer{stored, scored, rejects} {
			if got.header.Get("Csv-Guard") != test.header {
				t.Errorf("%q: header %q", test.query, got.header.Get("Csv-Guard"))
			}
		}
		if got := stored.header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="_-x-scored.csv"`) {
			t.Errorf("file name %s", got)
		}
	}
	a.post("/upload?guard=maybe", formulas).wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
}

// TestGuardAgainstSpreadsheet lets LibreOffice read a guarded file and wants no cell computed.
func TestGuardAgainstSpreadsheet(t *testing.T) {
	office, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("SKIPPED: soffice (LibreOffice) is not installed, so no spreadsheet has judged the guard")
	}
	a := startAPI(t, nil)
	var cells []string
	for _, formula := range []string{"=6*7", "+6*7", "-6*7", "@SUM(42)", " =6*7", "\t=6*7", "＝6*7", "\u200b=6*7", "x;=6*7", "a\r=6*7"} {
		cells = append(cells, formula, `"`+formula+`"`, "\"a\n"+formula+"\"")
	}
	file := telecom[:strings.Index(telecom, "\n")] + ",note\n"
	for _, cell := range cells {
		file += "A,5,70.35,350.5,One year," + cell + "\n"
	}
	dir := t.TempDir()
	scored := a.post("/score?"+url.Values{"explain": {"none"}}.Encode(), file).want(t, http.StatusOK)
	if err := os.WriteFile(filepath.Join(dir, "in.csv"), scored.body, 0o600); err != nil {
		t.Fatal(err)
	}
	// Formulas are written out as such, so one that is there shows with its sign and without an apostrophe.
	convert := exec.Command(office, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--convert-to", "fods",
		"--outdir", dir, filepath.Join(dir, "in.csv"))
	if text, err := convert.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	sheet, err := os.ReadFile(filepath.Join(dir, "in.fods"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(sheet), "table:formula="); n != 0 {
		t.Errorf("%d cells are formulas", n)
	}
}
