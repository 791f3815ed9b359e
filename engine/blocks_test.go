package engine_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// lineEncoder is a block encoder and a sampler that writes its input as text. It fails at row failAt, if there is one.
type lineEncoder struct{ failAt int64 }

var errLines = errors.New("no more lines")

func (l lineEncoder) AppendBlocks(dst []byte, rec arrow.Record) ([]byte, error) {
	rows, ids := rec.Column(0).(*array.Int64), rec.Column(1).(*array.String)
	probability, band := rec.Column(2).(*array.Float32), rec.Column(3).(*array.Int16)
	for i := range int(rec.NumRows()) {
		if rows.Value(i) == l.failAt {
			return dst, errLines
		}
		id := "none"
		if ids.IsValid(i) {
			id = ids.Value(i)
		}
		dst = fmt.Appendf(dst, "%d,%s,%v,%d\n", rows.Value(i), id, probability.Value(i), band.Value(i))
	}
	return dst, nil
}

func (l lineEncoder) AppendSample(dst []byte, batch, scored arrow.Record) ([]byte, error) {
	if batch.NumRows() != scored.NumRows() {
		return dst, errors.New("rows differ")
	}
	return l.AppendBlocks(dst, scored)
}

// Block encoders and samplers receive exactly the scored rows, in order, with the values of the result file.
func TestBlocksAndSamplesContainScoredRows(t *testing.T) {
	rejected := "x,much,1,1,One year\n"
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" + rejected +
		strings.Repeat("a,3,70.5,200,Month-to-month\nb,60,20,1200,Two year\n"+rejected, 40)
	anonymous := copyOf(t, "telecom")
	replace(anonymous, "bundle.yaml", "id: customerID\n", "")
	writeManifest(anonymous)
	noIDs, err := engine.OpenBundle(anonymous)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*engine.Bundle{"ids": baseline(t, "telecom"), "no ids": noIDs} {
		opt := engine.Options{
			Workers: 2, Background: engine.NewBackground(1),
			NewBlockEncoder: func() engine.BlockEncoder { return lineEncoder{} },
			NewSampler:      func() engine.Sampler { return lineEncoder{} },
		}
		c, tally, err := score(t, file, b, opt, ingest.Limits{ChunkBytes: 512})
		if err != nil || tally.Scored != 80 {
			t.Fatalf("%s: %d scored: %v", name, tally.Scored, err)
		}
		results, err := csv.NewReader(&c.result).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		bands := map[string]string{}
		var want strings.Builder
		for i, cells := range results[1:] {
			id, band := cells[0], map[string]string{"low": "0", "medium": "1", "high": "2"}[cells[6]]
			if name == "no ids" {
				id = "none"
			}
			bands[band] = id
			fmt.Fprintf(&want, "%d,%s,%s,%s\n", 3*(i/2)+2+i%2, id, cells[5], band)
		}
		if got := c.blocks.String(); got != want.String() || c.sample.String() != got || len(bands) < 2 {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want.String())
		}
	}
}

func TestEncoderErrorsNameTheirStage(t *testing.T) {
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\na,3,70.5,200,One year\n"
	for stage, opt := range map[string]engine.Options{
		"encode blocks": {NewBlockEncoder: func() engine.BlockEncoder { return lineEncoder{failAt: 1} }},
		"encode sample": {NewSampler: func() engine.Sampler { return lineEncoder{failAt: 1} }},
	} {
		_, _, err := score(t, file, baseline(t, "telecom"), opt, ingest.Limits{})
		if !errors.Is(err, errLines) || !strings.Contains(err.Error(), stage) {
			t.Errorf("%s: %v", stage, err)
		}
	}
}

// The headers for a joined file equal those of a file scored in one piece.
func TestAppendHeadersEqualsWholeFile(t *testing.T) {
	b := baseline(t, "telecom")
	line := "customerID,tenure,MonthlyCharges,TotalCharges,Contract,=note"
	for _, unguarded := range []bool{false, true} {
		opt := engine.Options{Unguarded: unguarded}
		c, _, err := score(t, line+"\na,3,70.5,200,One year,x\nb,1\n", b, opt, ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		result, rejects, err := engine.AppendHeaders(nil, nil, headerOf(t, line), b, opt)
		if err != nil || !strings.HasPrefix(c.result.String(), string(result)) ||
			!strings.HasPrefix(c.rejects.String(), string(rejects)) || len(rejects) == 0 {
			t.Errorf("unguarded %v: %q, %q (%v)", unguarded, result, rejects, err)
		}
		if strings.Contains(string(result), "'=note") == unguarded {
			t.Errorf("unguarded %v: %q", unguarded, result)
		}
	}
	if _, _, err := engine.AppendHeaders(nil, nil, headerOf(t, "a,b"), b, engine.Options{}); err == nil {
		t.Error("accepted a header with missing columns")
	}
}
