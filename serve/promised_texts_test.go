package serve_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func (e errorBody) wantText(t *testing.T, want string) {
	t.Helper()
	if e.Error.Message != want {
		t.Errorf("got  %q\nwant %q", e.Error.Message, want)
	}
}

// TestB3MissingColumns takes each required column of each model out of a good file and wants the promised sentence, and
// the same in the plural for two and for all of them.
func TestB3MissingColumns(t *testing.T) {
	a := startAPI(t, nil)
	labels := map[string]string{
		"customerID": "Customer ID", "customer_id": "Customer ID", "tenure": "Tenure", "MonthlyCharges": "Monthly Charges",
		"TotalCharges": "Total Charges", "Contract": "Contract", "plan": "Plan",
	}
	for _, model := range engine.BaselineNames() {
		var required []string
		view := a.get("/models/" + model).object(t)
		for _, c := range view["columns"].([]any) {
			if column := c.(map[string]any); column["required"] == true {
				required = append(required, column["name"].(string))
			}
		}
		for i, missing := range required {
			label := labels[missing]
			if label == "" {
				continue // of a column that nothing was promised about
			}
			header := strings.Join(append(append([]string{}, required[:i]...), required[i+1:]...), ",")
			e := a.post("/upload?model="+model, header+"\nx\n").wantError(t, http.StatusBadRequest, "ERR-1004")
			e.wantText(t, "Missing required column '"+label+"'. Please ensure your CSV contains this column.")
			named := e.Error.Details["columns"].([]any)[0].(map[string]any)
			if named["column"] != missing || named["label"] != label {
				t.Errorf("details %v", e.Error.Details)
			}
		}
	}
	a.post("/upload?model=telecom", "customerID,MonthlyCharges,TotalCharges\nx\n").
		wantError(t, http.StatusBadRequest, "ERR-1004").
		wantText(t, "Missing required columns 'Tenure' and 'Contract'. Please ensure your CSV contains these columns.")
	a.post("/outcomes", "churned\nyes\n").wantError(t, http.StatusBadRequest, "ERR-1004").
		wantText(t, "Missing required column 'Customer ID'. Please ensure your CSV contains this column.")
}

// What is like a missing column is in the details, and the sentence stays.
func TestB3ClosestColumn(t *testing.T) {
	a := startAPI(t, nil)
	e := a.post("/upload?model=telecom", strings.Replace(telecom, "customerID", "Custmer", 1)).
		wantError(t, http.StatusBadRequest, "ERR-1004")
	e.wantText(t, "Missing required column 'Customer ID'. Please ensure your CSV contains this column.")
	if e.Error.Details["suggestion"] != "Custmer" {
		t.Errorf("details %v", e.Error.Details)
	}
}

// TestB9OtherType sends names of other types to every route that takes a name.
func TestB9OtherType(t *testing.T) {
	a := startAPI(t, nil)
	for _, name := range []string{"data.xlsx", "data", "data.csv.exe", "csv", "data.csv.zip", "<x>.pdf"} {
		body, contentType := form(t, name, []byte(telecom))
		var answers []answer
		for _, path := range []string{"/upload", "/score", "/validate", "/outcomes"} {
			answers = append(answers, a.postForm(path, body, contentType),
				a.post(path+"?filename="+url.QueryEscape(name), telecom))
		}
		for _, r := range answers {
			e := r.wantError(t, http.StatusBadRequest, "ERR-1001")
			e.wantText(t, "Invalid file format. Please upload a CSV file.")
			if e.Error.Details["filename"] != name || fmt.Sprint(e.Error.Details["allowed_formats"]) != "[csv csv.gz csv.zst]" {
				t.Errorf("%s: details %v", name, e.Error.Details)
			}
		}
	}
	if got := fault.CodeInvalidFile.Message(); got != "Invalid file format. Please upload a CSV file." {
		t.Errorf("the page says %q", got)
	}
}

// TestB10Busy takes the only slot for uploads and expects the promised sentence for the next upload.
func TestB10Busy(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Places.Uploads = 1 })
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/csv\r\n"+
		"Content-Length: 20000000\r\n\r\n%s", a.token("owner"), telecom)
	var r answer
	waitFor(t, "the place to be taken", func() bool {
		r = a.post("/upload", telecom)
		return r.status != http.StatusOK
	})
	e := r.wantError(t, http.StatusServiceUnavailable, "ERR-1404")
	e.wantText(t, "Our service is experiencing high traffic. Please try again in a moment.")
	if e.Error.Details["limit"] != 1.0 || !e.Retryable {
		t.Errorf("details %v", e.Error.Details)
	}
}

// TestB11NotSaved cuts the line to the bucket: a file that cannot be stored is answered with the promised sentence, a
// result that cannot be read with another.
func TestB11NotSaved(t *testing.T) {
	config := storetest.S3(t)
	toObjects, through := storetest.NewProxy(t, config.Endpoint)
	config.Endpoint = through
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		var err error
		if p.Objects, err = objects.OpenS3(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	})
	a.objects = nil
	id := a.upload(telecom)
	toObjects.Cut()
	a.post("/upload", telecom).wantError(t, http.StatusServiceUnavailable, "ERR-1502").
		wantText(t, "Failed to save your file. Please try uploading again.")
	if view := a.get("/predictions/" + id).object(t); view["status"] != "queued" {
		t.Errorf("another's: %v", view["status"])
	}
	if got := fault.CodeObjectStore.Message(); strings.Contains(got, "save") {
		t.Errorf("what is not about saving says %q", got)
	}
}

// TestB12KeysAway starts with an issuer that does not answer.
func TestB12KeysAway(t *testing.T) {
	a := startAPI(t, nil)
	a.issuer.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	e := a.get("/predictions").wantError(t, http.StatusServiceUnavailable, "ERR-1205")
	e.wantText(t, "Authentication service temporarily unavailable. Please refresh the page.")
	if !e.Retryable {
		t.Error("not retryable")
	}
}

// TestB11TooLarge expects the limit that is configured in the promised sentence, however the size is found out.
func TestB11TooLarge(t *testing.T) {
	const mb = 1 << 20
	for limit, want := range map[int64]string{50 * mb: "50MB", 1 * mb: "1MB"} {
		a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.UploadBytesMax = limit })
		large := strings.Repeat("x", int(limit)+100<<10)
		body, contentType := form(t, "a.csv", []byte(telecom+large))
		for _, r := range []answer{a.post("/upload", large), a.postForm("/upload", body, contentType)} {
			e := r.wantError(t, http.StatusRequestEntityTooLarge, "ERR-1002")
			e.wantText(t, "File too large. Maximum size is "+want)
			if e.Error.Details["limit"] != float64(limit) || e.Error.Details["unit"] != "bytes" {
				t.Errorf("details %v", e.Error.Details)
			}
		}
	}
}
