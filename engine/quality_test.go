package engine_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// summarize scores a file without explanations and returns its summary.
func summarize(t testing.TB, file string, b *engine.Bundle, limits ingest.Limits) engine.Summary {
	t.Helper()
	_, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainNone}, limits)
	if err != nil {
		t.Fatal(err)
	}
	return tally.Summary()
}

func qualityOf(t testing.TB, s engine.Summary, column string) engine.ColumnQuality {
	t.Helper()
	for _, c := range s.Quality.Columns {
		if c.Column == column {
			return c
		}
	}
	t.Fatalf("no column %q", column)
	return engine.ColumnQuality{}
}

func TestQualityOfColumns(t *testing.T) {
	b := baseline(t, "telecom")
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract,PaperlessBilling,PaymentMethod,OnlineBackup\n" +
		"a,5,20,100,One year,Yes,Cheque,\n" +
		"b,5,200,,One year,Yes,Mailed check,\n" +
		"a,5,,,One year,Yes,Barter,Yes\n" +
		"c,many,1,1,Weekly,No,Weekly,No\n" + // rejected: not counted
		"d,5,30,100,Weekly,Yes,,\n"
	for _, chunk := range []int{1, 1 << 20} { // one row per chunk, and all rows in one
		s := summarize(t, file, b, ingest.Limits{ChunkBytes: chunk, RowBytesMax: 1000})
		if s.Quality.DuplicateIDs != 1 || s.Drift != nil {
			t.Errorf("%d duplicates, drift %+v", s.Quality.DuplicateIDs, s.Drift)
		}
		zero := 0.0
		for _, want := range []engine.ColumnQuality{
			{Column: "customerID"},
			{Column: "tenure", TrainingMissing: &zero, Constant: true},
			{Column: "MonthlyCharges", Missing: 1, MissingShare: 0.25, TrainingMissing: &zero, OutOfRange: 1},
			{Column: "Contract", TrainingMissing: &zero, Unseen: 1},
			{Column: "PaperlessBilling", TrainingMissing: &zero, Constant: true},
			{Column: "PaymentMethod", Missing: 1, MissingShare: 0.25, TrainingMissing: &zero, Unseen: 2},
			{Column: "OnlineBackup", Missing: 3, MissingShare: 0.75, TrainingMissing: &zero},
			{Column: "gender", Absent: true, Missing: 4, MissingShare: 1, TrainingMissing: &zero},
			{Column: "SeniorCitizen", Absent: true, Missing: 4, MissingShare: 1, TrainingMissing: &zero},
		} {
			got := qualityOf(t, s, want.Column)
			if asJSON(t, got) != asJSON(t, want) {
				t.Errorf("chunks of %d: %s, want %s", chunk, asJSON(t, got), asJSON(t, want))
			}
		}
		if got := qualityOf(t, s, "TotalCharges"); got.Missing != 2 || got.Constant != true ||
			*got.TrainingMissing == 0 {
			t.Errorf("TotalCharges: %+v", got)
		}
	}
}

func asJSON(t testing.TB, x any) string {
	t.Helper()
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sameJSON shows the first place where two texts differ.
func sameJSON(t testing.TB, got, want string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			first, end := max(i-80, 0), i+80
			t.Fatalf("got  …%s…\nwant …%s…", got[first:min(end, len(got))], want[first:min(end, len(want))])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d bytes, want %d", len(got), len(want))
	}
}

// sampled draws n rows for which keep is true, with replacement.
func sampled(t testing.TB, file string, n int, keep func(cells []string) bool) string {
	t.Helper()
	head, body, _ := strings.Cut(file, "\n")
	rows := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	random := rand.New(rand.NewPCG(5, 6))
	var out strings.Builder
	out.WriteString(head + "\n")
	for n > 0 {
		row := rows[random.IntN(len(rows))]
		if keep == nil || keep(strings.Split(row, ",")) {
			out.WriteString(row + "\n")
			n--
		}
	}
	return out.String()
}

