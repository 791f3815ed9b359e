package bench

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

func TestReadModel(t *testing.T) {
	for _, features := range []int{engineFeatures, explainFeatures} {
		f, err := readModel(features, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Trees) != 500 || len(f.Features) != features {
			t.Fatalf("%d trees on %d features, want 500 on %d", len(f.Trees), len(f.Features), features)
		}
		for i := range f.Trees {
			if len(f.Trees[i].Leaves) != 31 {
				t.Fatalf("tree %d has %d leaves", i, len(f.Trees[i].Leaves))
			}
			if err := checkCovers(&f.Trees[i]); err != nil {
				t.Fatalf("tree %d: %v", i, err)
			}
		}
		source := newCustomers(features, scoredSeed) // customers that training has not seen
		rows := source.draw(4000)
		labels := source.churned(rows)
		raw := make([]float64, rows.Len)
		forest.NewWalker(f).Raw(raw, rows)
		if auc := areaUnderCurve(raw, labels); auc < 0.7 {
			t.Errorf("%d features: area under the curve %.3f", features, auc)
		}
	}
	f, err := readModel(engineFeatures, 10)
	if err != nil || len(f.Trees) != 10 {
		t.Errorf("first 10 trees: %v", err)
	}
	if _, err := readModel(7, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no model of 7 features: %v", err)
	}
}

// churned draws who leaves. The first features matter, alone and together; the others hardly do.
func (c customers) churned(rows forest.Rows) []float64 {
	labels := make([]float64, rows.Len)
	for row := range labels {
		x := func(i int) float64 {
			v := rows.Columns[i%c.features].Numbers[row]
			if v != v {
				return 1
			}
			return v
		}
		raw := -1.5 + math.Log1p(x(0)) - 0.8*math.Log1p(x(1)) + 0.3*x(4) - 1.2*x(9)*x(19) +
			2*x(7)*math.Log1p(x(2)) + 0.4*math.Sin(x(3))*x(5) + 0.2*x(6)*x(8)
		if c.random.Float64() < 1/(1+math.Exp(-raw)) {
			labels[row] = 1
		}
	}
	return labels
}

// checkCovers reports whether every node has as many rows as its children together, and those at least 20.
func checkCovers(t *forest.Tree) error {
	cover := func(child int32) float64 {
		if child < 0 {
			return t.Leaves[^child].Cover
		}
		return t.Nodes[child].Cover
	}
	for _, n := range t.Nodes {
		if n.Cover != cover(n.Left)+cover(n.Right) || cover(n.Left) < 20 || cover(n.Right) < 20 {
			return errors.New("covers do not add up")
		}
	}
	return nil
}

func areaUnderCurve(scores, labels []float64) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if scores[a] < scores[b] {
			return -1
		}
		return 1
	})
	negatives, below, positives := 0.0, 0.0, 0.0
	for _, i := range order {
		if labels[i] == 0 {
			negatives++
			continue
		}
		positives++
		below += negatives
	}
	return below / (negatives * positives)
}

func TestRowsAtThresholdsMeetBothSides(t *testing.T) {
	f, err := readModel(explainFeatures, 5)
	if err != nil {
		t.Fatal(err)
	}
	rows := atThresholds(f, 500, 1)
	root := f.Trees[0].Nodes[0]
	left := 0
	for _, x := range rows.Columns[root.Feature].Numbers {
		if x <= root.Threshold {
			left++
		}
	}
	if left < 25 || left > 475 {
		t.Errorf("%d of 500 rows go left at the first root", left)
	}
}

func TestRowsMuchAlike(t *testing.T) {
	drawn := newCustomers(10, 1).draw(1000)
	similar := similarRows(drawn)
	for i, c := range similar.Columns {
		same := 0
		for row, x := range c.Numbers {
			if sameNumber(x, c.Numbers[0]) {
				same++
			} else if !sameNumber(x, drawn.Columns[i].Numbers[row]) {
				t.Fatalf("column %d: row %d has a cell of another", i, row)
			}
		}
		if same < 850 {
			t.Errorf("column %d: only %d of 1000 cells are alike", i, same)
		}
	}
}

// sameNumber takes missing cells for equal.
func sameNumber(a, b float64) bool { return a == b || a != a && b != b }

func TestBundleRowsScoreAsTheBundleDoes(t *testing.T) {
	for _, name := range engine.BaselineNames() {
		b, err := engine.OpenBaseline(name)
		if err != nil {
			t.Fatal(err)
		}
		file := drawFile(b.Schema(), 200)
		rows, err := bundleRows(b, file)
		if err != nil || rows.Len != 200 {
			t.Fatalf("%s: %d rows: %v", name, rows.Len, err)
		}
		probabilities := make([]float64, rows.Len)
		forest.NewWalker(b.Forest()).Raw(probabilities, rows)
		b.Forest().Probabilities(probabilities, probabilities)
		sum := 0.0
		for _, p := range probabilities {
			sum += float64(float32(p))
		}
		want := expectedChurners(t, b, file)
		if math.Abs(sum-want) > 1e-6*want {
			t.Errorf("%s: %v churners expected, the data path says %v", name, sum, want)
		}
	}
}

