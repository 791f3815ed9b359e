package engine_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// scoredRow is a row of a result file.
type scoredRow struct {
	row   int64
	id    string
	band  string
	p     float64
	value float64 // NaN if missing
	cells map[string]string
}

func (r scoredRow) loss() float64 { return r.p * r.value }

// readResult reads a result file. The ids must be the row numbers; see numbered.
func readResult(t testing.TB, file, id, value string) []scoredRow {
	t.Helper()
	lines := csvRecords(t, file)
	var rows []scoredRow
	for _, line := range lines[1:] {
		r := scoredRow{cells: map[string]string{}, value: math.NaN()}
		for i, name := range lines[0] {
			r.cells[name] = line[i]
		}
		p, err := strconv.ParseFloat(r.cells["churn_probability"], 32)
		if err != nil {
			t.Fatal(err)
		}
		r.p, r.band, r.id = p, r.cells["risk_band"], r.cells[id]
		if r.row, err = strconv.ParseInt(r.id, 10, 64); err != nil {
			t.Fatal(err)
		}
		if text := r.cells[value]; text != "" {
			if r.value, err = strconv.ParseFloat(text, 64); err != nil {
				t.Fatal(err)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// numbered replaces the ids of a file by row numbers, makes some rows invalid and removes the value of others.
func numbered(t testing.TB, file string) string {
	t.Helper()
	id, value, tenure := columnOf(t, file, "customerID"), columnOf(t, file, "MonthlyCharges"), columnOf(t, file, "tenure")
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(file, "\r", ""), "\n"), "\n")
	for i, line := range lines[1:] {
		cells := strings.Split(line, ",")
		cells[id] = strconv.Itoa(i + 1)
		if i%50 == 7 {
			cells[value] = ""
		}
		if i%100 == 13 {
			cells[tenure] = "many"
		}
		lines[i+1] = strings.Join(cells, ",")
	}
	return strings.Join(lines, "\n") + "\n"
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-8*max(math.Abs(want), 1e-3) }

func TestSummaryEqualsResultFile(t *testing.T) {
	b := baseline(t, "telecom")
	file := numbered(t, sampled(t, sample(t, "telecom_10k.csv"), 3000, nil))
	for _, chunk := range []int{8 << 10, 1 << 20} {
		c, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainAll},
			ingest.Limits{ChunkBytes: chunk, RowBytesMax: 4000})
		if err != nil {
			t.Fatal(err)
		}
		s := tally.Summary()
		rows := readResult(t, c.result.String(), "customerID", "MonthlyCharges")
		if s.Rows != 3000 || s.Rejected != 30 || s.Scored != int64(len(rows)) || s.Explained != s.Scored {
			t.Fatalf("%d rows, %d scored, %d rejected, %d explained", s.Rows, s.Scored, s.Rejected, s.Explained)
		}
		checkMoney(t, s, rows)
		checkSegments(t, s, rows)
		checkTop(t, "by probability", s.Top.ByProbability, rows, func(r scoredRow) float64 { return r.p })
		checkTop(t, "by loss", s.Top.ByLoss, rows, scoredRow.loss)
		checkCoverage(t, "by probability", s.Coverage.ByProbability, rows, func(r scoredRow) float64 { return r.p })
		checkCoverage(t, "by loss", s.Coverage.ByLoss, rows, scoredRow.loss)
		checkDrivers(t, s, b, rows)
	}
}

func checkMoney(t *testing.T, s engine.Summary, rows []scoredRow) {
	t.Helper()
	type sums struct {
		n                     int64
		expected, value, loss float64
	}
	var all sums
	variance, without := 0.0, int64(0)
	bands, histogram := map[string]*sums{}, make([]int64, 20)
	for _, r := range rows {
		if bands[r.band] == nil {
			bands[r.band] = new(sums)
		}
		variance += r.p * (1 - r.p)
		histogram[min(int(r.p*20), 19)]++
		for _, c := range []*sums{&all, bands[r.band]} {
			c.n++
			c.expected += r.p
			if !math.IsNaN(r.value) {
				c.value, c.loss = c.value+r.value, c.loss+r.loss()
			}
		}
		if math.IsNaN(r.value) {
			without++
		}
	}
	if !near(s.Expected, all.expected) || !near(s.Spread, math.Sqrt(variance)) ||
		!slices.Equal(s.Histogram, histogram) {
		t.Errorf("expected %v ± %v, want %v ± %v", s.Expected, s.Spread, all.expected, math.Sqrt(variance))
	}
	if v := s.Value; v.Column != "MonthlyCharges" || v.Missing != without || !near(v.Total, all.value) ||
		!near(v.Loss, all.loss) {
		t.Errorf("value %+v, want %+v without %d", v, all, without)
	}
	for _, band := range s.Bands {
		want := bands[band.Name]
		if band.Count != want.n || !near(band.Expected, want.expected) || !near(*band.Value, want.value) ||
			!near(*band.Loss, want.loss) {
			t.Errorf("band %+v, want %+v", band, want)
		}
	}
}

