package serve_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
)

// TestB4UploadAnswer expects the promised fields of an upload, by their types, with and without waiting for the end.
func TestB4UploadAnswer(t *testing.T) {
	a := startAPI(t, nil)
	type promised struct {
		UploadID     *int64 `json:"upload_id"`
		Filename     string `json:"filename"`
		Status       string `json:"status"`
		RowCount     *int64 `json:"row_count"`
		PredictionID string `json:"prediction_id"`
	}
	read := func(r answer) (p promised) {
		t.Helper()
		if err := json.Unmarshal(r.body, &p); err != nil || p.UploadID == nil || p.RowCount == nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		return p
	}
	first := read(a.post("/upload?filename=customers.csv", telecom).want(t, http.StatusOK))
	if first.Filename != "customers.csv" || first.Status != "pending" || *first.RowCount != 3 {
		t.Errorf("got %+v", first)
	}
	waiting := a.get("/predictions/" + first.PredictionID).object(t)
	if waiting["status"] != "queued" || waiting["upload_status"] != "pending" {
		t.Errorf("waiting: %v, %v", waiting["status"], waiting["upload_status"])
	}
	a.work()
	second := read(a.post("/upload?filename=customers.csv", telecom, header("Prefer", "wait=30")).want(t, http.StatusOK))
	if second.Filename != "customers.csv" || second.Status != "completed" || *second.RowCount != 3 {
		t.Errorf("got %+v", second)
	}
	if *second.UploadID <= *first.UploadID || second.PredictionID == first.PredictionID {
		t.Errorf("second upload %d of prediction %s", *second.UploadID, second.PredictionID)
	}
	for _, p := range []promised{first, second} {
		view := a.get("/predictions/" + p.PredictionID).object(t)
		if view["upload_id"] != float64(*p.UploadID) {
			t.Errorf("upload %v of the prediction, %d of the answer", view["upload_id"], *p.UploadID)
		}
	}
}

// An answer to an upload maps the status of its prediction to the statuses of uploads; all other answers have the
// prediction's own.
func TestB4StatusWords(t *testing.T) {
	a := startAPI(t, nil)
	view := a.post("/upload", telecom, onceKey("k")).want(t, http.StatusOK).object(t)
	path := "/predictions/" + view["prediction_id"].(string)
	if got := a.do(http.MethodPost, path+"/cancel", nil).object(t); got["status"] != "cancelled" || got["upload_status"] != "failed" {
		t.Errorf("cancelled: %v, %v", got["status"], got["upload_status"])
	}
	again := a.post("/upload", telecom, onceKey("k"), header("Prefer", "wait=1")).want(t, http.StatusOK).object(t)
	if again["status"] != "failed" || again["done"] != true || again["upload_id"] != view["upload_id"] {
		t.Errorf("waited for: %v, %v", again["status"], again["upload_id"])
	}
	if got := a.get(path).object(t); got["status"] != "cancelled" {
		t.Errorf("asked for: %v", got["status"])
	}
}

// TestB5UploadStatus expects 200 for every file that is taken.
func TestB5UploadStatus(t *testing.T) {
	a := startAPI(t, nil)
	body, contentType := form(t, "march.csv", []byte(telecom))
	a.postForm("/upload", body, contentType).want(t, http.StatusOK)
	a.post("/upload", telecom).want(t, http.StatusOK)
	a.post("/upload", telecom, header("Prefer", "wait=0")).want(t, http.StatusOK)
	a.post("/upload", telecom, onceKey("k")).want(t, http.StatusOK)
	a.post("/upload", telecom, onceKey("k")).want(t, http.StatusOK)
}

