package engine_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// Rows above the lowest band get the same explanations as when all rows are explained; the other rows get none.
func TestExplainAtRisk(t *testing.T) {
	for _, name := range engine.BaselineNames() {
		b := baseline(t, name)
		file := sampled(t, sample(t, name+"_sample.csv"), 700, nil)
		limits := ingest.Limits{ChunkBytes: 16 << 10, RowBytesMax: 4000}
		all, _, err := score(t, file, b, engine.Options{Explain: engine.ExplainAll}, limits)
		if err != nil {
			t.Fatal(err)
		}
		some, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainAtRisk}, limits)
		if err != nil {
			t.Fatal(err)
		}
		explained := int64(0)
		want, got := csvRecords(t, all.result.String()), csvRecords(t, some.result.String())
		for i, row := range want[1:] {
			own := len(row) - 3
			if row[own-1] == b.Bands()[0].Name {
				row = append(row[:own:own], "", "", "")
			} else {
				explained++
			}
			if !equal(got[i+1], row) {
				t.Fatalf("%s: row %d: %q, want %q", name, i+1, got[i+1], row)
			}
		}
		if explained == 0 || explained == tally.Scored || tally.Explained != explained {
			t.Errorf("%s: %d rows explained, the tally says %d of %d", name, explained, tally.Explained, tally.Scored)
		}
		if s := tally.Summary(); len(s.Drivers) == 0 || s.Explained != explained || s.Top.ByProbability[0].Explanation == "" {
			t.Errorf("%s: drivers %v of %d rows, top %+v", name, s.Drivers, s.Explained, s.Top.ByProbability[0])
		}
	}
}

func TestUnknownExplainOptionError(t *testing.T) {
	_, _, err := score(t, sample(t, "telecom_sample.csv"), baseline(t, "telecom"), engine.Options{Explain: "some"},
		ingest.Limits{})
	if err == nil || !strings.Contains(err.Error(), `"some"`) {
		t.Errorf("error %v", err)
	}
}
