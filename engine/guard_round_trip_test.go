package engine_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// TestGuardRoundTrip sends a result and a corrected rejects file in again: ids, lone signs and scores are those of the first
// time, and the customers are the same.
func TestGuardRoundTrip(t *testing.T) {
	b := baseline(t, "telecom")
	const header = "customerID,tenure,MonthlyCharges,TotalCharges,Contract,PaymentMethod,note\n"
	file := header +
		"@anna,12,70.35,844.2,One year,-,-\n=b,-,70.35,-,One year,Mailed check,=1+1\n-c,12,70.35,844.2,-,-,\"a;=1\"\n" +
		"\"d;=x|@y,+z\",12,70.35,844.2,One year,-,\"t\t=1\"\n-,12,70.35,844.2,Two year,-,x\n"
	options := engine.Options{Explain: engine.ExplainAll, WithHeader: true}
	first, tally, err := score(t, file, b, options, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	again, same, err := score(t, first.result.String(), b, options, ingest.Limits{})
	if err != nil || again.result.String() != first.result.String() {
		t.Fatalf("%v\n%s\nbecame\n%s", err, first.result.String(), again.result.String())
	}
	sameJSON(t, asJSON(t, same.Top), asJSON(t, tally.Top))
	sameJSON(t, asJSON(t, same.Warnings), asJSON(t, tally.Warnings))
	var ids []string
	for _, row := range tally.Top.ByProbability {
		ids = append(ids, row.ID)
	}
	if got := strings.Join(ids, " "); !strings.Contains(got, "@anna") || !strings.Contains(got, "=b") || strings.Contains(got, "'") {
		t.Errorf("ids %s", got)
	}

	broken := strings.ReplaceAll(file, ",70.35,", ",much,")
	refused, _, err := score(t, broken, b, options, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	corrected := strings.ReplaceAll(refused.rejects.String(), ",much,", ",70.35,")
	mended, counts, err := score(t, corrected, b, options, ingest.Limits{})
	if err != nil || counts.Rejected != 0 || mended.result.String() != first.result.String() {
		t.Errorf("%d rejected (%v)\n%s\nwant\n%s", counts.Rejected, err, mended.result.String(), first.result.String())
	}
}

// TestGuardedPieces reads results and rejects as programs do that split at another separator, or at several: no cell is a
// formula.
func TestGuardedPieces(t *testing.T) {
	b := baseline(t, "telecom")
	payloads := []string{"=1+1", "+1+1", "-1+1", "@SUM(1)", "=cmd|'/C calc'!A0", " =1+1"}
	for _, delimiter := range ",;\t|" {
		var text strings.Builder
		w := csv.NewWriter(&text)
		w.Comma = delimiter
		_ = w.Write([]string{"customerID", "tenure", "MonthlyCharges", "TotalCharges", "Contract", "note", "a;=1,=2\t=3|=4"})
		for _, payload := range payloads {
			for _, between := range []string{"", ",", ";", "\t", "|", ";\""} {
				cell := "a" + between + payload
				if between == "" {
					cell = payload
				}
				_ = w.Write([]string{cell, "12", "70.35", "844.2", "One year", cell, "x"})
				_ = w.Write([]string{cell, "many", "70.35", "844.2", "One year", cell, "x"})
			}
		}
		w.Flush()
		out, tally, err := score(t, text.String(), b, engine.Options{Explain: engine.ExplainAll, WithHeader: true}, ingest.Limits{})
		if err != nil || tally.Rejected != tally.Scored {
			t.Fatalf("%q: %d rejected, %d scored: %v", delimiter, tally.Rejected, tally.Scored, err)
		}
		for name, written := range map[string]string{"result": out.result.String(), "rejects": out.rejects.String()} {
			for _, separators := range []string{",", ";", "\t", "|", ",\t", ",;\t|"} {
				for _, cell := range strings.FieldsFunc(written, func(r rune) bool { return r == '\n' || strings.ContainsRune(separators, r) }) {
					cell = strings.TrimLeft(cell, "\" ")
					if len(cell) > 1 && strings.ContainsRune("=+@", rune(cell[0])) || strings.HasPrefix(cell, "-1+") {
						t.Errorf("%s with %q split at %q has the cell %q", name, delimiter, separators, cell)
					}
				}
			}
		}
	}
}