func columnOf(t testing.TB, file, name string) int {
	t.Helper()
	head, _, _ := strings.Cut(file, "\n")
	i := slices.Index(strings.Split(strings.TrimSuffix(head, "\r"), ","), name)
	if i < 0 {
		t.Fatalf("no column %q in %s", name, head)
	}
	return i
}

func TestDriftDetection(t *testing.T) {
	b := baseline(t, "telecom")
	file := sample(t, "telecom_10k.csv")
	s := summarize(t, sampled(t, file, 5000, nil), b, ingest.Limits{})
	if s.Drift == nil || s.Drift.Score == nil || len(s.Drift.Features) < 10 {
		t.Fatalf("drift %+v", s.Drift)
	}
	if s.Drift.Score.Change != "none" {
		t.Errorf("a resample drifts in its scores: %+v", s.Drift.Score)
	}
	for i, f := range s.Drift.Features {
		if f.Change == "large" { // the sample's generator has other charges than the training data
			t.Errorf("a resample drifts in %s: %+v", f.Column, f)
		}
		if i > 0 && f.PSI*f.Importance > s.Drift.Features[i-1].PSI*s.Drift.Features[i-1].Importance*(1+1e-6) {
			t.Errorf("%s comes after a less important one", f.Column)
		}
	}
	contract := columnOf(t, file, "Contract")
	s = summarize(t, sampled(t, file, 1000, func(cells []string) bool { return cells[contract] == "Two year" }), b,
		ingest.Limits{})
	if first := s.Drift.Features[0]; first.Column != "Contract" || first.Change != "large" {
		t.Errorf("two-year contracts only: %+v", s.Drift.Features)
	}
	if s.Drift.Score.Change != "large" || !qualityOf(t, s, "Contract").Constant {
		t.Errorf("two-year contracts only: %+v", s.Drift.Score)
	}
	if s := summarize(t, sampled(t, file, 499, nil), b, ingest.Limits{}); s.Drift != nil {
		t.Errorf("drift of 499 rows: %+v", s.Drift)
	}
}

// The index of a category column is computed from its cells by the formula.
func TestDriftEqualsFormula(t *testing.T) {
	b := baseline(t, "telecom")
	file := sampled(t, sample(t, "telecom_10k.csv"), 800, nil)
	at := columnOf(t, file, "Contract")
	training := map[string]float64{"Month-to-month": 0.552538, "One year": 0.211218, "Two year": 0.236244, "": 0}
	counts := map[string]float64{}
	rows := csvRecords(t, file)[1:]
	for _, row := range rows {
		counts[row[at]]++
	}
	want := 0.0
	for value, e := range training {
		a := max(counts[value]/float64(len(rows)), 0.0001)
		e = max(e, 0.0001)
		want += (a - e) * math.Log(a/e)
	}
	s := summarize(t, file, b, ingest.Limits{})
	for _, f := range s.Drift.Features {
		if f.Column == "Contract" && math.Abs(f.PSI-want) > 1e-8 {
			t.Errorf("PSI %v, want %v", f.PSI, want)
		}
	}
}

// Tallies of parts, stored as JSON and added in order, equal that of one pass.
func TestAddTalliesOfParts(t *testing.T) {
	b := baseline(t, "telecom")
	whole := sampled(t, sample(t, "telecom_10k.csv"), 2000, nil) + "x,many\n"
	head, body, _ := strings.Cut(whole, "\n")
	rows := strings.SplitAfter(body, "\n")
	var total engine.Tally
	h := headerOf(t, head)
	for i, first := range []int{0, 700, 1400} {
		body := strings.NewReader(strings.Join(rows[first:min(first+700, len(rows))], ""))
		start := h.Start()
		start.Row += int64(first)
		in := engine.Input{Body: body, Header: h, Start: start}
		part, err := engine.Score(t.Context(), in, b, engine.Options{Explain: engine.ExplainNone}, new(collector))
		if err != nil {
			t.Fatal(err)
		}
		var kept engine.Tally
		if err := json.Unmarshal([]byte(asJSON(t, part)), &kept); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			total = kept
		} else {
			total.Add(&kept)
		}
	}
	want := summarize(t, whole, b, ingest.Limits{})
	got := total.Summary()
	want.Quality.DuplicateIDs, got.Quality.DuplicateIDs = 0, 0 // parts find duplicates within themselves only
	want.Warnings, got.Warnings = nil, nil
	want.Remarks, got.Remarks = nil, nil
	sameJSON(t, asJSON(t, got), asJSON(t, want))
}

