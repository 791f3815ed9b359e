package serve_test

import (
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// TestGuardIsUndoneInOtherFormats sends files of random cells, with every delimiter, and wants the customer's own values back
// as JSON lines and Arrow, of results and rejects, stored and not: with formulas, apostrophes of the customer's own in front of
// them, and from a result that is sent in again.
func TestGuardIsUndoneInOtherFormats(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	random := rand.New(rand.NewPCG(5, 6))
	pieces := []string{"=", "+", "-", "@", "|", "%", "'", "''", "=1+1", "-5", "'-5", "'=1", "''@x", " ", ",", ";", "\t", "\"", "\n", "\r", "a", "é", "＝", "]"}
	for _, delimiter := range ",;\t|" {
		names := []string{"customerID", "tenure", "MonthlyCharges", "TotalCharges", "Contract", "'=note", "=more;'+x"}
		var rows, refused [][]string
		var text strings.Builder
		w := csv.NewWriter(&text)
		w.Comma = delimiter
		_ = w.Write(names)
		for i := range 300 {
			cells := []string{"x", "5", "70.35", "350.5", "One year", "", "x"}
			for _, at := range []int{0, 5, 6} {
				for range random.IntN(6) {
					cells[at] += pieces[random.IntN(len(pieces))]
				}
			}
			cells[0] += "y"
			if i%3 == 0 {
				cells[1] = "many"
				refused = append(refused, cells)
			} else {
				rows = append(rows, cells)
			}
			_ = w.Write(cells)
		}
		w.Flush()
		all := slices.Concat(rows, refused)
		for _, file := range []string{text.String(), string(a.post("/score", text.String()).want(t, http.StatusOK).body)} {
			if file != text.String() { // a result: without the rejected rows
				all, refused = rows, nil
			}
			links := a.post("/upload", file, header("Prefer", "wait=60")).want(t, http.StatusOK).object(t)["links"].(map[string]any)
			for link, want := range map[string][][]string{"download": rows, "rejects": refused} {
				address := links[link].(string)
				sameValues(t, a.get(withQuery(address, "format=jsonl")).want(t, http.StatusOK), names, want)
				sameArrowValues(t, readArrow(t, a.get(withQuery(address, "format=arrow")).want(t, http.StatusOK).body), names, want)
			}
			sameValues(t, a.post("/score?format=jsonl", file).want(t, http.StatusOK), names, all)
		}
	}
}

func withQuery(address, query string) string {
	if strings.Contains(address, "?") {
		return address + "&" + query
	}
	return address + "?" + query
}

// sameValues wants the rows as JSON lines, in any order.
func sameValues(t *testing.T, got answer, names []string, want [][]string) {
	t.Helper()
	columns := map[string][]string{}
	lines := 0
	for line := range strings.Lines(string(got.body)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		lines++
		for _, name := range names {
			text, ok := row[name].(string)
			if !ok {
				t.Fatalf("no %q in %s", name, line)
			}
			columns[name] = append(columns[name], text)
		}
	}
	if lines != len(want) || got.header.Get("Csv-Guard") == "on" {
		t.Errorf("%d lines, want %d; headers %v", lines, len(want), got.header)
	}
	sameArrowValues(t, columns, names, want)
}

func sameArrowValues(t *testing.T, columns map[string][]string, names []string, want [][]string) {
	t.Helper()
	for i, name := range names {
		var values []string
		for _, row := range want {
			values = append(values, row[i])
		}
		if got := columns[name]; len(got) != len(values) {
			t.Errorf("column %q: %d values, want %d", name, len(got), len(values))
		} else if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(values))) {
			for k := range got {
				if got[k] != values[k] {
					t.Errorf("column %q, row %d: %q, want %q", name, k, got[k], values[k])
				}
			}
		}
	}
}
