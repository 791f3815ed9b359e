package test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
)

// The client in this file is written from the predecessor's document alone: its routes, fields, words, statuses,
// numbers and texts, over plain HTTP. It uses no feature that is new here.

// predecessorClient is a client of the predecessor. Its methods are safe for concurrent use.
type predecessorClient struct {
	base  string
	token string // empty: none is sent
}

// predecessorUpload is the document's UploadResponse.
type predecessorUpload struct {
	UploadID int    `json:"upload_id"`
	Filename string `json:"filename"`
	Status   string `json:"status"`
	RowCount int    `json:"row_count"`
}

// predecessorPrediction has the columns that the document's list selects.
type predecessorPrediction struct {
	ID            string    `json:"id"`
	Status        string    `json:"status"`
	CreatedAt     time.Time `json:"created_at"`
	RowsProcessed int       `json:"rows_processed"`
}

// predecessorError is the document's standardized error response.
type predecessorError struct {
	status int
	header http.Header
	Error  struct {
		Code       string         `json:"code"`
		Message    string         `json:"message"`
		Details    map[string]any `json:"details"`
		SupportURL string         `json:"support_url"`
	} `json:"error"`
}

func (c predecessorClient) send(
	method, path string, body io.Reader, contentType string,
) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, c.base+path, body)
	if err != nil {
		return nil, nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp, text, err
}

// get sends a GET request and fails the test unless it answers 200.
func (c predecessorClient) get(t *testing.T, path string) []byte {
	t.Helper()
	resp, text, err := c.send(http.MethodGet, path, nil, "")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %v %v %s", path, resp, err, text)
	}
	return text
}

// post uploads a file as a multipart form.
func (c predecessorClient) post(filename string, file []byte) (*http.Response, []byte, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", filename)
	if err == nil {
		_, err = part.Write(file)
	}
	if err = errors.Join(err, form.Close()); err != nil {
		return nil, nil, err
	}
	return c.send(http.MethodPost, "/upload", &body, form.FormDataContentType())
}

func (c predecessorClient) upload(t *testing.T, filename string, file []byte) (u predecessorUpload) {
	t.Helper()
	resp, text, err := c.post(filename, file)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("upload: %v %v %s", resp, err, text)
	}
	if err := json.Unmarshal(text, &u); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return u
}

// refused reads an error answer and checks its four promised fields.
func refused(t *testing.T, resp *http.Response, text []byte, err error) (e predecessorError) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	e.status, e.header = resp.StatusCode, resp.Header
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%d %s: %v", resp.StatusCode, text, err)
	}
	if e.Error.Message == "" || e.Error.Details == nil || !strings.HasSuffix(e.Error.SupportURL, "/errors/"+e.Error.Code) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	return e
}

// list reads a page of predictions and checks that it is newest first.
func (c predecessorClient) list(t *testing.T, query string) []predecessorPrediction {
	t.Helper()
	var page struct{ Predictions []predecessorPrediction }
	if err := json.Unmarshal(c.get(t, "/predictions"+query), &page); err != nil {
		t.Fatal(err)
	}
	return page.Predictions
}

// completed polls a prediction until it is completed.
func (c predecessorClient) completed(t *testing.T, id string) predecessorPrediction {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var p predecessorPrediction
		if err := json.Unmarshal(c.get(t, "/predictions/"+url.PathEscape(id)), &p); err != nil {
			t.Fatal(err)
		}
		switch p.Status {
		case "completed":
			return p
		case "failed":
			t.Fatal("the prediction has failed")
		}
	}
	t.Fatal("the prediction is not completed after three minutes")
	return predecessorPrediction{}
}

// TestPredecessorClient runs that client against a whole millrace with its default limits.
func TestPredecessorClient(t *testing.T) {
	var accounts *serve.DevelopmentIssuer
	server := start(t, func(c *serve.RunConfig) {
		rates := serve.DefaultRateLimits()
		c.API.Rates, c.API.Origins = &rates, []string{
			"https://retainwiseanalytics.com", "https://www.retainwiseanalytics.com",
		}
		var err error
		if accounts, err = serve.NewDevelopmentIssuer(c.DataDir); err != nil {
			t.Fatal(err)
		}
	})
	signIn := func(user string, life time.Duration) predecessorClient {
		token, err := accounts.Token(user, life)
		if err != nil {
			t.Fatal(err)
		}
		return predecessorClient{server.API, token}
	}
	t.Run("health", func(t *testing.T) { predecessorClient{base: server.API}.get(t, "/health") })
	t.Run("documentation", func(t *testing.T) { predecessorClient{base: server.API}.documentation(t) })
	for _, model := range []string{"saas", "telecom"} {
		t.Run(model, func(t *testing.T) { signIn("user_"+model, time.Hour).pipeline(t, model) })
	}
	t.Run("list", func(t *testing.T) { signIn("user_list", time.Hour).pages(t) })
	t.Run("wrong files", func(t *testing.T) { signIn("user_wrong", time.Hour).wrongFiles(t) })
	t.Run("eleven uploads in a minute", func(t *testing.T) { signIn("user_eager", time.Hour).elevenUploads(t) })
	t.Run("browser", func(t *testing.T) { signIn("user_browser", time.Hour).browser(t) })
	t.Run("wrong tokens", func(t *testing.T) {
		good := signIn("user_tokens", time.Hour)
		for token, code := range map[string]string{
			"": "ERR-1203", signIn("user_tokens", -time.Hour).token: "ERR-1202", "x" + good.token: "ERR-1201",
			good.token[:len(good.token)-9]: "ERR-1201", "nonsense": "ERR-1201",
		} {
			resp, text, err := predecessorClient{server.API, token}.send(http.MethodGet, "/predictions", nil, "")
			if e := refused(t, resp, text, err); e.status != http.StatusUnauthorized || e.Error.Code != code {
				t.Errorf("%d %s, want 401 %s", e.status, e.Error.Code, code)
			}
		}
		resp, text, err := good.send(http.MethodGet, "/predictions/999999", nil, "")
		if e := refused(t, resp, text, err); e.status != http.StatusNotFound || e.Error.Code != "ERR-1101" {
			t.Errorf("an unknown prediction: %d %s", e.status, e.Error.Code)
		}
	})
}