func TestSummaryDoesNotDependOnWorkers(t *testing.T) {
	b := baseline(t, "telecom")
	file := sample(t, "telecom_10k.csv")
	want := ""
	for _, workers := range []int{1, 2, 5} {
		for range 2 {
			_, tally, err := score(t, file, b, engine.Options{Workers: workers, Explain: engine.ExplainNone},
				ingest.Limits{ChunkBytes: 32 << 10})
			if err != nil {
				t.Fatal(err)
			}
			got := asJSON(t, tally) + asJSON(t, tally.Summary())
			if want == "" {
				want = got
			}
			if got != want {
				t.Fatalf("the counts of %d workers differ", workers)
			}
		}
	}
}

func TestTrainingProfileValidation(t *testing.T) {
	for name, spoil := range map[string][2]string{
		"shares for other bins":  {"shares: [0.497515, 0.502485, 0.0]", "shares: [0.497515, 0.502485]"},
		"edges out of order":     {"edges: [2.0, 6.0,", "edges: [6.0, 2.0,"},
		"unknown column":         {"  columns:\n    gender:\n      missing", "  columns:\n    nobody:\n      missing"},
		"scores of another size": {"score_shares: [", "score_shares: [0.0, "},
	} {
		files := copyOf(t, "telecom")
		before := string(files["bundle.yaml"].Data)
		if replace(files, "bundle.yaml", spoil[0], spoil[1]); before == string(files["bundle.yaml"].Data) {
			t.Fatalf("%s: %q is not in the bundle", name, spoil[0])
		}
		writeManifest(files)
		if _, err := engine.OpenBundle(files); err == nil || !strings.Contains(err.Error(), "training") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A bundle without a training profile reports no drift but counts its columns.
func TestNoTrainingProfile(t *testing.T) {
	files := copyOf(t, "telecom")
	text := string(files["bundle.yaml"].Data)
	at := strings.Index(text, "\ntraining:")
	files["bundle.yaml"].Data = []byte(text[:at+1])
	writeManifest(files)
	b, err := engine.OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	s := summarize(t, sampled(t, sample(t, "telecom_10k.csv"), 600, nil), b, ingest.Limits{})
	if s.Drift != nil {
		t.Errorf("drift %+v", s.Drift)
	}
	if q := qualityOf(t, s, "tenure"); q.TrainingMissing != nil || q.Constant {
		t.Errorf("tenure %+v", q)
	}
}

func TestImportanceSharesSumToOne(t *testing.T) {
	for _, name := range engine.BaselineNames() {
		b := baseline(t, name)
		head, row := "", ""
		for i, c := range b.Schema().Columns {
			if i > 0 {
				head, row = head+",", row+","
			}
			head += c.Name
			if c.Kind == ingest.Text {
				row += "x"
			}
		}
		s := summarize(t, head+"\n"+strings.Repeat(row+"\n", 500), b, ingest.Limits{})
		total := 0.0
		for _, f := range s.Drift.Features {
			if f.Importance < 0 || f.Change != "large" && f.Column != "nps_score" {
				t.Errorf("%s: %s of nothing but blanks: %+v", name, f.Column, f)
			}
			total += f.Importance
		}
		if math.Abs(total-1) > 1e-6 {
			t.Errorf("%s: importance adds up to %v", name, total)
		}
	}
}
