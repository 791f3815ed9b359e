package bench_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/retainwise/millrace/bench"
)

// drawn is the plot's picture, which must be XML without scripts.
func drawn(t *testing.T, r *bench.Report) string {
	t.Helper()
	var svg strings.Builder
	if err := r.Plot().WriteSVG(&svg); err != nil {
		t.Fatal(err)
	}
	for decoder := xml.NewDecoder(strings.NewReader(svg.String())); ; {
		token, err := decoder.Token()
		if err == io.EOF {
			return svg.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg.String())
		}
		if e, opened := token.(xml.StartElement); opened && e.Name.Local == "script" {
			t.Error("a script in a picture")
		}
	}
}

func comparisonOf(name string, others ...bench.Measurement) bench.Comparison {
	return bench.Comparison{Name: name, Measurements: append([]bench.Measurement{
		{Name: "leaves", RowsPerOp: 10, NsPerOp: 10_000, Ratio: 1},
	}, others...)}
}

func TestPlotOfComparisons(t *testing.T) {
	svg := drawn(t, &bench.Report{Suite: "engine", Comparisons: []bench.Comparison{
		comparisonOf("telecom", bench.Measurement{Name: "compiled/<fast>", RowsPerOp: 10, NsPerOp: 100, Ratio: 100},
			bench.Measurement{Name: "binning/avx2", RowsPerOp: 10, NsPerOp: 10}),
		comparisonOf("workers"),
	}})
	for _, want := range []string{
		">telecom<", ">leaves<", "compiled/&lt;fast&gt;", "1,000 ns", "10.0 ns, 100x as fast",
		`class="b" x="210.0" y="44" width="390.0"`, // a thousand at the right end of an axis from ten to a thousand
		`class="o" x="210.0" y="64" width="1.0"`,   // ten at its left end, still to be seen
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in %s", want, svg)
		}
	}
	for _, unwanted := range []string{"binning", "workers"} {
		if strings.Contains(svg, unwanted) {
			t.Errorf("%s is drawn", unwanted)
		}
	}
}

func TestPlotOfLatencies(t *testing.T) {
	svg := drawn(t, &bench.Report{Suite: "api", Latencies: []bench.Latency{
		{Name: "upload/1000", P50: 1, P95: 10, P99: 100}, {Name: "nothing was answered"},
	}})
	for _, want := range []string{
		"upload/1000", "1.00, 10.0, 100 ms", `class="m"`, "P50, P95 and P99", ">0.000001<", ">100<",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in %s", want, svg)
		}
	}
}

func TestPlotOfNothing(t *testing.T) {
	if p := (&bench.Report{Suite: "queries"}).Plot(); p != nil {
		t.Errorf("%+v", p)
	}
	p := (&bench.Report{Suite: "engine", Comparisons: []bench.Comparison{comparisonOf("telecom")}}).Plot()
	if err := p.WriteSVG(brokenWriter{}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the writer's error is lost: %v", err)
	}
}