// documentation checks the documentation pages.
func (c predecessorClient) documentation(t *testing.T) {
	for _, page := range []string{"/docs", "/redoc"} {
		if text := c.get(t, page); !bytes.Contains(text, []byte("RetainWise Analytics API")) {
			t.Errorf("%s: %.200s", page, text)
		}
	}
	var doc struct {
		Info struct{ Title, Version string }
	}
	err := json.Unmarshal(c.get(t, "/openapi.json"), &doc)
	if err != nil || doc.Info.Title != "RetainWise Analytics API" || doc.Info.Version != "1.0.0" {
		t.Errorf("%+v, %v", doc.Info, err)
	}
}

// pipeline takes the sample of a model from the upload to the result.
func (c predecessorClient) pipeline(t *testing.T, model string) {
	sample := c.get(t, "/csv-samples/"+model)
	rows, err := csv.NewReader(bytes.NewReader(sample)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	required := []string{"customerID", "tenure", "MonthlyCharges", "TotalCharges", "Contract"}
	optional := []string{"seats_used", "feature_usage_score", "last_activity_days_ago", "support_tickets"}
	for _, column := range required {
		if !slices.Contains(rows[0], column) {
			t.Errorf("the sample has no %s: %v", column, rows[0])
		}
	}
	if model == "saas" && !slices.ContainsFunc(optional, func(c string) bool { return slices.Contains(rows[0], c) }) {
		t.Errorf("the sample has none of %v", optional)
	}
	u := c.upload(t, "customers.csv", sample)
	words := []string{"pending", "processing", "completed", "failed"}
	if u.UploadID < 1 || u.Filename != "customers.csv" || u.RowCount != len(rows)-1 || !slices.Contains(words, u.Status) {
		t.Errorf("%+v", u)
	}
	newest := c.list(t, "?limit=1")
	if len(newest) != 1 {
		t.Fatalf("%d predictions after an upload", len(newest))
	}
	p := c.completed(t, newest[0].ID)
	if p.ID != newest[0].ID || p.RowsProcessed != len(rows)-1 || time.Since(p.CreatedAt).Abs() > time.Hour {
		t.Errorf("%+v", p)
	}
	checkResult(t, c.get(t, "/predictions/"+p.ID+"/download"), rows)
}

// checkResult checks that every row is unchanged, with the columns of its result.
func checkResult(t *testing.T, result []byte, sent [][]string) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(result)).ReadAll()
	if err != nil || len(rows) != len(sent) {
		t.Fatalf("%d rows of %d, %v", len(rows), len(sent), err)
	}
	width := len(sent[0])
	for i, row := range rows {
		if !slices.Equal(row[:width], sent[i]) {
			t.Fatalf("row %d is %v, was %v", i, row[:width], sent[i])
		}
		if i == 0 {
			continue
		}
		cells := map[string]string{}
		for j, name := range rows[0][width:] {
			cells[name] = row[width+j]
		}
		for _, factors := range []string{"risk_factors", "protective_factors"} {
			if !json.Valid([]byte(cells[factors])) {
				t.Fatalf("row %d: %s is no JSON: %q", i, factors, cells[factors])
			}
		}
		if cells["churn_probability"] == "" || cells["explanation"] == "" {
			t.Fatalf("row %d: %v", i, cells)
		}
	}
}

const predecessorFile = "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" +
	"A-1,5,70.35,350.5,Month-to-month\nA-2,60,20.1,1206,Two year\n"

