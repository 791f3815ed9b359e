package serve_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/fault"
)

// TestScoreEqualsUpload scores a file in memory and by a worker: the bytes must be the same.
func TestScoreEqualsUpload(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	text, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		t.Fatal(err)
	}
	r := a.post("/score", string(text)).want(t, http.StatusOK)
	if r.header.Get("X-Row-Count") != "10000" || r.header.Get("X-Rejected-Count") != "0" || r.header.Get("X-Model") == "" {
		t.Errorf("headers %v", r.header)
	}
	stored := a.get(a.finished(string(text))["links"].(map[string]any)["download"].(string)).want(t, http.StatusOK)
	if string(r.body) != string(stored.body) {
		t.Errorf("%d bytes scored in memory, %d by a worker, or other ones", len(r.body), len(stored.body))
	}
	if n := len(a.objectKeys()); n == 0 {
		t.Error("the upload left no object")
	}
}

func TestScore(t *testing.T) {
	a := startAPI(t, nil)
	r := a.post("/score?explain=none", bad).want(t, http.StatusOK)
	if r.header.Get("X-Row-Count") != "2" || r.header.Get("X-Rejected-Count") != "1" {
		t.Errorf("headers %v", r.header)
	}
	body, contentType := form(t, "a.csv", []byte(bad), "model", "telecom")
	got := a.postForm("/score?format=json", body, contentType).want(t, http.StatusOK).object(t)
	if got["scored"] != 2.0 || got["rejected"] != 1.0 || got["model"] != "telecom" ||
		len(got["rows"].([]any)) != 3 {
		t.Fatalf("got %v", got)
	}
	first, second := got["rows"].([]any)[0].(map[string]any), got["rows"].([]any)[1].(map[string]any)
	if first["_row"] != 1.0 || first["customerID"] != "A-1" || first["churn_probability"] == nil || first["_code"] != nil {
		t.Errorf("scored row %v", first)
	}
	if second["_row"] != 2.0 || second["_line"] != 3.0 || second["_code"] != "ERR-1602" || second["_column"] != "tenure" ||
		second["tenure"] != "forty" || second["churn_probability"] != nil {
		t.Errorf("rejected row %v", second)
	}
	if list := a.get("/predictions").object(t)["predictions"].([]any); len(list) != 0 || len(a.leftovers()) != 0 {
		t.Error("something was stored")
	}
}

func TestScoreBudget(t *testing.T) {
	a := startAPI(t, nil)
	a.post("/score?max_rejected=1&max_rejected_percent=50", bad).want(t, http.StatusOK)
	many := telecom + strings.Repeat("A-4,one,2,3,One year\n", 100) + strings.Repeat("A-4,1,2,3,One year\n", 2000)
	e := a.post("/score?max_rejected_percent=1.5", many).wantError(t, http.StatusConflict, "ERR-1107")
	if e.Error.Details["limit"] != "1.5 %" {
		t.Errorf("details %v", e.Error.Details)
	}
	a.post("/score?max_rejected_percent=5", many).want(t, http.StatusOK)
}

