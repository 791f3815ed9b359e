package serve_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
)

// rejectedCustomers is a file of so many customers, every hundredth of whom is rejected.
func rejectedCustomers(n int) string {
	lines := strings.SplitAfter(customers(n), "\n")
	for i := 50; i < len(lines); i += 100 {
		lines[i] = fmt.Sprintf("r-%d,many,20.5,100,One year\n", i)
	}
	return strings.Join(lines, "")
}

// A prediction that is cancelled before its first part is done gives what was done, with the header line that the first
// part would have had: the rows are those of the undisturbed run.
func TestCancel_BeforeFirstPart(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.UploadLimits.PartBytes, c.UploadLimits.ChunkBytes = 32<<10, 4<<10
	})
	file := rejectedCustomers(3000)
	stop := a.work()
	whole := a.finished(file)
	stop()
	id := a.upload(file)
	if first := a.claim(); first.Part.No != 0 {
		t.Fatalf("part %d is in hand", first.Part.No)
	}
	a.work()
	user, cut := a.owner(), 0
	for end := time.Now().Add(time.Minute); cut == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		list, err := a.store.Predictions.List(t.Context(), user, store.ListQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if p := list[0]; p.PartsTotal > 1 && p.PartsDone == p.PartsTotal-1 {
			cut = int(p.Scored)
		}
	}
	if cut == 0 {
		t.Fatal("the other parts are never done")
	}
	a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).want(t, http.StatusOK)
	for _, name := range []string{"download", "rejects"} {
		path := "/predictions/" + id + "/" + name
		r := a.get(path)
		for end := time.Now().Add(time.Minute); r.status != http.StatusOK && time.Now().Before(end); r = a.get(path) {
			time.Sleep(20 * time.Millisecond)
		}
		all := a.get(whole["links"].(map[string]any)[name].(string)).want(t, http.StatusOK).body
		header, rows, _ := strings.Cut(string(all), "\n")
		gotHeader, gotRows, _ := strings.Cut(string(r.want(t, http.StatusOK).body), "\n")
		if gotHeader != header {
			t.Errorf("%s: header %q, want %q", name, gotHeader, header)
		}
		if len(gotRows) == 0 || len(gotRows) >= len(rows) || !strings.HasSuffix(rows, "\n"+gotRows) {
			t.Errorf("%s: %d bytes of rows are not the end of all %d", name, len(gotRows), len(rows))
		}
		if name == "download" && r.header.Get("X-Row-Count") != fmt.Sprint(strings.Count(gotRows, "\n")) {
			t.Errorf("X-Row-Count %q for %d rows", r.header.Get("X-Row-Count"), strings.Count(gotRows, "\n"))
		}
	}
}

// Cells that are no UTF-8 are in rejected rows only, and can be had in every format.
func TestDownload_RejectsInvalidUTF8(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	view := a.finished(telecom + "A-\xff4,1,2,3,One year\n")
	path := address(view["links"].(map[string]any)["rejects"])
	plain := a.get(path).want(t, http.StatusOK)
	if !strings.Contains(string(plain.body), "A-\xff4,1,2,3,One year") {
		t.Errorf("rejects: %q", plain.body)
	}
	columns := readArrow(t, a.get(path+"?format=arrow").want(t, http.StatusOK).body)
	if got := columns["customerID"]; len(got) != 1 || got[0] != "A-\uFFFD4" {
		t.Errorf("%q", columns)
	}
	if got := a.get(path+"?format=jsonl").want(t, http.StatusOK).object(t)["customerID"]; got != "A-\uFFFD4" {
		t.Errorf("%q", got)
	}
}
