package serve_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
)

// TestPredictionFromUploadToDownload is the whole way of a customer, in one call and then step by step.
func TestPredictionFromUploadToDownload(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	r := a.post("/upload?filename=march.csv", bad, header("Prefer", "respond-async, wait=30")).want(t, http.StatusOK)
	if got := r.header.Get("Preference-Applied"); got != "wait=30" {
		t.Errorf("Preference-Applied %q", got)
	}
	view := r.object(t)
	if view["status"] != "completed" || view["done"] != true || view["error"] != nil || view["stage"] != nil {
		t.Fatalf("got %s", r.body)
	}
	if rows := fmt.Sprint(view["rows"]); rows != "map[rejected:1 scored:2 unprocessed:0]" || view["row_count"] != 3.0 {
		t.Errorf("rows %v of %v", rows, view["row_count"])
	}
	if percent := view["progress"].(map[string]any)["percent"]; percent != 100.0 {
		t.Errorf("progress %v", percent)
	}
	for _, name := range []string{"created_at", "started_at", "first_result_at", "finished_at"} {
		if _, err := time.Parse(time.RFC3339, fmt.Sprint(view[name])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	links := view["links"].(map[string]any)
	result := a.get(address(links["download"])).want(t, http.StatusOK)
	lines := strings.Split(strings.TrimSpace(string(result.body)), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0],
		"customerID,tenure,MonthlyCharges,TotalCharges,Contract,churn_probability,risk_band") ||
		!strings.HasPrefix(lines[1], "A-1,5,70.35,350.5,Month-to-month,0.") {
		t.Errorf("result:\n%s", result.body)
	}
	for name, want := range map[string]string{
		"Content-Type":        "text/csv; charset=utf-8",
		"Content-Disposition": `attachment; filename="march-scored.csv"; filename*=UTF-8''march-scored.csv`,
		"Accept-Ranges":       "bytes",
		"Cache-Control":       "private, no-cache",
	} {
		if got := result.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	rejects := a.get(address(links["rejects"])).want(t, http.StatusOK)
	if !strings.Contains(string(rejects.body), "A-2,forty,20.1,804,Two year,2,3,ERR-1602,tenure,") {
		t.Errorf("rejects:\n%s", rejects.body)
	}
	a.testDelivery(address(links["download"]), result)
}

// testDelivery asks for a file in every way there is.
func (a *testAPI) testDelivery(path string, whole answer) {
	t, size, tag := a.t, len(whole.body), whole.header.Get("ETag")
	for value, want := range map[string]string{
		"bytes=0-9":        string(whole.body[:10]),
		"bytes=5-5":        string(whole.body[5:6]),
		"bytes=-7":         string(whole.body[size-7:]),
		"bytes=10-":        string(whole.body[10:]),
		"bytes=10-9999999": string(whole.body[10:]),
		"bytes=-9999999":   string(whole.body),
	} {
		r := a.get(path, header("Range", value)).want(t, http.StatusPartialContent)
		if string(r.body) != want || r.header.Get("Content-Range") == "" {
			t.Errorf("%s: %q, %s", value, r.body, r.header.Get("Content-Range"))
		}
	}
	for _, value := range []string{
		"rows=1-2", "bytes=2-1", "bytes=a-b", "bytes=0-1,3-4", "bytes=-x", "bytes=1-x",
		"bytes",
	} {
		if r := a.get(path, header("Range", value)).want(t, http.StatusOK); !bytes.Equal(r.body, whole.body) {
			t.Errorf("%s: not the whole file", value)
		}
	}
	for _, value := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=-0"} {
		r := a.get(path, header("Range", value))
		r.wantError(t, http.StatusRequestedRangeNotSatisfiable, "ERR-1311")
		if got := r.header.Get("Content-Range"); got != fmt.Sprintf("bytes */%d", size) {
			t.Errorf("%s: Content-Range %q", value, got)
		}
	}
	if r := a.get(path, header("Range", "bytes=0-9"), header("If-Range", tag)); r.status != http.StatusPartialContent {
		t.Errorf("If-Range of this version: %d", r.status)
	}
	if r := a.get(path, header("Range", "bytes=0-9"), header("If-Range", `"other"`)); r.status != http.StatusOK {
		t.Errorf("If-Range of another version: %d", r.status)
	}
	for _, value := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if r := a.get(path, header("If-None-Match", value)); r.status != http.StatusNotModified || len(r.body) != 0 {
			t.Errorf("If-None-Match %s: %d", value, r.status)
		}
	}
	if r := a.get(path, header("If-None-Match", `"x"`)); r.status != http.StatusOK {
		t.Errorf("If-None-Match of another version: %d", r.status)
	}
	head := a.do(http.MethodHead, path, nil).want(t, http.StatusOK)
	if len(head.body) != 0 || head.header.Get("Content-Length") != fmt.Sprint(size) {
		t.Errorf("HEAD: %v", head.header)
	}
	if r := a.do(http.MethodHead, path, nil, header("Accept-Encoding",
		"gzip")); r.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("HEAD gzip: %v", r.header)
	}
	a.testCodings(path, whole)
	a.get(path+"?format=parquet").wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
}