func expectedChurners(t *testing.T, b *engine.Bundle, file []byte) float64 {
	t.Helper()
	header, body, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in := engine.Input{Body: body, Header: header, Start: header.Start()}
	tally, err := engine.Score(t.Context(), in, b, engine.Options{Explain: engine.ExplainNone}, discardSink{})
	if err != nil || tally.Scored != tally.Rows {
		t.Fatalf("%+v: %v", tally, err)
	}
	return tally.Summary().Expected
}

func TestCustomerFileIsWhatItSays(t *testing.T) {
	for _, quoted := range []bool{false, true} {
		file := CustomerFile(300, quoted)
		rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
		if err != nil || len(rows) != 301 || len(rows[0]) != 25 {
			t.Fatalf("%d rows: %v", len(rows), err)
		}
		if got := strings.Count(string(file), `"`) > 0; got != quoted {
			t.Errorf("quotes: %v, want %v", got, quoted)
		}
		if perRow := len(file) / 300; perRow < 160 || perRow > 215 {
			t.Errorf("%d bytes a row", perRow)
		}
		for name, read := range map[string]func([]byte) error{
			"arrow": arrowReading,
			"typed": func(file []byte) error { return standard(file, newTypes(CustomerSchema()).read) },
		} {
			if err := read(file); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestReadersReturnErrors(t *testing.T) {
	broken := []byte(strings.Join(columnNames(), ",") + "\n\"a,1\n")
	if err := cutting(broken); err == nil {
		t.Error("cut passed a broken quote")
	}
	for name, body := range map[string]string{"a broken quote": "\"a,1\n", "a short row": "a,1\n"} {
		file := []byte(strings.Join(columnNames(), ",") + "\n" + body)
		read, err := converting(file, CustomerSchema())
		if err == nil {
			err = read()
		}
		if err == nil {
			t.Errorf("convert passed %s", name)
		}
		if _, err := reading("x", file, 1); err == nil && name == "a broken quote" {
			t.Error("a contest on a broken quote")
		}
	}
	if err := standard(nil, nil); err == nil {
		t.Error("an empty file passed")
	}
	wrong := []byte(strings.Join(columnNames(), ",") + "\n" + strings.Repeat("x,", 24) + "x\n")
	if err := standard(wrong, newTypes(CustomerSchema()).read); err == nil {
		t.Error("letters passed for a number")
	}
}

func columnNames() []string {
	var names []string
	for _, c := range CustomerSchema().Columns {
		names = append(names, c.Name)
	}
	return names
}

func TestStopwatchPassesErrorsOn(t *testing.T) {
	fault := errors.New("fault")
	for failing := range 9 {
		calls := 0
		c := contest{name: "c", contestants: []contestant{{"one", 1, func(int) error {
			if calls++; calls > failing {
				return fault
			}
			return nil
		}}}}
		_, err := stopwatch{rounds: 7}.measure(t.Context(), c)
		if !errors.Is(err, fault) || !strings.Contains(err.Error(), "c: one") {
			t.Errorf("after %d calls: %v", failing, err)
		}
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	slow := &player{contestant: contestant{rows: 2}, nanos: []float64{20, 200, 40}}
	fast := &player{contestant: contestant{rows: 1, name: "fast"}, nanos: []float64{5, 50, 8}, ops: 1}
	m := fast.measurement(contest{trees: 10, bytes: 1000}, slow)
	if m.Ratio != 2 || m.RatioOfMinima != 2 || m.NsPerOp != 8 || m.NsPerOpMin != 5 {
		t.Errorf("%+v", m)
	}
	if m.NsPerRowTree != 0.8 || m.NsPerRowTreeMin != 0.5 || m.RowsPerSecond != 1.25e8 || m.MBPerSecond != 125_000 {
		t.Errorf("%+v", m)
	}
	base := slow.measurement(contest{}, slow)
	if r := timeRatio(&base, &m); r != 2 {
		t.Errorf("time ratio %v", r)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %v", c.values, got)
		}
	}
	if got := median(nil); got == got {
		t.Errorf("median of nothing: %v", got)
	}
}

func TestFigure(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 0.01234: "0.012", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234.5: "1,234", 1234567: "1,234,567",
	} {
		if got := figure(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}

func TestFindReturnsNilForUnknownNames(t *testing.T) {
	r := &Report{Comparisons: []Comparison{{Name: "a", Measurements: []Measurement{{Name: "b"}}}}}
	if r.find("a", "b") == nil || r.find("a", "c") != nil || r.find("c", "b") != nil {
		t.Error("found what is not there, or did not find what is")
	}
}
