package serve_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
)

// TestRows_EqualResultFile pages through all rows, in both orders and by band, and compares them with the result file.
func TestRows_EqualResultFile(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	text, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		t.Fatal(err)
	}
	view := a.finished(strings.Join(strings.SplitAfter(string(text), "\n")[:2501], ""))
	links := view["links"].(map[string]any)
	records, err := csv.NewReader(strings.NewReader(string(a.get(links["download"].(string)).want(t, 200).body))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	probability := slices.Index(records[0], "churn_probability")
	var want []string
	for i, record := range records[1:] {
		want = append(want, fmt.Sprint(i+1, record[0], record[probability], record[probability+1]))
	}
	path := address(links["rows"])
	if got := a.pages(path, "limit=999"); !slices.Equal(got, want) {
		t.Errorf("%d rows, or others than the file's %d", len(got), len(want))
	}
	bundle, _ := a.models.Get("telecom")
	total := 0
	for _, band := range bundle.Bands() {
		ofBand := slices.DeleteFunc(slices.Clone(want), func(row string) bool {
			return !strings.HasSuffix(row, " "+band.Name) && !strings.HasSuffix(row, band.Name)
		})
		got := a.pages(path, "limit=100&band="+band.Name)
		if !slices.Equal(got, ofBand) {
			t.Errorf("band %s: %d rows, want %d", band.Name, len(got), len(ofBand))
		}
		total += len(got)
	}
	if total != len(want) {
		t.Errorf("the bands have %d rows", total)
	}
	byProbability := a.pages(path, "sort=probability&limit=700")
	if !slices.Equal(slices.Sorted(slices.Values(byProbability)), slices.Sorted(slices.Values(want))) {
		t.Error("sorted rows are not the same rows")
	}
	checkFalling(t, a.get(path+"?sort=probability").object(t))
}

// pages reads all pages and writes each row as a line.
func (a *testAPI) pages(path, query string) (rows []string) {
	a.t.Helper()
	for cursor := ""; ; {
		page := a.get(path+"?"+query+cursor).want(a.t, http.StatusOK).object(a.t)
		for _, row := range page["rows"].([]any) {
			r := row.(map[string]any)
			p := strconv.FormatFloat(float64(float32(r["churn_probability"].(float64))), 'f', -1, 32)
			rows = append(rows, fmt.Sprint(int64(r["row"].(float64)), r["customer_id"], p, r["risk_band"]))
		}
		if page["next_cursor"] == nil {
			return rows
		}
		cursor = "&cursor=" + page["next_cursor"].(string)
	}
}

func checkFalling(t *testing.T, page map[string]any) {
	t.Helper()
	last := 2.0
	for _, row := range page["rows"].([]any) {
		p := row.(map[string]any)["churn_probability"].(float64)
		if p > last {
			t.Fatalf("%v follows %v", p, last)
		}
		last = p
	}
}

func TestRows_WhileQueued(t *testing.T) {
	a := startAPI(t, nil)
	page := a.get("/predictions/"+a.upload(telecom)+"/rows").want(t, http.StatusOK).object(t)
	if len(page["rows"].([]any)) != 0 || page["done"] != false || page["next_cursor"] != nil {
		t.Errorf("got %v", page)
	}
}

// The bands of a model that is not in use any more keep their names, until it is withdrawn.
func TestRows_WithdrawnModel(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	id := a.finished(telecom)["prediction_id"].(string)
	before := a.get("/predictions/"+id+"/rows").want(t, http.StatusOK).body
	other := *a
	none, _ := engine.NewRegistry()
	other.models = none
	other.restart(none)
	if got := other.get("/predictions/"+id+"/rows").want(t, http.StatusOK).body; !bytes.Equal(got, before) {
		t.Errorf("%s\n%s", got, before)
	}
	a.withdraw("telecom")
	other.restart(none)
	page := other.get("/predictions/"+id+"/rows").want(t, http.StatusOK).object(t)
	if band := page["rows"].([]any)[0].(map[string]any)["risk_band"].(string); len(band) != 1 || band[0] < '0' ||
		band[0] > '9' {
		t.Errorf("band %q", band)
	}
}

func TestRowsRefused(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	first := "/predictions/" + a.finished(telecom)["prediction_id"].(string) + "/rows"
	second := "/predictions/" + a.finished(telecom)["prediction_id"].(string) + "/rows"
	cursor := a.get(first + "?limit=1").object(t)["next_cursor"].(string)
	a.get(first+"?limit=2&cursor="+cursor).want(t, http.StatusOK)
	for path, code := range map[string]string{
		second + "?cursor=" + cursor:                 "ERR-1306",
		first + "?sort=probability&cursor=" + cursor: "ERR-1306",
		first + "?band=High&cursor=" + cursor:        "",
		first + "?cursor=x":                          "ERR-1306",
		first + "?cursor=" + strings.Repeat("_", 43): "ERR-1306",
		first + "?limit=1001":                        "ERR-1303",
		first + "?sort=name":                         "ERR-1302",
		first + "?band=purple":                       "ERR-1302",
		first + "?offset=1":                          "ERR-1305",
	} {
		if r := a.get(path); code != "" && !strings.Contains(string(r.body), code) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		} else if r.status < 400 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}
