package deploy_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// someLabels are those that histograms of the boards have.
const someLabels = `route="/upload",status="200",size_class="10k",result="completed"`

// histogramSeries are ten minutes of a histogram as Prometheus stores it, native or classic: a hundred observations a
// minute, all between 0.1 and 2, in the native form between 1 and 1.09.
func histogramSeries(name string, native bool) string {
	if native {
		return fmt.Sprintf("%s{%s} {{schema:3 sum:0 count:0 buckets:[0]}}+"+
			"{{schema:3 sum:100 count:100 offset:1 buckets:[100]}}x10\n", name, someLabels)
	}
	var text strings.Builder
	for edge, count := range map[string]int{"0.1": 0, "2": 100, "10": 100, "+Inf": 100} {
		fmt.Fprintf(&text, "%s_bucket{%s,le=%q} 0+%dx10\n", name, someLabels, edge, count)
	}
	return text.String()
}

// histogramsOf are the names of the native histograms that a query asks for.
func histogramsOf(t *testing.T, query string) (names []string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range parser.ExtractSelectors(expr) {
		for _, m := range s {
			if m.Name == labels.MetricName && !strings.HasSuffix(m.Value, "_bucket") {
				names = append(names, m.Value)
			}
		}
	}
	return names
}

// TestB27BoardsWithAndWithoutNativeHistograms asks the quantiles of every board of a Prometheus that scrapes native
// histograms, and of one that has the classic buckets only.
func TestB27BoardsWithAndWithoutNativeHistograms(t *testing.T) {
	asked := 0
	for at, queries := range boardQueries(t) {
		for _, query := range queries {
			if !strings.Contains(query, "histogram_quantile") {
				continue
			}
			asked++
			names := histogramsOf(t, query)
			if len(names) != 1 {
				t.Errorf("%s: histograms %v", at, names)
				continue
			}
			for _, native := range []bool{true, false} {
				got := ask(t, "load 1m\n  "+strings.ReplaceAll(histogramSeries(names[0], native), "\n", "\n  "), query)
				low, high := 0.1, 2.0
				if native {
					low, high = 1, 1.1
				}
				if len(got) != 1 || slices.ContainsFunc(got, func(v float64) bool { return math.IsNaN(v) || v < low || v > high }) {
					t.Errorf("%s, native %v: %v, want one value from %v to %v", at, native, got, low, high)
				}
			}
		}
	}
	if asked < 9 {
		t.Errorf("only %d quantiles in the boards", asked)
	}
}

// ask evaluates a query at the tenth minute of a storage.
func ask(t *testing.T, series, query string) (values []float64) {
	t.Helper()
	storage := promqltest.LoadedStorage(t, strings.TrimSpace(series))
	defer func() { _ = storage.Close() }()
	engine := promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{MaxSamples: 10_000, Timeout: time.Minute})
	q, err := engine.NewInstantQuery(t.Context(), storage, nil, query, time.Unix(600, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	vector, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range vector {
		values = append(values, s.F)
	}
	return values
}