func checkSegments(t *testing.T, s engine.Summary, rows []scoredRow) {
	t.Helper()
	if len(s.Segments) != 5 || s.Segments[0].Column != "Contract" {
		t.Fatalf("segments %+v", s.Segments)
	}
	for _, segment := range s.Segments {
		customers := int64(0)
		for i, v := range segment.Values {
			n, expected, loss := int64(0), 0.0, 0.0
			for _, r := range rows {
				if r.cells[segment.Column] != *v.Value {
					continue
				}
				n, expected = n+1, expected+r.p
				if !math.IsNaN(r.value) {
					loss += r.loss()
				}
			}
			if v.Count != n || !near(v.Expected, expected) || !near(v.Mean, expected/float64(n)) ||
				!near(*v.Loss, loss) {
				t.Errorf("%s %q: %+v, want %d, %v, %v", segment.Column, *v.Value, v, n, expected, loss)
			}
			if i > 0 && v.Count > segment.Values[i-1].Count {
				t.Errorf("%s: %q is behind a smaller one", segment.Column, *v.Value)
			}
			customers += v.Count
		}
		if customers != s.Scored {
			t.Errorf("%s: %d customers of %d", segment.Column, customers, s.Scored)
		}
	}
}

func checkTop(t *testing.T, name string, top []engine.TopRow, rows []scoredRow, figure func(scoredRow) float64) {
	t.Helper()
	rows = slices.DeleteFunc(slices.Clone(rows), func(r scoredRow) bool { return math.IsNaN(figure(r)) })
	slices.SortStableFunc(rows, func(a, b scoredRow) int { return cmp.Compare(figure(b), figure(a)) })
	if len(top) != 20 {
		t.Fatalf("%s: %d rows", name, len(top))
	}
	for i, got := range top {
		want := rows[i]
		if got.Row != want.row || got.ID != want.id || float64(got.Probability) != want.p ||
			got.Explanation == "" || got.Explanation != want.cells["explanation"] {
			t.Errorf("%s: place %d: %+v, want %+v", name, i+1, got, want)
		}
		if math.IsNaN(want.value) != (got.Loss == nil) || got.Loss != nil &&
			(*got.Loss != want.loss() || *got.Value != want.value) {
			t.Errorf("%s: place %d: %+v, want %+v", name, i+1, got, want)
		}
	}
}

// checkCoverage compares each point with the sums over the rows with the largest figures.
func checkCoverage(
	t *testing.T, name string, points []engine.CoveragePoint, rows []scoredRow, figure func(scoredRow) float64,
) {
	t.Helper()
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b scoredRow) int { return cmp.Compare(figure(b), figure(a)) }) // NaN sorts last
	expected, loss := make([]float64, len(rows)+1), make([]float64, len(rows)+1)
	for i, r := range rows {
		expected[i+1], loss[i+1] = expected[i]+r.p, loss[i]
		if !math.IsNaN(r.value) {
			loss[i+1] += r.loss()
		}
	}
	if last := points[len(points)-1]; len(points) < 10 || last.Contacted != int64(len(rows)) ||
		last.ExpectedShare != 1 || *last.LossShare != 1 {
		t.Errorf("%s: %d points, the last is %+v", name, len(points), last)
	}
	for _, p := range points {
		n := p.Contacted
		if !near(p.Expected, expected[n]) || !near(*p.Loss, loss[n]) ||
			!near(p.ExpectedShare, expected[n]/expected[len(rows)]) || !near(*p.LossShare, loss[n]/loss[len(rows)]) {
			t.Errorf("%s: %d contacted: %+v, want %v and %v", name, n, p, expected[n], loss[n])
		}
	}
}

// contributionsOf computes the contributions of rows from their cells; of returns the sum of a row's contributions over
// columns.
func contributionsOf(t testing.TB, b *engine.Bundle, rows []scoredRow) (of func(row int, columns []string) float64) {
	t.Helper()
	f := b.Forest()
	matrix := forest.Rows{Len: len(rows), Columns: make([]forest.Column, len(f.Features))}
	places := map[string]int{}
	for i, feature := range f.Features {
		places[feature.Name] = i
		at := slices.IndexFunc(b.Schema().Columns, func(c ingest.Column) bool { return c.Name == feature.Name })
		numbers := make([]float64, len(rows))
		for j, r := range rows {
			cell := strings.TrimSpace(r.cells[feature.Name])
			x, err := strconv.ParseFloat(cell, 64)
			if categories := b.Schema().Columns[at].Categories; categories != nil {
				x, err = float64(slices.Index(categories, cell)), nil
			}
			if err != nil || x < 0 {
				x = math.NaN()
			}
			numbers[j] = x
		}
		matrix.Columns[i].Numbers = numbers
	}
	e, err := forest.NewExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	width := len(f.Features) + 1
	phi := make([]float64, len(rows)*width)
	e.NewContributor().Contributions(phi, matrix)
	return func(row int, columns []string) float64 {
		together := 0.0
		for _, name := range columns {
			together += phi[row*width+places[name]]
		}
		return together
	}
}

