package serve_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retainwise/millrace/serve/internal/api"
)

const (
	typeArrow = "application/vnd.apache.arrow.stream"
	typeLines = "application/x-ndjson"
)

// dirtySample is the sample of a model with some cells that are refused or remarked upon.
func dirtySample(t *testing.T, model string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../testdata/samples/" + model + "_sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows[1:] {
		switch i % 17 {
		case 3:
			row[len(row)-1] = "many"
		case 5:
			row[len(row)-1] = ""
		case 7:
			row[0] = "a, \"b\"\nü"
		case 11:
			row[len(row)-1] = "1e999"
		}
	}
	return rows
}

func csvText(t *testing.T, rows [][]string) string {
	t.Helper()
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// objects writes rows as JSON, numbers as numbers.
func jsonObjects(t *testing.T, rows [][]string) (list []string) {
	t.Helper()
	for _, row := range rows[1:] {
		var members []string
		for i, cell := range row {
			value, err := json.Marshal(cell)
			if err != nil {
				t.Fatal(err)
			}
			if json.Valid([]byte(cell)) && cell[0] != '"' && cell[0] != 'n' {
				value = []byte(cell)
			}
			members = append(members, fmt.Sprintf("%q:%s", rows[0][i], value))
		}
		list = append(list, "{"+strings.Join(members, ",")+"}")
	}
	return list
}

// arrowText writes rows as an Arrow stream of text columns.
func arrowText(t *testing.T, rows [][]string) []byte {
	t.Helper()
	var fields []arrow.Field
	for _, name := range rows[0] {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.BinaryTypes.String})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	for _, row := range rows[1:] {
		for i, cell := range row {
			b.Field(i).(*array.StringBuilder).Append(cell)
		}
	}
	record := b.NewRecord()
	defer record.Release()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(record.Schema()))
	if err := w.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestScoreFormats expects the same bytes out, whatever the same rows came in as.
func TestScoreFormats(t *testing.T) {
	a := startAPI(t, nil)
	for _, model := range []string{"telecom", "saas"} {
		rows := dirtySample(t, model)
		list := jsonObjects(t, rows)
		bodies := map[string]string{
			"text/csv": csvText(t, rows), "application/json": "[" + strings.Join(list, ",\n") + "]",
			typeLines: strings.Join(list, "\n"), typeArrow: string(arrowText(t, rows)),
		}
		for _, accept := range []string{"text/csv", "application/json", typeLines, typeArrow} {
			var first answer
			for in, body := range bodies {
				r := a.do(http.MethodPost, "/score?model="+model, strings.NewReader(body), header("Content-Type", in),
					header("Accept", accept)).want(t, http.StatusOK)
				if got, _, _ := strings.Cut(r.header.Get("Content-Type"), ";"); got != accept {
					t.Errorf("%s: answered as %s", accept, got)
				}
				if r.header.Get("X-Rejected-Count") == "0" {
					t.Error("nothing was refused")
				}
				if first.body == nil {
					first = r
				} else if !bytes.Equal(first.body, r.body) {
					t.Errorf("%s %s as %s: other bytes: %.300s\n%.300s", model, in, accept, r.body, first.body)
				}
			}
		}
	}
}

