package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// spoiled returns a file of n telecom rows of which the first bad ones have another cell in a column.
func spoiled(n, bad int, column int, cell string) string {
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract\n")
	for row := range n {
		cells := []string{fmt.Sprintf("c%d", row), "12", "70.35", "844.2", "One year"}
		if row < bad {
			cells[column] = cell
		}
		b.WriteString(strings.Join(cells, ",") + "\n")
	}
	return b.String()
}

func TestUselessColumns(t *testing.T) {
	b := baseline(t, "telecom")
	for name, test := range map[string]struct {
		n, bad, column int
		cell           string
		want           string // the problem; empty if the file is good
	}{
		"clean":                  {1000, 0, 4, "", ""},
		"half unseen":            {1000, 500, 4, "Monthly plan", ""},
		"over half unseen":       {1000, 501, 4, "Monthly plan", "not known to the model"},
		"all unseen":             {1000, 1000, 4, "Monthly plan", "not known to the model"},
		"100 rows":               {100, 51, 4, "Monthly plan", "not known to the model"},
		"99 rows":                {99, 99, 4, "Monthly plan", ""},
		"missing numbers":        {1000, 600, 1, "", "missing"},
		"missing categories":     {1000, 600, 4, "NA", "missing"},
		"charges in cents":       {1000, 999, 2, "7035", "outside the range of training"},
		"half charges in cents":  {1000, 500, 2, "7035", ""},
		"rejected, not unusable": {1000, 400, 1, "many", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := spoiled(test.n, test.bad, test.column, test.cell)
			_, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{ChunkBytes: 4 << 10})
			if err != nil {
				t.Fatal(err)
			}
			front := checkFront(t, file, b, engine.ColumnCheckFail)
			for where, err := range map[string]error{"front": front, "whole": tally.CheckColumns(engine.ColumnCheckFail)} {
				var useless *engine.UselessColumnError
				if found := errors.As(err, &useless); found != (test.want != "") {
					t.Fatalf("%s: %v", where, err)
				} else if !found {
					continue
				}
				if useless.Problem() != test.want || useless.Rows() != int64(test.bad) || useless.Of != int64(test.n) || !useless.Whole {
					t.Errorf("%s: %v", where, useless)
				}
				if shown := test.cell != "" && test.want != "missing"; shown != (len(useless.Values) == 1) || shown && useless.Values[0] != test.cell {
					t.Errorf("%s: values %q", where, useless.Values)
				}
				if test.cell != "" && strings.Contains(err.Error(), test.cell) {
					t.Errorf("%s: a value is in the error, which is logged: %v", where, err)
				}
			}
			for _, check := range []engine.ColumnCheck{engine.ColumnCheckWarn, engine.ColumnCheckOff} {
				if err := errors.Join(tally.CheckColumns(check), checkFront(t, file, b, check)); err != nil {
					t.Errorf("%s: %v", check, err)
				}
			}
			warned := tally.Summary().Remarks
			if first := len(warned) > 0 && warned[0].Code == "ERR-1018"; first != (test.want != "") {
				t.Errorf("remarks %+v", warned)
			}
			tally.ColumnCheck = engine.ColumnCheckOff
			for _, r := range tally.Summary().Remarks {
				if r.Code == "ERR-1018" {
					t.Errorf("off, but %+v", r)
				}
			}
		})
	}
}

func checkFront(t *testing.T, file string, b *engine.Bundle, check engine.ColumnCheck) error {
	t.Helper()
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in := engine.Input{Body: body, Header: header, Start: header.Start()}
	if err := in.DecideNumbers(b, ingest.NumberStyle{}); err != nil {
		t.Fatal(err)
	}
	return in.CheckColumns(b, check)
}