func TestScoreRefused(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.ScoreRowsMax, c.ScoreBytesMax = 100, 1<<20
		c.UploadLimits = ingest.Limits{RowBytesMax: 1000}
	})
	long := telecom + "A-4,1,2,3," + strings.Repeat("x", 2000) + "\n"
	for name, test := range map[string]struct {
		path, text string
		status     int
		code       string
	}{
		"rows":       {"/score", telecom + strings.Repeat("A-4,1,2,3,One year\n", 100), 413, "ERR-1407"},
		"bytes":      {"/score", telecom + strings.Repeat("A-4,1,2,3,One year\n", 60_000), 413, "ERR-1002"},
		"empty":      {"/score", "", 400, "ERR-1005"},
		"no rows":    {"/score", strings.SplitAfter(telecom, "\n")[0], 400, "ERR-1005"},
		"no text":    {"/score", "PK\x03\x04", 400, "ERR-1007"},
		"columns":    {"/score?model=saas", withoutContract, 400, "ERR-1004"},
		"model":      {"/score?model=x", telecom, 404, "ERR-1701"},
		"format":     {"/score?format=xml", telecom, 422, "ERR-1302"},
		"explain":    {"/score?explain=some", telecom, 422, "ERR-1302"},
		"budget":     {"/score?max_rejected=0", bad, 409, "ERR-1107"},
		"budget %":   {"/score?max_rejected_percent=x", bad, 422, "ERR-1302"},
		"budget -1":  {"/score?max_rejected=-1", bad, 422, "ERR-1302"},
		"budget 101": {"/score?max_rejected_percent=101", bad, 422, "ERR-1303"},
		"quote":      {"/score", telecom + "\"A-4,1,2,3,One year\n", 400, "ERR-1009"},
		"long row":   {"/score", long, 400, "ERR-1010"},
		"file name":  {"/score?filename=a.xlsx", telecom, 400, "ERR-1001"},

		"validate empty":    {"/validate", "", 400, "ERR-1005"},
		"validate no rows":  {"/validate", strings.SplitAfter(telecom, "\n")[0], 400, "ERR-1005"},
		"validate no text":  {"/validate", "PK\x03\x04", 400, "ERR-1007"},
		"validate columns":  {"/validate?model=saas", withoutContract, 400, "ERR-1004"},
		"validate model":    {"/validate?model=x", telecom, 404, "ERR-1701"},
		"validate quote":    {"/validate", telecom + "\"A-4,1,2,3,One year\n", 400, "ERR-1009"},
		"validate name":     {"/validate?filename=a.xlsx", telecom, 400, "ERR-1001"},
		"validate long row": {"/validate", long, 400, "ERR-1010"},
	} {
		t.Run(name, func(t *testing.T) { a.post(test.path, test.text).wantError(t, test.status, test.code) })
	}
}

// TestValidate_PredictsScoring expects of every golden file what scoring then does.
func TestValidate_PredictsScoring(t *testing.T) {
	a := startAPI(t, nil)
	for _, file := range badFiles(t) {
		t.Run(file.File, func(t *testing.T) {
			content, err := os.ReadFile("../testdata/samples/bad/" + file.File)
			if err != nil {
				t.Fatal(err)
			}
			body, contentType := form(t, file.File, content)
			said := a.postForm("/validate?model=telecom", body, contentType)
			done := a.postForm("/score?model=telecom&format=json", body, contentType)
			if said.status != done.status {
				t.Fatalf("validate answers %d, score %d", said.status, done.status)
			}
			if said.status != http.StatusOK {
				if s, d := said.object(t)["error"],
					done.object(t)["error"]; s.(map[string]any)["message"] != d.(map[string]any)["message"] {
					t.Errorf("validate says %v, score %v", s, d)
				}
				return
			}
			v, s := said.object(t), done.object(t)
			if v["accepted"] != s["scored"] || v["rejected"] != s["rejected"] || v["row_count"] != s["row_count"] {
				t.Errorf("validate: %v of %v, score: %v", v["accepted"], v["row_count"], s["scored"])
			}
			if v["valid"] != (file.Rejected == 0) || v["rejected"] != float64(file.Rejected) ||
				v["accepted"] != float64(file.Scored) {
				t.Errorf("got %v rejected of %v, want %d", v["rejected"], v["row_count"], file.Rejected)
			}
			var refused []map[string]any
			for _, row := range s["rows"].([]any) {
				if r := row.(map[string]any); r["_code"] != nil {
					refused = append(refused, r)
				}
			}
			for i, e := range v["errors"].([]any) {
				validated := e.(map[string]any)
				for name, of := range map[string]string{
					"row": "_row", "line": "_line", "code": "_code", "column": "_column", "message": "_reason",
				} {
					if validated[name] != refused[i][of] {
						t.Errorf("validated as %v, refused as %v", validated, refused[i])
					}
				}
				code := e.(map[string]any)["code"].(string)
				if !slices.ContainsFunc(file.Codes, func(c int) bool { return fault.Code(c).String() == code }) {
					t.Errorf("found %v, want one of %v", e, file.Codes)
				}
			}
		})
	}
}

func TestValidate_ListsAtMost100Rows(t *testing.T) {
	a := startAPI(t, nil)
	got := a.post("/validate", telecom+strings.Repeat("A-4,one,2,3,One year\n", 150)).want(t, http.StatusOK).object(t)
	if len(got["errors"].([]any)) != 100 || got["errors_omitted"] != 50.0 || got["rejected"] != 150.0 ||
		got["valid"] != false {
		t.Errorf("%d listed, %v omitted of %v", len(got["errors"].([]any)), got["errors_omitted"], got["rejected"])
	}
}
