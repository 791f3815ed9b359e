package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// countedReads counts the ranges that are read of results.
type countedReads struct {
	objects.Store
	mu    sync.Mutex
	reads int
	bytes int64
}

func (c *countedReads) Get(
	ctx context.Context, key string, r objects.Range, ifMatch string,
) (io.ReadCloser, objects.Info, error) {
	if strings.HasSuffix(key, "/"+objects.ResultName) && r.Length > 0 {
		c.mu.Lock()
		c.reads, c.bytes = c.reads+1, c.bytes+r.Length
		c.mu.Unlock()
	}
	return c.Store.Get(ctx, key, r, ifMatch)
}

// taken gives what was counted since it was called last.
func (c *countedReads) taken() (reads int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.reads, c.bytes = 0, 0 }()
	return c.reads, c.bytes
}

// startReasons scores the sample, some rows of it spoiled, in several parts, and gives the reasons in the result file.
func startReasons(t *testing.T, upload string, inner objects.Store) (*testAPI, *countedReads, string, map[string]string) {
	t.Helper()
	var objects *countedReads
	a := startAPI(t, func(c *api.Config, p *api.Parts) {
		if inner == nil {
			inner = p.Objects
		}
		objects = &countedReads{Store: inner}
		p.Objects = objects
		c.UploadLimits = ingest.Limits{PartBytes: 64 << 10, ChunkBytes: 16 << 10}
	})
	a.objects = objects
	a.work()
	text, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")[:3001]
	for i := 50; i < len(lines); i += 97 {
		lines[i] = "spoiled\n"
	}
	body := a.post("/upload?filename=march.csv"+upload, strings.Join(lines, ""), header("Prefer", "wait=30"))
	links := body.want(t, http.StatusOK).object(t)["links"].(map[string]any)
	reasons := map[string]string{}
	for line := range strings.Lines(string(a.get(address(links["download"])+"?format=jsonl").want(t, 200).body)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		reasons[row["customerID"].(string)] = reasonsText(row)
	}
	objects.taken()
	return a, objects, address(links["rows"]), reasons
}

func reasonsText(row map[string]any) string {
	if row["explanation"] == "" {
		row["explanation"] = nil
	}
	return fmt.Sprint(row["risk_factors"], row["protective_factors"], row["explanation"])
}

// checkReasons reads all pages and compares each row's reasons with the file's.
func (a *testAPI) checkReasons(path, query string, want map[string]string) {
	a.t.Helper()
	rows := 0
	for cursor := ""; ; {
		page := a.get(path+"?explain=true&"+query+cursor).want(a.t, http.StatusOK).object(a.t)
		for _, row := range page["rows"].([]any) {
			r := row.(map[string]any)
			id := r["customer_id"].(string)
			if got := reasonsText(r); got != want[id] {
				a.t.Fatalf("%s: row %v: got %s, want %s", query, r["row"], got, want[id])
			}
			rows++
		}
		if page["next_cursor"] == nil {
			break
		}
		cursor = "&cursor=" + page["next_cursor"].(string)
	}
	if rows != len(want) {
		a.t.Errorf("%s: %d rows, want %d", query, rows, len(want))
	}
}

func TestRowsExplained_EqualResultFile(t *testing.T) {
	s3, err := objects.OpenS3(t.Context(), storetest.S3(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, inner := range map[string]objects.Store{"directory": nil, "s3": s3} {
		t.Run(name, func(t *testing.T) {
			a, objects, path, want := startReasons(t, "", inner)
			a.checkReasons(path, "limit=100", want)
			if reads, _ := objects.taken(); reads > 2*((len(want)+99)/100) {
				t.Errorf("%d reads for %d pages in the order of the file", reads, (len(want)+99)/100)
			}
			a.checkReasons(path, "sort=probability", want)
			a.get(path+"?explain=true&limit=1").want(t, http.StatusOK)
			objects.taken()
			a.get(path+"?explain=true&limit=10&sort=probability").want(t, http.StatusOK)
			if reads, size := objects.taken(); reads == 0 || size > 11*2*(64<<10) { // whole blocks of a digest
				t.Errorf("%d reads of %d bytes for ten rows", reads, size)
			}
			a.get(path).want(t, http.StatusOK)
			if reads, _ := objects.taken(); reads != 0 {
				t.Errorf("%d reads for a page without reasons", reads)
			}
		})
	}
}

// Rows of the lowest band are not explained here: their reasons are null, not empty.
func TestRowsExplainedAtRisk(t *testing.T) {
	a, _, path, want := startReasons(t, "&explain=at_risk", nil)
	a.checkReasons(path, "limit=99", want)
	found := false
	for _, text := range want {
		found = found || text == "<nil> <nil> <nil>"
	}
	if !found {
		t.Error("every row was explained")
	}
}

func TestRowsExplainedRefused(t *testing.T) {
	a := startAPI(t, nil)
	waiting := "/predictions/" + a.upload(telecom) + "/rows?explain="
	a.get(waiting+"true").wantError(t, http.StatusConflict, "ERR-1105")
	a.get(waiting+"false").want(t, http.StatusOK)
	a.get(waiting+"yes").wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	a.get(waiting+"true&limit=101").wantError(t, http.StatusUnprocessableEntity, "ERR-1303")
	a.work()
	view := a.finished(telecom)
	path := address(view["links"].(map[string]any)["rows"]) + "?explain=true"
	a.get(path).want(t, http.StatusOK)
	for _, key := range a.objectKeys() {
		if strings.HasSuffix(key, "/"+objects.ResultName) {
			if _, err := a.objects.Put(t.Context(), key, strings.NewReader("another")); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.get(path).wantError(t, http.StatusServiceUnavailable, "ERR-1502") // of the storage's making
}

// A model's withdrawal takes the names of its bands, not the reasons.
func TestRowsExplained_WithdrawnModel(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	path := address(a.finished(telecom)["links"].(map[string]any)["rows"]) + "?explain=true"
	other := *a
	none, _ := engine.NewRegistry()
	other.restart(none)
	row := other.get(path).want(t, http.StatusOK).object(t)["rows"].([]any)[0].(map[string]any)
	if row["explanation"] == nil {
		t.Errorf("no explanation: %v", row)
	}
}