// pages reads a list by skip.
func (c predecessorClient) pages(t *testing.T) {
	for i := range 5 {
		c.upload(t, fmt.Sprintf("customers-%d.csv", i), []byte(predecessorFile))
	}
	all := c.list(t, "")
	newestFirst := func(a, b predecessorPrediction) int { return b.CreatedAt.Compare(a.CreatedAt) }
	if len(all) != 5 || !slices.IsSortedFunc(all, newestFirst) {
		t.Fatalf("%+v", all)
	}
	var ids []string
	for skip := 0; skip < 6; skip += 2 {
		for _, p := range c.list(t, fmt.Sprintf("?limit=2&skip=%d", skip)) {
			ids = append(ids, p.ID)
		}
	}
	for i, p := range all {
		if len(ids) != 5 || ids[i] != p.ID {
			t.Errorf("by pages %v, at once %+v", ids, all)
			break
		}
	}
	if slash := c.list(t, "/"); len(slash) != 5 {
		t.Errorf("%d with a slash", len(slash))
	}
}

// wrongFiles sends files that the document says are refused.
func (c predecessorClient) wrongFiles(t *testing.T) {
	large := predecessorFile + strings.Repeat("A-3,5,70.35,350.5,Month-to-month"+strings.Repeat(" ", 500)+"\n", 100_000)
	for name, test := range map[string]struct {
		filename, file string
		status         int
		code, message  string
	}{
		"workbook": {"data.xlsx", predecessorFile, 400, "ERR-1001", "Invalid file format. Please upload a CSV file."},
		"path":     {`..\..\passwd.csv`, predecessorFile, 400, "ERR-1001", "Filename contains invalid characters"},
		"signs":    {"a|b%.csv", predecessorFile, 400, "ERR-1001", "Filename contains invalid characters"},
		"column": {
			"customers.csv", strings.Replace(predecessorFile, "customerID", "name", 1), 400, "ERR-1004",
			"Missing required column 'Customer ID'. Please ensure your CSV contains this column.",
		},
		"too large": {"customers.csv", large, 413, "ERR-1002", "File too large. Maximum size is 50MB"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, text, err := c.post(test.filename, []byte(test.file))
			e := refused(t, resp, text, err)
			if e.status != test.status || e.Error.Code != test.code || e.Error.Message != test.message {
				t.Errorf("%d %s %q, want %d %s %q", e.status, e.Error.Code, e.Error.Message, test.status, test.code, test.message)
			}
			formats, _ := e.Error.Details["allowed_formats"].([]any)
			if name == "workbook" && (e.Error.Details["filename"] != "data.xlsx" || len(formats) == 0 || formats[0] != "csv") {
				t.Errorf("details %v", e.Error.Details)
			}
		})
	}
	empty, text, err := c.post("customers.csv", nil)
	if e := refused(t, empty, text, err); e.status != http.StatusBadRequest {
		t.Errorf("an empty file: %d %s", e.status, e.Error.Code)
	}
	if got := c.list(t, ""); len(got) != 0 {
		t.Errorf("%d predictions of files that were refused", len(got))
	}
}

// elevenUploads sends eleven uploads at the same time, so that the rate limit does not refill between them.
func (c predecessorClient) elevenUploads(t *testing.T) {
	var mu sync.Mutex
	taken, refusals := 0, 0
	var clients sync.WaitGroup
	begun := time.Now()
	for range 11 {
		clients.Go(func() {
			resp, text, err := c.post("customers.csv", []byte(predecessorFile))
			mu.Lock()
			defer mu.Unlock()
			if err == nil && resp.StatusCode == http.StatusOK {
				taken++
				return
			}
			e := refused(t, resp, text, err)
			if e.status != http.StatusTooManyRequests || e.header.Get("Retry-After") == "" ||
				e.header.Get("X-RateLimit-Limit") != "10" || e.header.Get("X-RateLimit-Remaining") != "0" {
				t.Errorf("%d %s %v", e.status, text, e.header)
			}
			refusals++
		})
	}
	clients.Wait()
	grown := int(time.Since(begun) / (6 * time.Second)) // on a machine that is very busy
	if taken < 10 || taken > 10+grown || taken+refusals != 11 {
		t.Errorf("%d taken, %d refused", taken, refusals)
	}
	if got := c.list(t, ""); len(got) != taken { // another budget
		t.Errorf("%d predictions of %d uploads", len(got), taken)
	}
}

// browser sends the requests of a page of the customer: a preflight, and a request with credentials.
func (c predecessorClient) browser(t *testing.T) {
	for _, origin := range []string{"https://retainwiseanalytics.com", "https://www.retainwiseanalytics.com"} {
		req, err := http.NewRequest(http.MethodOptions, c.base+"/upload", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		allowed := strings.ToLower(resp.Header.Get("Access-Control-Allow-Headers"))
		if resp.StatusCode/100 != 2 || resp.Header.Get("Access-Control-Allow-Origin") != origin ||
			resp.Header.Get("Access-Control-Allow-Credentials") != "true" ||
			!strings.Contains(resp.Header.Get("Access-Control-Allow-Methods"), "POST") ||
			!strings.Contains(allowed, "authorization") || !strings.Contains(allowed, "content-type") {
			t.Errorf("%s: %d %v", origin, resp.StatusCode, resp.Header)
		}
	}
	resp, text, err := c.send(http.MethodGet, "/openapi.json", nil, "") // Go asks for gzip by itself
	if err != nil || !resp.Uncompressed || len(text) < 1000 {
		t.Errorf("not compressed: %v, %d bytes", err, len(text))
	}
}
