package engine_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// collector is a sink that keeps all output.
type collector struct {
	result, rejects, blocks, sample bytes.Buffer
	chunks                          int
	fail                            error
}

func (c *collector) WriteChunk(chunk *engine.ScoredChunk) error {
	c.chunks++
	c.result.Write(chunk.Result)
	c.rejects.Write(chunk.Rejects)
	c.blocks.Write(chunk.Blocks)
	c.sample.Write(chunk.Sample)
	return c.fail
}

func baseline(t testing.TB, name string) *engine.Bundle {
	t.Helper()
	b, err := engine.OpenBaseline(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// score scores a whole file.
func score(
	t testing.TB, file string, b *engine.Bundle, opt engine.Options, limits ingest.Limits,
) (*collector, engine.Tally, error) {
	t.Helper()
	header, body, err := ingest.ReadHeader(strings.NewReader(file), limits)
	if err != nil {
		t.Fatal(err)
	}
	opt.WithHeader = true
	c := new(collector)
	in := engine.Input{Body: body, Header: header, Start: header.Start(), Limits: limits}
	tally, err := engine.Score(t.Context(), in, b, opt, c)
	return c, tally, err
}

func sample(t testing.TB, name string) string {
	t.Helper()
	file, err := os.ReadFile("../testdata/samples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}

func csvRecords(t testing.TB, file string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestScoreAppendsResultColumns(t *testing.T) {
	for _, name := range engine.BaselineNames() {
		b := baseline(t, name)
		file := sample(t, name+"_sample.csv")
		c, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainAll}, ingest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		in, out := csvRecords(t, file), csvRecords(t, c.result.String())
		if len(in) != len(out) || tally.Scored != int64(len(in)-1) || tally.Rejected != 0 {
			t.Fatalf("%s: %d rows in, %d out, tally %+v", name, len(in), len(out), tally)
		}
		own := len(in[0])
		want := []string{"churn_probability", "risk_band", "risk_factors", "protective_factors", "explanation"}
		if got := out[0][own:]; !equal(got, want) {
			t.Errorf("%s: header ends with %q", name, got)
		}
		for i, row := range out[1:] {
			if !equal(row[:own], in[i+1]) {
				t.Errorf("%s: row %d: the customer's cells changed", name, i+1)
			}
			checkScoredCells(t, b, row[own:])
		}
	}
}

func equal(a, b []string) bool { return fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b) }

func checkScoredCells(t *testing.T, b *engine.Bundle, cells []string) {
	t.Helper()
	p, err := strconv.ParseFloat(cells[0], 32)
	if err != nil || p < 0 || p > 1 {
		t.Errorf("probability %q", cells[0])
	}
	low := 0.0
	for _, band := range b.Bands() {
		if band.Name == cells[1] && (p < low || p >= band.Below) {
			t.Errorf("probability %v is in band %s", p, band.Name)
		}
		low = band.Below
	}
	if !strings.HasPrefix(cells[2], "[") || !strings.HasPrefix(cells[3], "[") || cells[4] == "" {
		t.Errorf("no explanation: %q", cells[2:])
	}
}

func TestResultBytesDependOnInputOnly(t *testing.T) {
	b := baseline(t, "telecom")
	file := sample(t, "telecom_10k.csv")
	var want string
	for _, workers := range []int{1, 2, 5} {
		for _, chunk := range []int{4 << 10, 64 << 10, 1 << 20} {
			for _, scorer := range []engine.Scorer{engine.ScorerCompiled, engine.ScorerLeaves} {
				opt := engine.Options{Workers: workers, Scorer: scorer, Explain: engine.ExplainNone}
				c, tally, err := score(t, file, b, opt, ingest.Limits{ChunkBytes: chunk})
				if err != nil {
					t.Fatal(err)
				}
				if tally.Rows != 10_000 {
					t.Fatalf("%d rows", tally.Rows)
				}
				if want == "" {
					want = c.result.String()
				}
				if c.result.String() != want {
					t.Fatalf("%d workers, chunks of %d, %s: other bytes", workers, chunk, scorer)
				}
			}
		}
	}
}

func TestScoreAccountsForEveryRow(t *testing.T) {
	b := baseline(t, "telecom")
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract,note\r\n" +
		"a,1,29.85,29.85,Month-to-month,x\r\n" +
		"b,many,29.85,29.85,Month-to-month,x\r\n" +
		"\r\n" +
		"c,1,29.85, ,One year,\"two\nlines\"\r\n" +
		"d,1,29.85\r\n" +
		",1,29.85,29.85,Two year,x\r\n" +
		"e,2,30,60,Weekly,x"
	c, tally, err := score(t, file, b, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if tally.Rows != 6 || tally.Scored != 3 || tally.Rejected != 3 {
		t.Fatalf("tally %+v", tally)
	}
	out := csvRecords(t, c.result.String())
	var ids []string
	for _, row := range out[1:] {
		ids = append(ids, row[0])
	}
	if !equal(ids, []string{"a", "c", "e"}) {
		t.Errorf("scored %q", ids)
	}
	rejects := csvRecords(t, c.rejects.String())
	if got := rejects[0][6:]; !equal(got, []string{"_row", "_line", "_code", "_column", "_reason"}) {
		t.Fatalf("rejects header %q", got)
	}
	for i, want := range []struct{ row, line, code, column string }{
		{"2", "3", "ERR-1602", "tenure"}, {"4", "7", "ERR-1601", ""}, {"5", "8", "ERR-1604", "customerID"},
	} {
		got := rejects[i+1][len(rejects[i+1])-5:]
		if got[0] != want.row || got[1] != want.line || got[2] != want.code || got[3] != want.column || got[4] == "" {
			t.Errorf("reject %d: %q, want %+v", i, got, want)
		}
	}
	if len(tally.Rejects) != 3 {
		t.Errorf("rejects by reason: %+v", tally.Rejects)
	}
	bands := int64(0)
	for _, band := range tally.Bands {
		bands += band.Count
	}
	histogram := int64(0)
	for _, n := range tally.Summary().Histogram {
		histogram += n
	}
	if bands != tally.Scored || histogram != tally.Scored {
		t.Errorf("%d rows in bands, %d in the histogram, %d scored", bands, histogram, tally.Scored)
	}
}

func TestScoreErrors(t *testing.T) {
	b := baseline(t, "telecom")
	var missing *ingest.MissingColumnsError
	_, _, err := score(t, "customerID,tenure\na,1\n", b, engine.Options{}, ingest.Limits{})
	if !errors.As(err, &missing) || len(missing.Columns) != 3 {
		t.Errorf("missing columns: %v", err)
	}
	good := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\na,1,2,3,One year\n"
	var quote *ingest.QuoteError
	_, _, err = score(t, good+"\"a,1,2,3,One year\n", b, engine.Options{}, ingest.Limits{})
	if !errors.As(err, &quote) || quote.Line != 3 {
		t.Errorf("unclosed quote: %v", err)
	}
	_, _, err = score(t, good, b, engine.Options{Scorer: "guess"}, ingest.Limits{})
	if err == nil || !strings.Contains(err.Error(), "guess") {
		t.Errorf("unknown scorer: %v", err)
	}
	header, _, err := ingest.ReadHeader(strings.NewReader(good), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in := engine.Input{Body: strings.NewReader(""), Header: header, Start: header.Start()}
	if _, err := engine.Score(t.Context(), in, b, engine.Options{}, new(collector)); !errors.Is(err, ingest.ErrEmpty) {
		t.Errorf("no rows: %v", err)
	}
}

func TestScoreStopsOnSinkError(t *testing.T) {
	b := baseline(t, "telecom")
	file := sample(t, "telecom_10k.csv")
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{fail: io.ErrShortWrite}
	limits := ingest.Limits{ChunkBytes: 16 << 10}
	in := engine.Input{Body: body, Header: header, Start: header.Start(), Limits: limits}
	if _, err := engine.Score(t.Context(), in, b, engine.Options{}, c); !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("error %v", err)
	}
	if c.chunks != 1 {
		t.Errorf("%d chunks were written after the failure", c.chunks-1)
	}
}

// waiting is a body whose Read blocks until the context is done, like that of an object store or a request. It counts
// the calls of Close.
type waiting struct {
	ctx     context.Context
	started chan struct{}
	closed  atomic.Int32
}

func (w *waiting) Read([]byte) (int, error) {
	close(w.started)
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}

func (w *waiting) Close() error {
	w.closed.Add(1)
	return nil
}

// Score never closes the body, which its caller owns and may reuse.
func TestScoreNeverClosesItsBody(t *testing.T) {
	b := baseline(t, "telecom")
	header, _, err := ingest.ReadHeader(
		strings.NewReader("customerID,tenure,MonthlyCharges,TotalCharges,Contract\na,1,2,3,One year\n"), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(context.Context, engine.Input) error{
		"score": func(ctx context.Context, in engine.Input) error {
			_, err := engine.Score(ctx, in, b, engine.Options{}, new(collector))
			return err
		},
		"validate": func(ctx context.Context, in engine.Input) error {
			_, err := engine.Validate(ctx, in, b, func(ingest.Chunk, ingest.Reject) {})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		body := &waiting{ctx: ctx, started: make(chan struct{})}
		go func() {
			<-body.started
			cancel()
		}()
		err := f(ctx, engine.Input{Body: body, Header: header, Start: header.Start()})
		if !errors.Is(err, context.Canceled) || body.closed.Load() != 0 {
			t.Errorf("%s: %v, closed %d times", name, err, body.closed.Load())
		}
	}
}
