package serve_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/api"
)

// Customers that come again in another part are counted like those of the same part: as many as one pass finds.
func TestDuplicatesAcrossParts(t *testing.T) {
	sample, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(sample), "\n")
	file := strings.Join(append(lines[:4000:4000], append(lines[1:900:900], append(lines[3990:4000:4000],
		lines[3000:6000]...)...)...), "")
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.UploadLimits = ingest.Limits{PartBytes: 128 << 10, ChunkBytes: 16 << 10}
	})
	a.work()
	body := strings.NewReader(file)
	header, rows, err := ingest.ReadHeader(body, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	bundle, ok := a.models.Get("telecom")
	if !ok {
		t.Fatal("no bundle")
	}
	one, err := engine.Score(t.Context(), engine.Input{Body: rows, Header: header, Start: header.Start()},
		bundle, engine.Options{}, resultSink{io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	want := one.Summary().Quality.DuplicateIDs
	if want < 899+10+900 {
		t.Fatalf("one pass counts %d", want)
	}
	for range 2 { // the first upload has none to be compared with
		if got := a.month("/upload", file).summary.Quality.DuplicateIDs; got != want {
			t.Errorf("%d rows whose customer came before, not %d", got, want)
		}
	}
}
