package serve_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/internal/fault"
)

func TestUpload(t *testing.T) {
	a := startAPI(t, nil)
	r := a.post("/upload?filename=march.csv", telecom).want(t, http.StatusOK)
	got := r.object(t)
	for name, want := range map[string]any{
		"filename": "march.csv", "status": "pending", "row_count": 3.0, "model": "telecom",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	id := got["prediction_id"].(string)
	if want := "/predictions/" + id; r.header.Get("Location") != want {
		t.Errorf("Location %q", r.header.Get("Location"))
	}
	keys := a.objectKeys()
	if form := regexp.MustCompile(`^uploads/[0-9a-f-]{36}/input\.csv$`); len(keys) != 1 || !form.MatchString(keys[0]) {
		t.Errorf("objects %v", keys)
	}
	view := a.get("/predictions/"+id).want(t, http.StatusOK).object(t)
	if view["progress"].(map[string]any)["queue_position"] != 0.0 || view["status_reason"] != "0 predictions ahead" {
		t.Errorf("waiting prediction: %v, %v", view["progress"], view["status_reason"])
	}
	if rows := view["rows"].(map[string]any); rows["unprocessed"] != 3.0 {
		t.Errorf("rows %v", rows)
	}
}

func TestUploadForms(t *testing.T) {
	a := startAPI(t, nil)
	packed := gzipped(t, telecom)
	for name, test := range map[string]struct {
		filename string
		content  []byte
		fields   []string
		query    string
	}{
		"form":                    {"march.csv", []byte(telecom), nil, ""},
		"model as field":          {"march.csv", []byte(telecom), []string{"model", "telecom"}, ""},
		"model as parameter":      {"march.csv", []byte(telecom), nil, "?model=telecom"},
		"gzip":                    {"march.csv.gz", packed, nil, ""},
		"gzip under another name": {"march.CSV", packed, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body, contentType := form(t, test.filename, test.content, test.fields...)
			got := a.postForm("/upload"+test.query, body, contentType).want(t, http.StatusOK).object(t)
			if got["filename"] != test.filename || got["row_count"] != 3.0 || got["model"] != "telecom" {
				t.Errorf("got %v", got)
			}
		})
	}
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUploadSaaS(t *testing.T) {
	a := startAPI(t, nil)
	text, err := os.ReadFile("../testdata/samples/saas_sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.post("/upload", string(text)).want(t, http.StatusOK).object(t); got["model"] != "saas" {
		t.Errorf("model %v", got["model"])
	}
}

// TestUpload_BadFiles sends each golden bad file and wants its published code, and nothing kept.
func TestUpload_BadFiles(t *testing.T) {
	a := startAPI(t, nil)
	for _, file := range badFiles(t) {
		if file.Kind != "Refused as a whole" {
			continue
		}
		t.Run(file.File, func(t *testing.T) {
			content, err := os.ReadFile("../testdata/samples/bad/" + file.File)
			if err != nil {
				t.Fatal(err)
			}
			body, contentType := form(t, file.File, content)
			r := a.postForm("/upload?model=telecom", body, contentType)
			var e errorBody
			if err := json.Unmarshal(r.body, &e); err != nil {
				t.Fatal(err)
			}
			known := false
			for _, code := range file.Codes {
				known = known || e.Error.Code == fault.Code(code).String()
			}
			if !known {
				t.Errorf("got %s, want one of %v", r.body, file.Codes)
			}
			status := http.StatusBadRequest
			if e.Error.Code == fault.CodeDamagedArchive.String() {
				status = http.StatusUnprocessableEntity
			}
			r.wantError(t, status, e.Error.Code)
		})
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if list := a.get("/predictions").object(t)["predictions"].([]any); len(list) != 0 {
		t.Errorf("%d predictions of refused files", len(list))
	}
}

type badFile struct {
	File, Kind       string
	Codes            []int
	Scored, Rejected int
}

func badFiles(t *testing.T) (files []badFile) {
	t.Helper()
	text, err := os.ReadFile("../testdata/samples/bad/index.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	return files
}

func TestUpload_ErrorMessages(t *testing.T) {
	a := startAPI(t, smallLimits)
	rest := strings.SplitN(telecom, "\n", 2)[1]
	for name, test := range map[string]struct {
		text     string
		status   int
		code     string
		sentence string
		details  string
	}{
		"one column missing": {
			"customerID,tenure,MonthlyCharges,TotalCharges\n" + rest, 400, "ERR-1004",
			"Missing required column 'Contract'. Please ensure your CSV contains this column.",
			`{"columns":[{"column":"Contract","label":"Contract"}]}`,
		},
		"one column misspelt": {
			"customerID,tenur,MonthlyCharges,TotalCharges,Contract\n" + rest, 400, "ERR-1004",
			"Missing required column 'Tenure'. Please ensure your CSV contains this column.",
			`{"columns":[{"column":"tenure","label":"Tenure","suggestion":"tenur"}],"suggestion":"tenur"}`,
		},
		"column twice": {
			"customerID,tenure,Tenure,MonthlyCharges,TotalCharges,Contract\n" + rest, 400, "ERR-1006",
			"The column 'tenure' is in your file twice, as columns 2 and 3. Remove or rename one of them.",
			`{"column":"tenure","columns":[2,3]}`,
		},
		"stray quote": {
			strings.Replace(telecom, "customerID", "customer\"ID", 1), 400, "ERR-1009",
			"There is a stray quotation mark on line 1. A cell that contains quotation marks must be quoted, " +
				"and each quotation mark inside it doubled.", `{"line":1}`,
		},
		"stray and open quotes": {
			telecom + "A-4,1,2\"3,4,One year\nA-5,\"1,2,3,One year\n", 400, "ERR-1009",
			"The quotation mark opened on line 6 is not closed. Close it, or double it if it belongs to the text. " +
				"Quotation marks stand in the wrong place on line 5 too, which may be the cause.", `{"line":6,"lines":[5]}`,
		},
		"open quote": {
			telecom + "A-4,\"1,2,3,One year\n", 400, "ERR-1009",
			"The quotation mark opened on line 5 is not closed. Close it, or double it if it belongs to the text.",
			`{"line":5}`,
		},
		"too many rows": {
			telecom + strings.Repeat("A-4,1,20,30,One year\n", 1000), 413, "ERR-1002",
			"The file has more than 1,000 rows, the most that one upload may have. Split it into smaller files.",
			`{"limit":1000,"unit":"rows"}`,
		},
		"too many bytes": {
			telecom + strings.Repeat("A-4,1,20,30,One year\n", 60_000), 413, "ERR-1002",
			"File too large. Maximum size is 1MB",
			`{"limit":1048576,"unit":"bytes"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := a.post("/upload?model=telecom", test.text).wantError(t, test.status, test.code)
			if e.Error.Message != test.sentence {
				t.Errorf("got  %q\nwant %q", e.Error.Message, test.sentence)
			}
			if got, _ := json.Marshal(e.Error.Details); string(got) != test.details {
				t.Errorf("details %s, want %s", got, test.details)
			}
		})
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestUpload_Refused(t *testing.T) {
	a := startAPI(t, smallLimits)
	good, contentType := form(t, "a.csv", []byte(telecom))
	lack, lackType := form(t, "a.csv", []byte(withoutContract))
	exe, exeType := form(t, "a.exe", []byte(telecom))
	long, longType := form(t, "a.csv", []byte(telecom), "model", strings.Repeat("x", 2000))
	two := bytes.Replace(good, []byte("\r\n--"+boundary(contentType)+"--"), []byte("\r\n--"+boundary(contentType)+
		"\r\nContent-Disposition: form-data; name=\"b\"; filename=\"b.csv\"\r\n\r\nx\r\n--"+boundary(contentType)+"--"), 1)
	none := []byte("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntelecom\r\n--b--\r\n")
	bomb := gzipped(t, telecom+strings.Repeat("A-4,1,20,30,One year\n", 600_000))
	for name, test := range map[string]struct {
		path, contentType string
		body              []byte
		options           []option
		status            int
		code              string
	}{
		"unknown model":        {"/upload?model=weather", contentType, good, nil, 404, "ERR-1701"},
		"empty model":          {"/upload?model=%00", contentType, good, nil, 404, "ERR-1701"},
		"model of other files": {"/upload?model=saas", lackType, lack, nil, 400, "ERR-1004"},
		"unknown parameter":    {"/upload?modell=telecom", contentType, good, nil, 400, "ERR-1305"},
		"parameter twice":      {"/upload?model=telecom&model=saas", contentType, good, nil, 422, "ERR-1302"},
		"explain":              {"/upload?explain=maybe", contentType, good, nil, 422, "ERR-1302"},
		"exe":                  {"/upload", exeType, exe, nil, 400, "ERR-1001"},
		"raw exe":              {"/upload?filename=a.exe", "text/csv", []byte(telecom), nil, 400, "ERR-1001"},
		"two files":            {"/upload", contentType, two, nil, 400, "ERR-1001"},
		"no file":              {"/upload", "multipart/form-data; boundary=b", none, nil, 422, "ERR-1301"},
		"long field":           {"/upload", longType, long, nil, 422, "ERR-1302"},
		"no boundary":          {"/upload", "multipart/form-data", good, nil, 400, "ERR-1304"},
		"wrong boundary":       {"/upload", "multipart/form-data; boundary=other", good, nil, 400, "ERR-1304"},
		"form cut":             {"/upload", contentType, good[:len(good)-30], nil, 400, "ERR-1304"},
		"form cut in the file": {"/upload", contentType, good[:len(good)-100], nil, 400, "ERR-1304"},
		"json":                 {"/upload", "application/json", []byte(`{}`), nil, 415, "ERR-1310"},
		"no type":              {"/upload", "", []byte(telecom), nil, 415, "ERR-1310"},
		"brotli": {
			"/upload", "text/csv", []byte(telecom),
			[]option{header("Content-Encoding", "br")},
			415, "ERR-1310",
		},
		"wait for ever":      {"/upload", contentType, good, []option{header("Prefer", "wait=61")}, 422, "ERR-1303"},
		"wait for a word":    {"/upload", contentType, good, []option{header("Prefer", "wait=long")}, 422, "ERR-1302"},
		"unpacked too large": {"/upload", "text/csv", bomb, nil, 413, "ERR-1011"},
		"empty body":         {"/upload", "text/csv", nil, nil, 400, "ERR-1005"},
		"two models fit":     {"/upload", "text/csv", []byte("a,b\n1,2\n"), nil, 400, "ERR-1004"},
	} {
		t.Run(name, func(t *testing.T) {
			a.postForm(test.path, test.body, test.contentType, test.options...).wantError(t, test.status, test.code)
		})
	}
	if files := a.leftovers(); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// TestForm_FieldRules sends forms with every kind of field in every place, and wants what the rule of parameters says:
// unknown, twice or misplaced is an error, for a field as for a parameter, and what passes has its effect.
func TestForm_FieldRules(t *testing.T) {
	a := startAPI(t, nil)
	routes := map[string][]string{
		"/upload": {"model", "dataset", "experiment_group"}, "/validate": {"model", "dataset", "experiment_group"},
		"/score": {"model"}, "/outcomes": nil,
	}
	file := map[string]string{"/outcomes": "customer_id,churned\nA-1,yes\n"}
	for path, known := range routes {
		for _, field := range []string{"model", "dataset", "experiment_group", "Model", "guard", "modell", "file", "", "explain"} {
			for _, place := range []string{"before", "after", "before twice", "before and after", "before and in the address"} {
				isKnown, inAddress := slices.Contains(known, field), place == "before and in the address"
				if inAddress && (field == "" || path == "/outcomes" || path == "/validate" && field != "model") {
					continue // not a parameter there
				}
				want := "ERR-1302"
				switch {
				case field == "file":
					want = "ERR-1301"
				case !isKnown:
					want = "ERR-1305"
				case place == "before":
					want = ""
				}
				address := path
				if inAddress {
					if address += "?" + field + "=telecom"; !slices.Contains(append(known, "guard", "explain"), field) {
						want = "ERR-1305"
					}
					if field == "explain" {
						address = path + "?explain=none"
					} else if field == "guard" {
						address = path + "?guard=off"
					}
				}
				t.Run(path+" "+field+" "+place, func(t *testing.T) {
					body, contentType := formWith(t, cmp.Or(file[path], telecom), field, place)
					r := a.postForm(address, body, contentType)
					if want == "" {
						if r.status != http.StatusOK {
							t.Errorf("%d %s", r.status, r.body)
						}
						return
					}
					if got := r.object(t)["error"].(map[string]any)["code"]; got != want {
						t.Errorf("%d %s, want %s", r.status, r.body, want)
					}
				})
			}
		}
	}
	var stored int
	for _, p := range a.get("/predictions").object(t)["predictions"].([]any) {
		if stored++; p.(map[string]any)["model"] != "telecom" {
			t.Errorf("stored: %v", p)
		}
	}
	if stored != 3 {
		t.Errorf("%d uploads of those with good fields are stored", stored)
	}
}

// formWith is a form with a file, and a field of the value telecom around it.
func formWith(t *testing.T, file, field, place string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	write := func(there bool) {
		if there {
			if err := w.WriteField(field, "telecom"); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(strings.HasPrefix(place, "before"))
	write(place == "before twice")
	f, err := w.CreateFormFile("file", "a.csv")
	if err == nil {
		_, err = f.Write([]byte(file))
	}
	if err != nil {
		t.Fatal(err)
	}
	write(strings.HasSuffix(place, "after"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

func boundary(contentType string) string {
	_, b, _ := strings.Cut(contentType, "boundary=")
	return b
}