func (a *testAPI) testCodings(path string, whole answer) {
	t := a.t
	for accept, want := range map[string]string{
		"gzip": "gzip", "zstd": "zstd", "gzip, deflate, br, zstd": "zstd", "zstd;q=0, gzip;q=0.5": "gzip", "br": "br",
		"gzip;q=0": "", "zstd;q=0.1, br;q=0.5, gzip;q=0.5": "br", "gzip;q=x": "", "br;q=0.9, gzip": "gzip",
	} {
		r := a.get(path, header("Accept-Encoding", accept)).want(t, http.StatusOK)
		if got := r.header.Get("Content-Encoding"); got != want {
			t.Errorf("%s: got %q", accept, got)
			continue
		}
		if got := unpack(t, r); !bytes.Equal(got, whole.body) {
			t.Errorf("%s: other bytes", accept)
		}
		if want != "" && r.header.Get("ETag") == whole.header.Get("ETag") {
			t.Errorf("%s: the ETag is that of the plain file", accept)
		}
	}
	r := a.get(path, header("Accept-Encoding", "gzip"), header("Range", "bytes=0-3"))
	if r.header.Get("Content-Encoding") != "" || string(r.body) != string(whole.body[:4]) {
		t.Error("a range must be of the plain file")
	}
}

func unpack(t *testing.T, r answer) []byte {
	t.Helper()
	var source io.Reader = bytes.NewReader(r.body)
	var err error
	switch r.header.Get("Content-Encoding") {
	case "gzip":
		source, err = gzip.NewReader(source)
	case "br":
		source = brotli.NewReader(source)
	case "zstd":
		source, err = zstd.NewReader(source)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(source)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDownloadNames(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	for given, want := range map[string]string{
		"q1 выход.csv.gz": `attachment; filename="q1___________-scored.csv"; filename*=UTF-8''q1%20%D0%B2%D1%8B%D1%85%D0%BE%D0%B4-scored.csv`,
		"cafe\u0301.csv":  `attachment; filename="caf__-scored.csv"; filename*=UTF-8''caf%C3%A9-scored.csv`,
	} {
		body, contentType := form(t, given, []byte(telecom))
		view := a.postForm("/upload", body, contentType, header("Prefer", "wait=30")).want(t, http.StatusOK).object(t)
		r := a.do(http.MethodHead, view["links"].(map[string]any)["download"].(string), nil)
		if got := r.header.Get("Content-Disposition"); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", given, got, want)
		}
	}
}

func TestDownload_MisleadingNames(t *testing.T) {
	a := startAPI(t, nil)
	for _, name := range []string{"x\u202ecsv.exe.csv", "a\u200fb.csv", "a\u2066b.csv", "a\x1bb.csv", "a\x7fb.csv", "a\u0085.csv"} {
		a.post("/upload?filename="+url.QueryEscape(name), telecom).
			wantError(t, http.StatusBadRequest, "ERR-1001")
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestDownload_NotReady(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	for _, path := range []string{"/download", "/rejects"} {
		r := a.get("/predictions/" + id + path)
		e := r.wantError(t, http.StatusConflict, "ERR-1105")
		if !e.Retryable || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: not retryable", path)
		}
	}
	view := a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).want(t, http.StatusOK).object(t)
	if view["status"] != "cancelled" || view["done"] != true {
		t.Errorf("cancelled: %v", view)
	}
	a.get("/predictions/"+id+"/download").wantError(t, http.StatusConflict, "ERR-1104")
	a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).want(t, http.StatusOK) // again is no error
}

func TestDownload_NoRejects(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	view := a.finished(telecom)
	a.do(http.MethodPost, "/predictions/"+view["prediction_id"].(string)+"/cancel", nil).
		wantError(t, http.StatusConflict, "ERR-1106")
	r := a.get(view["links"].(map[string]any)["rejects"].(string)).want(t, http.StatusOK)
	if !strings.HasPrefix(string(r.body), "customerID,") || strings.Count(string(r.body), "\n") != 1 {
		t.Errorf("rejects of a good file: %q", r.body)
	}
}

// claim takes the next part as a worker would.
func (a *testAPI) claim() *store.Claim {
	a.t.Helper()
	c, err := a.store.Ledger.ClaimPart(context.Background(), "test")
	if err != nil || c == nil {
		a.t.Fatalf("claim: %v, %v", c, err)
	}
	return c
}