// TestB6StatusOfBadFiles expects 400 for what is wrong with a file, on every route that takes one.
func TestB6StatusOfBadFiles(t *testing.T) {
	a := startAPI(t, nil)
	head, rest, _ := strings.Cut(telecom, "\n")
	wide := head + strings.Repeat(",x", 5000) + "\n" + rest
	for code, text := range map[string]string{
		"ERR-1003": "<!doctype html><p>x</p>", "ERR-1004": "customerID,tenure\nA-1,5\n", "ERR-1005": head + "\n",
		"ERR-1006": strings.Replace(telecom, "tenure", "tenure,Tenure", 1), "ERR-1007": "\xff\xfea\x00",
		"ERR-1008": wide, "ERR-1009": telecom + "A-4,\"1,2,3,One year\n",
		"ERR-1010": telecom + strings.Repeat("x", 2<<20) + ",1,2,3,One year\n",
	} {
		for _, path := range []string{"/upload", "/score", "/validate"} {
			a.post(path+"?model=telecom", text).wantError(t, http.StatusBadRequest, code)
		}
	}
	a.post("/upload?filename=a.exe", telecom).wantError(t, http.StatusBadRequest, "ERR-1001")
	a.post("/outcomes", "customer_id\nA-1\n").wantError(t, http.StatusBadRequest, "ERR-1004")
	for code := fault.CodeInvalidFile; code <= fault.CodeRowTooLong; code++ {
		want := http.StatusBadRequest
		if code == fault.CodeTooLarge {
			want = http.StatusRequestEntityTooLarge
		}
		if code.Status() != want {
			t.Errorf("%s answers %d", code, code.Status())
		}
	}
}

// uploads makes predictions and gives their ids, newest first.
func (a *testAPI) uploads(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[n-1-i] = a.upload(telecom)
	}
	return ids
}

func idsOf(t *testing.T, r answer) []string {
	t.Helper()
	var ids []string
	for _, p := range r.want(t, http.StatusOK).object(t)["predictions"].([]any) {
		ids = append(ids, p.(map[string]any)["id"].(string))
	}
	return ids
}

// TestB7Skip reads a list as an old client does, page by page with skip, and wants what the cursor gives.
func TestB7Skip(t *testing.T) {
	a := startAPI(t, nil)
	made := a.uploads(7)
	for skip := range 9 {
		for _, limit := range []int{1, 3, 100} {
			got := idsOf(t, a.get(fmt.Sprintf("/predictions?skip=%d&limit=%d", skip, limit)))
			first := min(skip, len(made))
			want := made[first:min(first+limit, len(made))]
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("skip %d, limit %d: got %v, want %v", skip, limit, got, want)
			}
		}
	}
	page := a.get("/predictions?skip=2&limit=2").object(t)
	next := "/predictions?limit=2&cursor=" + page["next_cursor"].(string)
	if got := idsOf(t, a.get(next)); strings.Join(got, " ") != strings.Join(made[4:6], " ") {
		t.Errorf("behind the skipped page: %v, want %v", got, made[4:6])
	}
	if got := idsOf(t, a.get("/predictions?skip=10000")); len(got) != 0 {
		t.Errorf("behind all: %v", got)
	}
	for query, code := range map[string]string{
		"skip=10001": "ERR-1303", "skip=-1": "ERR-1303", "skip=two": "ERR-1302", "skip=1&skip=1": "ERR-1302",
		"skip=1&cursor=" + page["next_cursor"].(string): "ERR-1302",
	} {
		e := a.get("/predictions?"+query).wantError(t, http.StatusUnprocessableEntity, code)
		if code == "ERR-1303" && !strings.Contains(e.Error.Message, "'cursor'") {
			t.Errorf("%s: %s", query, e.Error.Message)
		}
	}
}

// TestB7Limit expects 100 predictions a page unless fewer are asked for, and no more.
func TestB7Limit(t *testing.T) {
	a := startAPI(t, nil)
	a.uploads(105)
	page := a.get("/predictions").want(t, http.StatusOK).object(t)
	if n := len(page["predictions"].([]any)); n != 100 || page["next_cursor"] == nil {
		t.Errorf("%d by default, then %v", n, page["next_cursor"])
	}
	if rest := idsOf(t, a.get("/predictions?skip=100")); len(rest) != 5 {
		t.Errorf("%d behind them", len(rest))
	}
	a.get("/predictions?limit=101").wantError(t, http.StatusUnprocessableEntity, "ERR-1303")
}

