package serve_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
)

// month is one upload of a series.
type month struct {
	prediction string
	status     string
	version    string // of the model
	summary    engine.Summary
	result     string
}

// month uploads a file, waits for the end of its prediction and reads everything about it.
func (a *testAPI) month(path, file string, options ...option) month {
	a.t.Helper()
	r := a.post(path, file, append(options, header("Prefer", "wait=60"))...).want(a.t, http.StatusOK)
	var m month
	p := r.object(a.t)
	m.prediction, m.status, m.version = p["prediction_id"].(string), p["status"].(string), p["model_version"].(string)
	var body struct {
		Summary engine.Summary `json:"summary"`
	}
	again := a.get("/predictions/"+m.prediction, options...).want(a.t, http.StatusOK)
	if err := json.Unmarshal(again.body, &body); err != nil {
		a.t.Fatal(err)
	}
	m.summary = body.Summary
	m.result = string(a.get("/predictions/"+m.prediction+"/download", options...).want(a.t, http.StatusOK).body)
	return m
}

// nextMonth drops the first customers of a file, gives the cells of a column other values here and there, and adds a
// customer.
func nextMonth(t *testing.T, file, column string, values ...string) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(file, "\r", ""), "\n"), "\n")
	at := slices.Index(strings.Split(lines[0], ","), column)
	if at < 0 {
		t.Fatalf("no column %s", column)
	}
	next := []string{lines[0], "new" + strings.TrimPrefix(lines[1], "C")}
	for _, line := range lines[4:] {
		cells := strings.Split(line, ",")
		if random.IntN(2) == 0 {
			cells[at] = values[random.IntN(len(values))]
		}
		next = append(next, strings.Join(cells, ","))
	}
	return strings.Join(next, "\n") + "\n"
}

// scoresOf reads a result file: probability and band by id.
func scoresOf(t *testing.T, result string) (ids []string, scores map[string][2]string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(result)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	p, band := slices.Index(rows[0], "churn_probability"), slices.Index(rows[0], "risk_band")
	scores = map[string][2]string{}
	for _, row := range rows[1:] {
		ids = append(ids, row[0])
		scores[row[0]] = [2]string{row[p], row[band]}
	}
	return ids, scores
}

func TestChanges_ConsecutiveUploads(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	for model, change := range map[string][]string{
		"telecom": {"Contract", "Month-to-month", "One year", "Two year"},
		"saas":    {"feature_usage_score", "1", "50", "99"},
	} {
		file, err := os.ReadFile("../testdata/samples/" + model + "_sample.csv")
		if err != nil {
			t.Fatal(err)
		}
		first := a.month("/upload?filename=february.csv", string(file))
		if c := first.summary.Changes; c == nil || c.Status != engine.ChangesFirstUpload || c.Previous != nil {
			t.Fatalf("%s: first upload: %+v", model, c)
		}
		second := a.month("/upload?filename=march.csv", nextMonth(t, string(file), change[0], change[1:]...))
		checkMonths(t, first, second)
	}
}

// checkMonths joins two result files the slow way.
func checkMonths(t *testing.T, first, second month) {
	t.Helper()
	c := second.summary.Changes
	if c == nil || c.Status != engine.ChangesCompared || c.Previous.PredictionID != first.prediction ||
		c.Previous.Filename != "february.csv" || c.Previous.CreatedAt == "" || c.Previous.ModelVersion != first.version {
		t.Fatalf("%+v", c)
	}
	before, was := scoresOf(t, first.result)
	after, is := scoresOf(t, second.result)
	var gone, added, same, moved int64
	for _, id := range before {
		if _, stays := is[id]; !stays {
			gone++
		}
	}
	for i, id := range after {
		old, known := was[id]
		switch {
		case !known:
			added++
		case old[1] == is[id][1]:
			same++
		default:
			moved++
		}
		if known && old[0] != is[id][0] {
			m := slices.IndexFunc(slices.Concat(c.Risen, c.Fallen), func(m engine.RiskChange) bool { return m.ID == id })
			if m < 0 {
				t.Fatalf("the change of customer %d is missing", i)
			}
			move := slices.Concat(c.Risen, c.Fallen)[m]
			if fmt.Sprint(move.Before) != old[0] || fmt.Sprint(move.After) != is[id][0] || move.Row != int64(i+1) ||
				move.BandBefore != old[1] || move.BandAfter != is[id][1] ||
				!strings.HasPrefix(move.Explanation, "Risk ") {
				t.Errorf("%+v, want %v and %v in row %d", move, old, is[id], i+1)
			}
		}
	}
	if c.Customers.New != added || c.Customers.Gone != gone || *c.Customers.Unchanged != same ||
		*c.Customers.MovedUp+*c.Customers.MovedDown != moved || added != 1 || gone != 3 || moved == 0 {
		t.Errorf("%+v, want %d new, %d gone, %d unchanged, %d moved", c.Customers, added, gone, same, moved)
	}
	if c.Before.Customers != int64(len(before)) || c.After.Customers != int64(len(after)) ||
		len(c.Factors) == 0 || c.Explained != c.Customers.Stayed || c.Loss == nil {
		t.Errorf("%+v", c)
	}
}

