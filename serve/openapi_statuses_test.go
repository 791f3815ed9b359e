package serve_test

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/limit"
)

// namedCode finds the codes in the description of a response.
var namedCode = regexp.MustCompile(`ERR-(\d{4})`)

// checkStatus wants an answer's status, and the code of an error, among those of the operation in the document. Every
// answer of the whole suite is held against it.
func checkStatus(t *testing.T, op *openapi3.Operation, r answer) {
	t.Helper()
	response := op.Responses.Status(r.status)
	if response == nil {
		t.Errorf("%s: the document does not know status %d: %.200s", op.OperationID, r.status, r.body)
		return
	}
	found := namedCode.Find(r.body)
	if r.status < 400 || found == nil {
		return
	}
	about := *response.Value.Description
	if !strings.Contains(about, string(found)) && !strings.Contains(about, "the code of what was wrong with its file") {
		t.Errorf("%s: %s is not named with status %d: %s", op.OperationID, found, r.status, about)
	}
}

// wantedStatuses are those that follow from what a route is.
func wantedStatuses(o serve.Operation) (statuses []int) {
	statuses = []int{http.StatusBadRequest, http.StatusInternalServerError}
	if o.Limited {
		statuses = append(statuses, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	}
	if !o.Open {
		statuses = append(statuses, http.StatusUnauthorized, http.StatusForbidden)
	}
	if o.Body {
		statuses = append(statuses, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	if strings.Contains(o.Pattern, "{") {
		statuses = append(statuses, http.StatusNotFound)
	}
	return statuses
}

// Every operation has a summary, a description, a tag, its statuses each with what it means, and an example of what it
// takes and gives wherever that is text.
func TestC5EveryOperationIsDescribed(t *testing.T) {
	doc := document(t)
	for _, o := range serve.Operations() {
		op := doc.Paths.Value(o.Pattern).GetOperation(o.Method)
		if op.Summary == "" || op.Description == "" || len(op.Tags) != 1 || doc.Tags.Get(op.Tags[0]) == nil {
			t.Errorf("%s: %q, %q, %v", op.OperationID, op.Summary, op.Description, op.Tags)
		}
		for _, status := range wantedStatuses(o) {
			if op.Responses.Status(status) == nil {
				t.Errorf("%s: no status %d", op.OperationID, status)
			}
		}
		for status, response := range op.Responses.Map() {
			if response.Value.Description == nil || *response.Value.Description == "" {
				t.Errorf("%s: nothing about status %s", op.OperationID, status)
			}
			for mediaType, content := range response.Value.Content {
				shown := content.Example != nil || len(content.Schema.Value.Examples) > 0 || strings.HasSuffix(mediaType, "json")
				if !shown && mediaType != "text/html" && content.Schema.Value.Format != "binary" {
					t.Errorf("%s %s: no example of %s", op.OperationID, status, mediaType)
				}
			}
		}
	}
}

// Statuses in the document name codes that have that status, and show one of them.
func TestC5StatusesNameTheirCodes(t *testing.T) {
	statuses := map[string]int{}
	for _, c := range serve.AllCodes() {
		statuses[c.String()] = c.Status()
	}
	for path, item := range document(t).Paths.Map() {
		for method, op := range item.Operations() {
			for key, response := range op.Responses.Map() {
				status, err := strconv.Atoi(key)
				if err != nil || status < 400 {
					continue
				}
				named := namedCode.FindAllString(*response.Value.Description, -1)
				for _, code := range named {
					if unready := op.OperationID == "getReady" && code == "ERR-1500"; statuses[code] != status && !unready {
						t.Errorf("%s %s: %s has status %d, not %d", method, path, code, statuses[code], status)
					}
				}
				example, _ := response.Value.Content["application/json"].Example.(map[string]any)
				shown, _ := example["error"].(map[string]any)
				if code, _ := shown["code"].(string); !slices.Contains(named, code) {
					t.Errorf("%s %s: status %d shows %v of %v", method, path, status, shown["code"], named)
				}
			}
		}
	}
}

// POST /upload is described as its users were promised.
func TestC5Upload(t *testing.T) {
	op := document(t).Paths.Value("/upload").Post
	if op.Summary != "Upload Customer CSV" || !slices.Equal(op.Tags, []string{"Uploads"}) {
		t.Errorf("%q %v", op.Summary, op.Tags)
	}
	for _, line := range []string{
		"Upload a CSV file containing customer data for churn prediction.",
		"## Requirements", "- File format: CSV only", "- Max size: 50MB",
		"- Required columns: customerID, tenure, MonthlyCharges, TotalCharges, Contract",
		"- Optional columns: seats_used, feature_usage_score, last_activity_days_ago, support_tickets",
		"## Process", "1. File is validated for format and required columns", "2. File is uploaded to S3",
		"3. Prediction job is queued for processing", "4. Returns upload_id for tracking progress",
		"## Errors", "- ERR-1001: Invalid file format", "- ERR-1002: File too large", "- ERR-1004: Missing required columns",
	} {
		if !strings.Contains(op.Description, line) {
			t.Errorf("no %q", line)
		}
	}
	for status, text := range map[int]string{
		200: "File uploaded successfully", 400: "Invalid file or missing columns", 413: "File too large",
		429: "Rate limit exceeded", 500: "Internal server error",
	} {
		if response := op.Responses.Status(status); response == nil || !strings.HasPrefix(*response.Value.Description, text) {
			t.Errorf("status %d is not described as %q", status, text)
		}
	}
}

// The document has the promised contact and prose.
func TestC4DocumentProse(t *testing.T) {
	info := document(t).Info
	if c := info.Contact; c == nil || c.Name != "RetainWise Support" || c.Email != "support@retainwiseanalytics.com" ||
		c.URL != "https://retainwiseanalytics.com" {
		t.Errorf("contact %+v", c)
	}
	if !strings.HasPrefix(info.Description, "SaaS churn prediction platform API\n") {
		t.Errorf("%.80s", info.Description)
	}
	rates := limit.DefaultRates()
	at := 0
	for _, text := range []string{
		"## Overview", "RetainWise Analytics API provides SaaS churn prediction using ML models.",
		"## Authentication", "JWT authentication via Clerk", "Include `Authorization: Bearer <token>` header in requests.",
		"## Rate Limiting", "- Default: " + strconv.Itoa(rates.Default) + " requests/minute",
		"- Upload: " + strconv.Itoa(rates.Upload) + " requests/minute",
		"- Predict (`/score`, `/validate`): " + strconv.Itoa(rates.Score) + " requests/minute",
		"- Download: " + strconv.Itoa(rates.Download) + " requests/minute", "429",
		"## Error Codes", "https://docs.retainwiseanalytics.com/errors for full list",
	} {
		i := strings.Index(info.Description[at:], text)
		if i < 0 {
			t.Errorf("no %q behind byte %d", text, at)
			continue
		}
		at += i
	}
}

// Generated clients find the scheme and the tag by their names.
func TestB20SchemeAndTags(t *testing.T) {
	doc := document(t)
	scheme := doc.Components.SecuritySchemes["ClerkJWT"]
	if scheme == nil || len(doc.Components.SecuritySchemes) != 1 || scheme.Value.Type != "http" ||
		scheme.Value.Scheme != "bearer" || scheme.Value.BearerFormat != "JWT" {
		t.Errorf("schemes %v", doc.Components.SecuritySchemes)
	}
	if len(doc.Security) != 1 || doc.Security[0]["ClerkJWT"] == nil {
		t.Errorf("security %v", doc.Security)
	}
	for _, path := range []string{"/upload", "/upload-links", "/upload-links/{id}/complete"} {
		if tags := doc.Paths.Value(path).Post.Tags; !slices.Equal(tags, []string{"Uploads"}) {
			t.Errorf("%s: tags %v", path, tags)
		}
	}
}