// TestB7TrailingSlash asks every route with a slash at its end and wants what it answers without.
func TestB7TrailingSlash(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	view := a.finished(telecom)
	id := view["prediction_id"].(string)
	for path, item := range documentedPaths(t) {
		path = strings.NewReplacer("{id}", id, "{code}", "ERR-1001", "{name}", "telecom").Replace(path)
		if path == "/" || strings.HasSuffix(path, "/events") {
			continue
		}
		for method := range item {
			if method == "delete" {
				continue // there would be nothing to ask for twice
			}
			ask := func(path string) answer { return a.do(strings.ToUpper(method), path, nil) }
			with, without := ask(path+"/"), ask(path)
			if with.status != without.status || with.header.Get("Content-Type") != without.header.Get("Content-Type") ||
				with.header.Get("Allow") != without.header.Get("Allow") || with.status == http.StatusNotFound && strings.Contains(string(with.body), "ERR-1307") {
				t.Errorf("%s %s: %d with a slash, %d without", method, path, with.status, without.status)
			}
			ask(path+"//").wantError(t, http.StatusNotFound, "ERR-1307")
		}
	}
	a.post("/upload/?filename=march.csv", telecom, onceKey("k")).want(t, http.StatusOK)
	if a.post("/upload?filename=march.csv", telecom, onceKey("k")).header.Get("Idempotent-Replayed") != "true" {
		t.Error("a slash made another request of it")
	}
	a.get("//predictions").wantError(t, http.StatusBadRequest, "ERR-1314")
}

// documentedPaths are the operations of the OpenAPI document by path and method.
func documentedPaths(t *testing.T) map[string]map[string]any {
	t.Helper()
	text, err := documentJSON()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, item := range doc.Paths {
		delete(item, "parameters")
	}
	return doc.Paths
}

// The pages for people find their files and one another from an address with a slash at its end too.
func TestB7LinksOfPagesWithASlash(t *testing.T) {
	a := startAPI(t, nil)
	for _, page := range []string{"/docs", "/docs/", "/redoc", "/redoc/", "/errors", "/errors/", "/errors/ERR-1001", "/errors/ERR-1001/"} {
		base, _ := url.Parse(page)
		links := linksOf(string(a.get(page).want(t, http.StatusOK).body))
		if len(links) == 0 {
			t.Errorf("%s has no links", page)
		}
		for _, link := range links[:min(len(links), 3)] {
			to, err := base.Parse(link)
			if err != nil {
				t.Fatal(err)
			}
			a.get(to.Path).want(t, http.StatusOK)
		}
	}
}

func linksOf(page string) (links []string) {
	for _, attribute := range []string{`href="`, `src="`} {
		for _, rest := range strings.Split(page, attribute)[1:] {
			link, _, _ := strings.Cut(rest, `"`)
			links = append(links, link)
		}
	}
	return links
}

// TestB8ItemFields expects the promised fields of a prediction in lists, in the resource and in events.
func TestB8ItemFields(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	id := a.finished(bad)["prediction_id"].(string)
	item := a.get("/predictions").object(t)["predictions"].([]any)[0].(map[string]any)
	var last map[string]any
	for line := range strings.Lines(string(a.get("/predictions/"+id+"/events").want(t, http.StatusOK).body)) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &last); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, view := range map[string]map[string]any{
		"list": item, "resource": a.get("/predictions/" + id).object(t), "event": last,
	} {
		number, whole := view["upload_id"].(float64)
		if view["id"] != id || view["status"] != string(store.Completed) || view["rows_processed"] != 3.0 ||
			view["created_at"] == "" || !whole || number < 1 {
			t.Errorf("%s: %v", name, view)
		}
	}
}