func TestFailedPrediction(t *testing.T) {
	a := startAPI(t, nil)
	for name, test := range map[string]struct {
		failure       store.Failure
		code, message string
	}{
		"known": {
			store.Failure{
				Code: "ERR-1009", Stage: "scoring", Chunk: 7, Message: "A quote.",
				Details: json.RawMessage(`{"line":9}`),
			},
			"ERR-1009", "A quote.",
		},
		"a worker that vanished": {
			store.Failure{Message: "lease ran out"},
			"ERR-1102",
			"This prediction could not be completed.",
		},
		"not answerable": {
			store.Failure{Code: "ERR-1014", Stage: "reading"},
			"ERR-1014",
			"The file could not be read from the bucket.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			id := a.upload(telecom)
			test.failure.Permanent = true
			if err := a.store.Ledger.FailPart(context.Background(), a.claim(), test.failure); err != nil {
				t.Fatal(err)
			}
			view := a.get("/predictions/"+id).want(t, http.StatusOK).object(t)
			object := view["error"].(map[string]any)
			if view["status"] != "failed" || object["code"] != test.code || object["message"] != test.message {
				t.Errorf("got %v", object)
			}
			if details := object["details"].(map[string]any); test.failure.Chunk != 0 &&
				(details["line"] != 9.0 || details["stage"] != "scoring" || details["chunk"] != 7.0) {
				t.Errorf("details %v", details)
			}
			a.get("/predictions/"+id+"/download").wantError(t, http.StatusConflict, test.code)
		})
	}
}

func TestPredictionPages(t *testing.T) {
	a := startAPI(t, nil)
	var want []string
	for range 5 {
		want = append([]string{a.upload(telecom)}, want...)
	}
	var got []string
	cursor := ""
	for pages := 0; ; pages++ {
		page := a.get("/predictions?limit=2"+cursor).want(t, http.StatusOK).object(t)
		for _, p := range page["predictions"].([]any) {
			got = append(got, p.(map[string]any)["prediction_id"].(string))
		}
		if page["next_cursor"] == nil {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
		cursor = "&cursor=" + page["next_cursor"].(string)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(a.get("/predictions").object(t)["predictions"].([]any)); n != 5 {
		t.Errorf("%d without a limit", n)
	}
	for query, want := range map[string]string{
		"limit=0": "ERR-1303", "limit=101": "ERR-1303", "limit=x": "ERR-1302", "offset=3": "ERR-1305",
		"cursor=x": "ERR-1306", "cursor=AAAA": "ERR-1306", "cursor=" + strings.Repeat("_", 22) + "8": "ERR-1306",
		"cursor=AQAAAAAAAAAAAAAAAAAAAAE": "ERR-1306",
	} {
		status := map[string]int{"ERR-1305": 400, "ERR-1306": 400}[want]
		if status == 0 {
			status = 422
		}
		a.get("/predictions?"+query).wantError(t, status, want)
	}
}

func TestPredictionIDs(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	for _, wrong := range []string{
		uuid.NewString(), strings.ToUpper(id), "{" + id + "}", strings.ReplaceAll(id, "-", ""), "1", "'--", id + "x",
	} {
		a.get("/predictions/"+wrong).wantError(t, http.StatusNotFound, "ERR-1101")
	}
}

func TestEvents(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	req, _ := http.NewRequest(http.MethodGet, a.url+"/predictions/"+id+"/events", nil)
	req.Header.Set("Authorization", a.token("owner"))
	req.Header.Set("Last-Event-ID", "41")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
	var kinds, ids []string
	var last map[string]any
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			if kinds = append(kinds, value); len(kinds) == 1 {
				a.work()
			}
		case "id":
			ids = append(ids, value)
		case "data":
			if err := json.Unmarshal([]byte(value), &last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if kinds[0] != "state" || kinds[len(kinds)-1] != "done" || ids[0] != "42" || last["status"] != "completed" {
		t.Errorf("events %v, ids %v, last %v", kinds, ids, last["status"])
	}
	for given, first := range map[string]string{
		ids[len(ids)-1]: fmt.Sprint(len(ids) + 42), "": "1", "x": "1", "-5": "1", "9223372036854775807": "1",
		"9007199254740992": "9007199254740993",
	} { // a client that reconnects late gets the last event, with a new id
		r := a.get("/predictions/"+id+"/events", header("Last-Event-ID", given)).want(t, http.StatusOK)
		if !strings.HasPrefix(string(r.body), "id: "+first+"\nevent: done\n") {
			t.Errorf("after %q: %.40s, want id %s", given, r.body, first)
		}
	}
	r := a.get("/predictions/"+id+"/events").want(t, http.StatusOK)
	wantDocumentedEvents(t, string(r.body))
	if !strings.HasPrefix(string(r.body), "id: 1\nevent: done\ndata: {") {
		t.Errorf("events of a finished prediction: %.80s", r.body)
	}
}

func TestTooManyEventStreams(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Places.Streams = 1 })
	id := a.upload(telecom)
	req, _ := http.NewRequest(http.MethodGet, a.url+"/predictions/"+id+"/events", nil)
	req.Header.Set("Authorization", a.token("owner"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	a.get("/predictions/"+id+"/events").wantError(t, http.StatusServiceUnavailable, "ERR-1404")
	_ = resp.Body.Close()
	a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).want(t, http.StatusOK)
	waitFor(t, "the stream's place", func() bool {
		return a.get("/predictions/"+id+"/events").status == http.StatusOK
	})
}