func TestChanges_SeparateDatasets(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	stranger := as(a.token("stranger"))
	north := a.month("/upload?filename=n.csv&dataset=north", telecom)
	for name, got := range map[string]month{
		"no dataset":      a.month("/upload", telecom),
		"another dataset": a.month("/upload?dataset=south", telecom),
		"another user":    a.month("/upload?dataset=north", telecom, stranger),
	} {
		if c := got.summary.Changes; c == nil || c.Status != engine.ChangesFirstUpload {
			t.Errorf("%s: %+v", name, c)
		}
	}
	body, contentType := form(t, "n.csv", []byte(telecom), "dataset", "north")
	r := a.postForm("/upload", body, contentType, header("Prefer", "wait=60")).want(t, http.StatusOK)
	p := r.object(t)
	changes := p["summary"].(map[string]any)["changes"].(map[string]any)
	if p["dataset"] != "north" || changes["status"] != "compared" ||
		changes["previous"].(map[string]any)["prediction_id"] != north.prediction {
		t.Errorf("%v", changes)
	}
	for _, bad := range []string{strings.Repeat("x", 65), "a%00b", "%ff"} {
		e := a.post("/upload?dataset="+bad, telecom).wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
		if e.Error.Details["field"] != "dataset" {
			t.Errorf("%v", e)
		}
	}
}

// Customers are known again by hashes under this environment's key only.
func TestChanges_OtherCustomerKey(t *testing.T) {
	a := startAPI(t, nil)
	stop := a.work()
	a.month("/upload", telecom)
	stop()
	var err error
	if a.customers, err = customer.NewKey(bytes.Repeat([]byte{7}, customer.SecretMin)); err != nil {
		t.Fatal(err)
	}
	a.work()
	if c := a.month("/upload", telecom).summary.Changes; c.Status != engine.ChangesUnavailable || c.Customers != nil {
		t.Errorf("%+v", c)
	}
}

// If the previous snapshot is deleted, the comparison is unavailable, and the prediction succeeds.
func TestChanges_PreviousSnapshotDeleted(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, a flipBench, key string){
		"deleted": func(t *testing.T, a flipBench, key string) {
			if err := a.objects.Delete(t.Context(), objects.Deleted, key); err != nil {
				t.Fatal(err)
			}
		},
		"damaged, of an older version": func(t *testing.T, a flipBench, key string) {
			a.withoutDigests()
			if _, err := a.objects.Put(t.Context(), key, strings.NewReader("mrsnap1\n")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		a := startFlipBench(t)
		a.work()
		first := a.month("/upload", telecom)
		spoil(t, a, objects.SnapshotKey(uuid.MustParse(first.prediction), 1, 0))
		second := a.month("/upload", telecom)
		c := second.summary.Changes
		if second.status != "completed" || c.Status != engine.ChangesUnavailable || c.Customers != nil ||
			c.Previous == nil || c.Previous.PredictionID != first.prediction {
			t.Errorf("%s: %s, %+v", name, second.status, c)
		}
	}
}

// Scores of two model versions are not comparable: only new and missing customers are reported.
func TestChanges_OtherModelVersion(t *testing.T) {
	a := startAPI(t, nil)
	stop := a.work()
	a.month("/upload", telecom)
	stop()
	dir := t.TempDir()
	serve.WriteBundle(t, dir, "version: '1'", "version: '2'")
	newer, err := engine.OpenBundleKept(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if a.models, err = engine.NewRegistry(newer); err != nil {
		t.Fatal(err)
	}
	a.restart(a.models)
	a.work()
	c := a.month("/upload", telecom).summary.Changes
	if c.Status != engine.ChangesModelChanged || c.Customers.Stayed != 3 || c.Customers.MovedUp != nil ||
		c.Expected != nil {
		t.Errorf("%+v", c)
	}
}

// A part that is scored again leaves the same bytes.
func TestSnapshot_RetriedPartIsIdentical(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	snapshot := func(prediction string) []byte {
		key := objects.SnapshotKey(uuid.MustParse(prediction), 1, 0)
		body, _, err := a.objects.Get(context.Background(), key, objects.Range{}, "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = body.Close() }()
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first, second := snapshot(a.month("/upload", telecom).prediction), snapshot(a.month("/upload", telecom).prediction)
	if !bytes.Equal(first, second) || bytes.Contains(first, []byte("A-1")) {
		t.Errorf("%x\n%x", first, second)
	}
	theirs := snapshot(a.month("/upload", telecom, as(a.token("stranger"))).prediction)
	if bytes.Equal(first, theirs) {
		t.Error("another user's customers have the same hashes")
	}
}

// Lists leave the summaries out.
func TestListPredictions_OmitsSummaries(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	m := a.month("/upload", telecom)
	list := a.get("/predictions").want(t, http.StatusOK).object(t)["predictions"].([]any)
	if _, has := list[0].(map[string]any)["summary"]; len(list) != 1 || has {
		t.Errorf("%v", list)
	}
	if m.summary.Scored != 3 {
		t.Errorf("%+v", m.summary)
	}
	waiting := startAPI(t, nil)
	id := waiting.upload(telecom)
	if text := waiting.get("/predictions/" + id).body; !bytes.Contains(text, []byte(`"summary":null`)) {
		t.Errorf("%s", text)
	}
}

// An upload of many parts is compared with one of a single part that is larger than the buffer.
func TestChanges_ManyParts(t *testing.T) {
	file, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.UploadLimits = ingest.Limits{PartBytes: 128 << 10, ChunkBytes: 16 << 10}
	})
	a.work()
	first := a.month("/upload", string(file))
	parts := 0
	for _, key := range a.objectKeys() {
		if strings.HasPrefix(key, objects.ResultPrefix(uuid.MustParse(first.prediction), 1)+"snapshot/") {
			parts++
		}
	}
	a.restart(a.models)
	c := a.month("/upload", string(file)).summary.Changes
	if parts < 5 || c.Status != engine.ChangesCompared || c.Customers.Stayed != 10_000 || c.Risen != nil ||
		c.Fallen != nil || *c.Customers.Unchanged != 10_000 || c.Expected.Stayed != 0 || c.Factors[0].Change != 0 {
		t.Errorf("%d parts: %+v", parts, c)
	}
}