func checkDrivers(t *testing.T, s engine.Summary, b *engine.Bundle, rows []scoredRow) {
	t.Helper()
	of := contributionsOf(t, b, rows)
	last := math.Inf(1)
	for _, d := range s.Drivers {
		sum := 0.0
		for j := range rows {
			sum += math.Abs(of(j, d.Columns))
		}
		if !near(d.Mean, sum/float64(len(rows))) || d.Mean > last || d.Label == "" || d.Share <= 0 || d.Share >= 1 {
			t.Errorf("%+v: mean %v", d, sum/float64(len(rows)))
		}
		last = d.Mean
		if slices.Contains(d.Columns, "gender") || slices.Contains(d.Columns, "SeniorCitizen") {
			t.Errorf("a sensitive column is shown: %+v", d)
		}
	}
	if len(s.Drivers) < 5 {
		t.Errorf("%d drivers", len(s.Drivers))
	}
}

// Without a value column the summary has no amounts but is otherwise complete.
func TestSummaryWithoutValueColumn(t *testing.T) {
	files := copyOf(t, "telecom")
	replace(files, "bundle.yaml", "value: MonthlyCharges\n", "")
	writeManifest(files)
	b, err := engine.OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	none, err := engine.OpenBaseline("saas")
	if err != nil {
		t.Fatal(err)
	}
	poor := blankColumn(t, sample(t, "saas_sample.csv"), "MonthlyCharges")
	for name, s := range map[string]engine.Summary{
		"bundle":        summarize(t, sample(t, "telecom_sample.csv"), b, ingest.Limits{}),
		"file":          summarize(t, poor, none, ingest.Limits{}),
		"not explained": summarize(t, sample(t, "telecom_sample.csv"), b, ingest.Limits{}),
	} {
		if s.Value != nil || s.Bands[0].Loss != nil || len(s.Top.ByLoss) > 0 || s.Coverage.ByLoss != nil ||
			s.Drivers != nil {
			t.Errorf("%s: %s", name, asJSON(t, s))
		}
		if len(s.Top.ByProbability) != 20 || len(s.Segments) == 0 || s.Top.ByProbability[0].Loss != nil {
			t.Errorf("%s: %+v", name, s.Top)
		}
	}
}

// blankColumn empties a column of a file.
func blankColumn(t testing.TB, file, name string) string {
	t.Helper()
	at := columnOf(t, file, name)
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	for i, line := range lines[1:] {
		cells := strings.Split(line, ",")
		cells[at] = ""
		lines[i+1] = strings.Join(cells, ",")
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestSegmentsOfMissingAndRareValues(t *testing.T) {
	files := copyOf(t, "telecom")
	replace(files, "bundle.yaml", "value: MonthlyCharges\n",
		"value: MonthlyCharges\nsegments: [PaymentMethod, TechSupport]\n")
	writeManifest(files)
	b, err := engine.OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract,PaymentMethod\n" +
		"a,5,20,100,One year,Mailed check\nb,5,20,100,One year,Barter\nc,5,20,100,One year,\nd,5,20,100,One year,Mailed check\n"
	s := summarize(t, file, b, ingest.Limits{})
	if len(s.Segments) != 1 || s.Segments[0].Column != "PaymentMethod" { // the file has no TechSupport
		t.Fatalf("segments %s", asJSON(t, s.Segments))
	}
	var got []string
	for _, v := range s.Segments[0].Values {
		name := "null"
		if v.Value != nil {
			name = *v.Value
		}
		got = append(got, fmt.Sprintln(name, v.Other, v.Count))
	}
	if want := []string{"Mailed check false 2\n", "null true 1\n", "null false 1\n"}; !slices.Equal(got, want) {
		t.Errorf("values %q, want %q", got, want)
	}
}

func TestBundleSummaryKeysValidation(t *testing.T) {
	for name, with := range map[string]string{
		"value is a category":  "value: Contract\n",
		"segment is sensitive": "value: MonthlyCharges\nsegments: [gender]\n",
		"segment is a number":  "value: MonthlyCharges\nsegments: [tenure]\n",
		"segment is unknown":   "value: MonthlyCharges\nsegments: [nobody]\n",
	} {
		files := copyOf(t, "telecom")
		replace(files, "bundle.yaml", "value: MonthlyCharges\n", with)
		writeManifest(files)
		if _, err := engine.OpenBundle(files); err == nil || !strings.Contains(err.Error(), name[:5]) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