// TestUselessColumnsBehindTheFront checks that a column that is of use in the first 10,000 rows only is found at the end, and
// that the front alone decides about one that is useless there.
func TestUselessColumnsBehindTheFront(t *testing.T) {
	b := baseline(t, "telecom")
	lines := strings.SplitAfter(spoiled(40_000, 0, 4, ""), "\n")
	for i := 15_000; i < len(lines); i++ {
		lines[i] = strings.ReplaceAll(lines[i], "One year", "Forever")
	}
	file := strings.Join(lines, "")
	if err := checkFront(t, file, b, engine.ColumnCheckFail); err != nil {
		t.Errorf("front: %v", err)
	}
	_, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var useless *engine.UselessColumnError
	if err := tally.CheckColumns(engine.ColumnCheckFail); !errors.As(err, &useless) || useless.Column != "Contract" {
		t.Errorf("whole: %v", err)
	}
	err = checkFront(t, spoiled(40_000, 12_000, 4, "Forever"), b, engine.ColumnCheckFail)
	if !errors.As(err, &useless) || useless.Whole || useless.Of < 10_000 || useless.Of > 20_000 {
		t.Errorf("front: %v", err)
	}
}

// TestAbsentColumnsAreOfNoFault checks that optional columns which the header does not have are no useless columns.
func TestAbsentColumnsAreOfNoFault(t *testing.T) {
	b := baseline(t, "saas")
	file := spoiled(200, 0, 0, "")
	_, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range tally.Columns {
		if c.Absent && c.Gain >= 0.05 && !c.Key {
			t.Errorf("%s has %.2f of the gain", c.Name, c.Gain)
		}
	}
	for _, r := range tally.Summary().Remarks {
		for _, c := range tally.Columns {
			if c.Absent && r.Column == c.Name {
				t.Errorf("remark %+v on an absent column", r)
			}
		}
	}
}

// TestCleanFilesHaveNoUselessColumns proves that no sample is refused.
func TestCleanFilesHaveNoUselessColumns(t *testing.T) {
	for file, model := range map[string]string{
		"telecom_10k.csv": "telecom", "telecom_sample.csv": "telecom", "saas_sample.csv": "saas",
	} {
		b := baseline(t, model)
		if err := checkFront(t, sample(t, file), b, engine.ColumnCheckFail); err != nil {
			t.Errorf("%s: front: %v", file, err)
		}
		_, tally, err := score(t, sample(t, file), b, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
		if err == nil {
			err = tally.CheckColumns(engine.ColumnCheckFail)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestRemarks checks the order and the sentences: what changes scores comes first, and of that what the model uses most.
func TestRemarks(t *testing.T) {
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" +
		"a,12,70.35,844.2,One year\na,12,970.35,844.2,Weekly\nb,,70.35,844.2,Daily\nc,12,70.35,844.2, One year\n"
	_, tally, err := score(t, file, baseline(t, "telecom"), engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range tally.Summary().Remarks {
		got = append(got, r.Code+" "+r.Text)
	}
	want := []string{
		"ERR-1653 Column 'Contract': 50 % of the rows (2 of 4) have a value that the model does not know, such as 'Weekly', 'Daily'.",
		"ERR-1651 Column 'MonthlyCharges': 25 % of the rows (1 of 4) have a number outside the range of training, such as '970.35'.",
		"ERR-1652 Column 'tenure': 25 % of the rows (1 of 4) have no value.",
		"ERR-1655 Column 'customerID': 25 % of the rows (1 of 4) are of a customer who has an earlier row.",
		"ERR-1654 Column 'Contract': 25 % of the rows (1 of 4) have a value that was trimmed or spelled differently, which changes nothing.",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestFewScored checks from which share of scored rows a file is one of too few.
func TestFewScored(t *testing.T) {
	limit := int64(3)
	for _, test := range []struct {
		rows, scored int64
		budget       engine.Budget
		few          bool
	}{
		{4, 2, engine.Budget{}, false},
		{4, 1, engine.Budget{}, true},
		{3, 1, engine.Budget{}, true},
		{1, 0, engine.Budget{}, true},
		{4, 1, engine.Budget{MaxRejected: &limit}, false},
	} {
		var few *engine.FewScoredError
		err := test.budget.CheckScored(&engine.Tally{Rows: test.rows, Scored: test.scored, Rejected: test.rows - test.scored})
		if errors.As(err, &few) != test.few {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
