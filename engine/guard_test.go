package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// hostile are encoded cells of a comma-separated file.
var hostile = []string{
	"=1+1", "-", "+1+1", "@x", "-5", "-1e5", "a;b", "\"=a\"\"b\"", "\"two\n=1\"", "\" \r\n-x\"", "a\rb", "＝1", "\u00a0+1", "é",
	"\t=1", "\t5", "", "plain", "\"-5\"", "'=1", "\"a,b\"", "\ufeff=1", "\"\"",
	"|x", "%1", "\"a\n%b\"", "\"|,\"", "｜", "5%",
}

// hostileFile returns a file with scored and rejected rows.
func hostileFile(seed uint64, end string) string {
	random := rand.New(rand.NewPCG(seed, 1))
	cell := func(odds int, usual string) string {
		if random.IntN(odds) > 0 {
			return usual
		}
		return hostile[random.IntN(len(hostile))]
	}
	var b strings.Builder
	b.WriteString("customerID,tenure,MonthlyCharges,TotalCharges,Contract,=note,last" + end)
	for i := range 60 + random.IntN(60) {
		odds := 2 + random.IntN(60)
		fmt.Fprintf(&b, "%s,%s,%s,20,Two year,%s,%s", cell(odds, fmt.Sprint("c", i)), cell(odds, "-3"), cell(odds, "70.5"),
			cell(odds, "n"), cell(odds, "z"))
		if random.IntN(20) == 0 {
			b.WriteString(",=surplus")
		}
		b.WriteString(end)
	}
	return b.String()
}

// TestGuardEqualsRowwiseRule compares a guarded result and its rejects with the unguarded ones after guarding every
// cell: the index must find every cell that needs it.
func TestGuardEqualsRowwiseRule(t *testing.T) {
	b := baseline(t, "telecom")
	for seed := range uint64(200) {
		file := hostileFile(seed, []string{"\n", "\r\n"}[seed%2])
		opt := engine.Options{Workers: 1, Explain: []engine.Explain{engine.ExplainNone, engine.ExplainAll}[seed%8/7]}
		limits := ingest.Limits{ChunkBytes: 1 << (8 + seed%5)}
		guarded, tally, err := score(t, file, b, opt, limits)
		if err != nil {
			t.Fatal(err)
		}
		opt.Unguarded = true
		raw, same, err := score(t, file, b, opt, limits)
		if err != nil || same.Rejected != tally.Rejected || tally.Rejected == 0 {
			t.Fatalf("%d and %d rejected: %v", same.Rejected, tally.Rejected, err)
		}
		for name, pair := range map[string][2]string{
			"result":  {guarded.result.String(), raw.result.String()},
			"rejects": {guarded.rejects.String(), raw.rejects.String()},
		} {
			want, changed := ingest.GuardRows([]byte(pair[1]), ',')
			if pair[0] != string(want) || !changed {
				t.Fatalf("seed %d: %s\n%q\nwant\n%q", seed, name, pair[0], want)
			}
		}
	}
}

func TestGuardKeepsCleanFiles(t *testing.T) {
	for _, name := range engine.BaselineNames() {
		b, file := baseline(t, name), sample(t, name+"_sample.csv")
		if _, changed := ingest.GuardRows([]byte(file), ','); changed {
			t.Errorf("the sample of %s needs the guard", name)
		}
		guarded, _, err := score(t, file, b, engine.Options{Explain: engine.ExplainAll}, ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		raw, _, err := score(t, file, b, engine.Options{Unguarded: true, Explain: engine.ExplainAll}, ingest.Limits{})
		if err != nil || guarded.result.String() != raw.result.String() {
			t.Errorf("%s: the guard changed a clean file: %v", name, err)
		}
		if _, changed := ingest.GuardRows(guarded.result.Bytes(), ','); changed {
			t.Errorf("%s: our own columns need the guard", name)
		}
	}
}

// BenchmarkGuard scores a clean file without explanations, guarded and not, turn by turn: the ratio is what the guard
// costs.
func BenchmarkGuard(b *testing.B) {
	bundle, file := baseline(b, "telecom"), sample(b, "telecom_10k.csv")
	var spent [2]time.Duration
	for b.Loop() {
		for i := range spent {
			begin := time.Now()
			opt := engine.Options{Workers: 1, Explain: engine.ExplainNone, Unguarded: i == 1}
			if _, _, err := score(b, file, bundle, opt, ingest.Limits{}); err != nil {
				b.Fatal(err)
			}
			spent[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "guarded/unguarded")
}