// TestScore_FormatsAgree compares the answers in all formats cell by cell.
func TestScore_FormatsAgree(t *testing.T) {
	a := startAPI(t, nil)
	text := csvText(t, dirtySample(t, "telecom"))
	scored, err := csv.NewReader(bytes.NewReader(a.post("/score?guard=off", text).body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	d := json.NewDecoder(bytes.NewReader(a.post("/score?format=jsonl", text).want(t, http.StatusOK).body))
	d.UseNumber()
	for d.More() {
		var row map[string]any
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, row)
	}
	columns := readArrow(t, a.post("/score?format=arrow", text).want(t, http.StatusOK).body)
	next := 1
	for i, row := range lines {
		if columns["_row"][i] != string(row["_row"].(json.Number)) {
			t.Fatalf("row %d is %s in Arrow, %v in JSON", i, columns["_row"][i], row["_row"])
		}
		if row["_code"] != nil {
			if columns["_code"][i] != row["_code"] || columns["churn_probability"][i] != "(null)" {
				t.Errorf("refused row %v: %q", row, columns["_code"][i])
			}
			continue
		}
		for k, name := range scored[0] {
			want := scored[next][k]
			got := row[name]
			switch name {
			case "churn_probability":
				got = string(got.(json.Number))
				p, err := strconv.ParseFloat(columns[name][i], 32)
				q, _ := strconv.ParseFloat(want, 32)
				if err != nil || p != q {
					t.Errorf("probability %s in Arrow, %s in CSV", columns[name][i], want)
				}
			case "risk_factors", "protective_factors":
				var v any
				dec := json.NewDecoder(strings.NewReader(want))
				dec.UseNumber()
				if err := dec.Decode(&v); err != nil || fmt.Sprint(v) != fmt.Sprint(got) || columns[name][i] != want {
					t.Errorf("factors %v, want %s", got, want)
				}
				continue
			default:
				if columns[name][i] != want {
					t.Errorf("%s: %q in Arrow, %q in CSV", name, columns[name][i], want)
				}
			}
			if got != want {
				t.Errorf("%s: %q in JSON, %q in CSV", name, got, want)
			}
		}
		next++
	}
	if next != len(scored) {
		t.Errorf("%d scored rows in JSON, %d in CSV", next-1, len(scored)-1)
	}
}

// readArrow gives the columns of a stream as text.
func readArrow(t *testing.T, text []byte) map[string][]string {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	columns := map[string][]string{}
	for r.Next() {
		record := r.Record()
		for i, field := range record.Schema().Fields() {
			for row := range int(record.NumRows()) {
				columns[field.Name] = append(columns[field.Name], record.Column(i).ValueStr(row))
			}
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return columns
}

func TestScoreFormatsRefused(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.ScoreRowsMax, c.ScoreBytesMax = 100, 1<<20 })
	row := `{"customerID":"A-1","tenure":5,"MonthlyCharges":70.35,"TotalCharges":350.5,"Contract":"One year"}`
	deep := strings.Repeat(`{"a":`, 100_000)
	for name, test := range map[string]struct {
		contentType, accept, body string
		status                    int
		code                      string
	}{
		"no JSON":    {"application/json", "", "customerID\n", 400, "ERR-1304"},
		"cut":        {"application/json", "", "[" + row, 400, "ERR-1304"},
		"no array":   {"application/json", "", row, 400, "ERR-1304"},
		"deep":       {"application/json", "", "[" + deep, 400, "ERR-1304"},
		"none":       {"application/json", "", "[]", 400, "ERR-1005"},
		"rows":       {"application/json", "", "[" + strings.Repeat(row+",", 100) + row + "]", 413, "ERR-1407"},
		"bytes":      {"application/json", "", "[" + strings.Repeat(" ", 2<<20), 413, "ERR-1002"},
		"columns":    {"application/json", "", `[{"customerID":"A"}]`, 400, "ERR-1004"},
		"lines":      {typeLines, "", row + "\n" + row[:20], 400, "ERR-1304"},
		"no Arrow":   {typeArrow, "", "customerID\n", 400, "ERR-1304"},
		"an archive": {typeArrow, "", "PK\x03\x04", 400, "ERR-1007"},
		"type":       {"application/xml", "", "<a/>", 415, "ERR-1310"},
		"accept":     {"application/json", "application/xml", "[" + row + "]", 406, "ERR-1309"},
		"accept q=0": {"application/json", "text/csv;q=0", "[" + row + "]", 406, "ERR-1309"},
	} {
		t.Run(name, func(t *testing.T) {
			options := []option{header("Content-Type", test.contentType)}
			if test.accept != "" {
				options = append(options, header("Accept", test.accept))
			}
			a.do(http.MethodPost, "/score", strings.NewReader(test.body), options...).wantError(t, test.status, test.code)
		})
	}
	for accept, want := range map[string]string{
		"":                              "text/csv",
		"*/*":                           "text/csv",
		"application/*":                 "application/json",
		"text/csv;q=0.5, " + typeArrow:  typeArrow,
		"application/problem+json":      "text/csv",
		"application/xml, */*;q=0.1":    "text/csv",
		"text/csv;q=0, */*":             "application/json",
		"application/json;q=x, text/*":  "text/csv",
		"application/json, text/csv":    "text/csv",
		"application/json, ;, text/csv": "text/csv",
	} {
		r := a.do(http.MethodPost, "/score", strings.NewReader("["+row+"]"), header("Content-Type", "application/json"),
			header("Accept", accept)).want(t, http.StatusOK)
		if got, _, _ := strings.Cut(r.header.Get("Content-Type"), ";"); got != want {
			t.Errorf("Accept %q: %s, want %s", accept, got, want)
		}
	}
	e := a.do(http.MethodPost, "/score", strings.NewReader("["+row+`,{"more":1}]`), header("Content-Type", "application/json")).
		wantError(t, http.StatusBadRequest, "ERR-1304")
	if e.Error.Details["row"] != 2.0 || e.Error.Details["column"] != "more" {
		t.Errorf("details %v", e.Error.Details)
	}
}
