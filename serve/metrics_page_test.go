package serve_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/retainwise/millrace/serve/internal/metrics"
)

const (
	metricsPage  = "../docs/metrics.md"
	tableHead    = "| metric | type | labels | what |\n|---|---|---|---|\n"
	seriesPerPod = 5000 // that one process may ever export
)

// TestMetrics_PageIsCurrent holds docs/metrics.md against what is registered, both ways: its table has a row for every
// metric and no other. With -update the table is written.
func TestMetrics_PageIsCurrent(t *testing.T) {
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(page, []byte(tableHead))
	if !found {
		t.Fatalf("no table in %s", metricsPage)
	}
	end := bytes.Index(rest, []byte("\n\n"))
	got, after := string(rest[:end+1]), rest[end+1:]
	var want strings.Builder
	for _, d := range metrics.NewMetrics().Descriptions() {
		labels := strings.Join(d.Labels, ", ")
		if labels == "" {
			labels = "–"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
	}
	if *update {
		text := slices.Concat(before, []byte(tableHead+want.String()), after)
		if err := os.WriteFile(metricsPage, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want.String() {
		t.Errorf("the table is stale: go test -run MetricsPage ./serve -update\ngot\n%swant\n%s", got, want.String())
	}
}

// allowedLabels are all that any metric has. None of them can name a user, a prediction or a file, and each has few values.
var allowedLabels = map[string]int{
	"route": 60, "method": 8, "status": 40, "code": 150, "stage": 8, "outcome": 2, "result": 8, "size_class": 4,
	"dependency": 4, "service": 2, "operation": 30, "model": 50, "version": 50, "sha256": 50, "band": 10,
	"kind": 3, "reason": 12, "feature": 20, "revision": 1, "engine_version": 1, "go_version": 1, "state": 6,
}

func TestMetrics_BoundedLabels(t *testing.T) {
	for _, d := range metrics.NewMetrics().Descriptions() {
		for _, label := range d.Labels {
			if allowedLabels[label] == 0 {
				t.Errorf("%s: label %s is not among those that are bounded", d.Name, label)
			}
		}
		if d.Type == "counter" != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s: only counters, and all of them, end in _total", d.Name)
		}
	}
}

// TestMetrics_BoundedSeries asks in many ways that a client can choose: paths, methods, users, files, ids, columns.
func TestMetrics_BoundedSeries(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	round := func(n int) {
		for i := range n {
			word := fmt.Sprintf("word%04d", i)
			user := as(a.token(word))
			a.get("/"+word, user)
			a.get("/predictions/"+word+"/"+word, user)
			a.get("/models/"+word+"?"+word+"=1", user)
			a.do("M"+strings.ToUpper(word), "/predictions", nil, user)
			a.post("/score?filename="+word+".csv", strings.ReplaceAll(bad, "forty", word), user)
			a.finished(strings.ReplaceAll(telecom, "A-", word), user)
		}
	}
	round(2)
	first := series(a.scrape())
	round(20)
	second := a.scrape()
	if grown := series(second); grown != first || grown > seriesPerPod {
		t.Errorf("%d series became %d", first, grown)
	}
	if strings.Contains(second, "word0") {
		t.Error("a label has a word of a client's")
	}
}

var comment = regexp.MustCompile(`(?m)^#.*\n`)

// series counts the program's own series in a scrape.
func series(text string) int {
	return strings.Count(comment.ReplaceAllString(text, ""), "millrace_")
}

// decodeFamilies reads the protobuf form of a scrape.
func decodeFamilies(t *testing.T, resp *http.Response) map[string]*dto.MetricFamily {
	t.Helper()
	families := map[string]*dto.MetricFamily{}
	decoder := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			return families
		} else if err != nil {
			t.Fatal(err)
		}
		families[f.GetName()] = &f
	}
}

// TestMetrics_NativeHistograms asks for the protobuf form, the one that has them.
func TestMetrics_NativeHistograms(t *testing.T) {
	a := startAPI(t, nil)
	a.get("/predictions").want(t, http.StatusOK)
	req, _ := http.NewRequest(http.MethodGet, startAdmin(t, a, nil).url+"/metrics", nil)
	req.Header.Set("Accept",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	families := decodeFamilies(t, resp)
	h := families["millrace_http_request_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSchema() == 0 && h.GetZeroThreshold() == 0 || len(h.GetPositiveSpan()) == 0 {
		t.Errorf("no native histogram: %v", h)
	}
	var edges []float64
	for _, b := range h.GetBucket() {
		edges = append(edges, b.GetUpperBound())
	}
	if want := []float64{0.005, 0.01, 0.025, 0.05, 0.06, 0.1, 2, 10}; !slices.Equal(edges, want) {
		t.Errorf("edges %v", edges)
	}
}
