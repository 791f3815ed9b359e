package serve_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestDownloadFormats compares stored files in all formats, plain and packed.
func TestDownloadFormats(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	links := a.finished(csvText(t, dirtySample(t, "telecom")))["links"].(map[string]any)
	for _, name := range []string{"download", "rejects"} {
		path := address(links[name])
		plain := a.get(path).want(t, http.StatusOK)
		rows, err := csv.NewReader(bytes.NewReader(plain.body)).ReadAll()
		if err != nil || len(rows) < 3 {
			t.Fatalf("%d rows: %v", len(rows), err)
		}
		tags := map[string]string{plain.header.Get("ETag"): "csv"}
		for _, format := range []string{"arrow", "jsonl"} {
			whole := a.testForms(path+"?format="+format, tags)
			if got := whole.header.Get("Content-Disposition"); !strings.Contains(got, "."+format+`"`) {
				t.Errorf("%s: %s", format, got)
			}
			if format == "arrow" {
				sameColumns(t, readArrow(t, whole.body), rows)
			} else {
				sameLines(t, whole.body, rows)
			}
		}
	}
}

// testForms wants one content, and one tag of its own, in every coding.
func (a *testAPI) testForms(path string, tags map[string]string) answer {
	t := a.t
	whole := a.get(path, header("Range", "bytes=0-9")).want(t, http.StatusOK)
	if got := whole.header.Get("Accept-Ranges"); got != "none" || whole.header.Get("Content-Range") != "" {
		t.Errorf("%s: ranges %q", path, got)
	}
	for _, coding := range []string{"identity", "gzip", "zstd", "br"} {
		r := a.get(path, header("Accept-Encoding", coding)).want(t, http.StatusOK)
		if !bytes.Equal(unpack(t, r), whole.body) {
			t.Errorf("%s as %s: other bytes", path, coding)
		}
		tag := r.header.Get("ETag")
		if other := tags[tag]; other != "" {
			t.Errorf("%s as %s: the ETag is that of %s", path, coding, other)
		}
		tags[tag] = path + " as " + coding
		again := a.get(path, header("Accept-Encoding", coding), header("If-None-Match", tag))
		if again.status != http.StatusNotModified {
			t.Errorf("%s as %s: %d for what the client has", path, coding, again.status)
		}
		if vary := r.header.Get("Vary"); !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Authorization") {
			t.Errorf("Vary %q", vary)
		}
	}
	head := a.do(http.MethodHead, path, nil).want(t, http.StatusOK)
	if head.header.Get("ETag") != whole.header.Get("ETag") || len(head.body) != 0 {
		t.Errorf("%s: HEAD %v", path, head.header)
	}
	return whole
}

func sameColumns(t *testing.T, columns map[string][]string, rows [][]string) {
	t.Helper()
	for i, name := range rows[0] {
		for k, row := range rows[1:] {
			if got := columns[name][k]; got != row[i] && name != "churn_probability" {
				t.Errorf("%s row %d: %q in Arrow, %q in CSV", name, k, got, row[i])
			}
		}
	}
}

func sameLines(t *testing.T, body []byte, rows [][]string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	if len(lines) != len(rows)-1 {
		t.Fatalf("%d lines, %d rows", len(lines), len(rows)-1)
	}
	for k, line := range lines {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil || len(row) != len(rows[0]) {
			t.Fatalf("line %d: %v", k, err)
		}
		if row["customerID"] != rows[k+1][0] {
			t.Errorf("line %d: %v", k, row)
		}
	}
}

// TestDownload_DuplicateColumnNames expects every cell of a file with duplicate column names, or those that scoring adds.
func TestDownload_DuplicateColumnNames(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	lines := strings.SplitN(telecom, "\n", 3)
	file := lines[0] + ",note,note,explanation\n" + lines[1] + ",x,y,z\n"
	path := address(a.finished(file)["links"].(map[string]any)["download"])
	got := a.get(path+"?format=jsonl").want(t, http.StatusOK).object(t)
	if got["note"] != "x" || got["note_2"] != "y" || got["explanation_input"] != "z" || got["explanation"] == "z" {
		t.Errorf("got %v", got)
	}
}

func TestGetPrediction_ETagWhenFinished(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	path := a.finished(telecom)["links"].(map[string]any)["self"].(string)
	first := a.get(path).want(t, http.StatusOK)
	tag := first.header.Get("ETag")
	if tag == "" || first.header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("headers %v", first.header)
	}
	if r := a.get(path, header("If-None-Match", tag)); r.status != http.StatusNotModified || len(r.body) != 0 {
		t.Errorf("status %d for what the client has", r.status)
	}
	a.get(path, header("If-None-Match", tag), as(a.token("somebody"))).wantError(t, http.StatusNotFound, "ERR-1101")
	sample := a.get("/csv-samples/telecom").want(t, http.StatusOK)
	r := a.get("/csv-samples/telecom", header("If-None-Match", sample.header.Get("ETag")))
	if r.status != http.StatusNotModified {
		t.Errorf("status %d for a sample that the client has", r.status)
	}
}
