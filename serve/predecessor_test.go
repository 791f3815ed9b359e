package serve_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/api"
)

const predecessorErrors = "https://docs.retainwiseanalytics.com/errors"

// The address of help is the predecessor's where the operator wants so, and a page of this server otherwise.
func TestB18SupportURL(t *testing.T) {
	path := "/predictions/" + uuid.NewString()
	theirs := startAPI(t, func(c *api.Config, _ *api.Parts) { c.SupportURL = predecessorErrors })
	e := theirs.get(path).wantError(t, http.StatusNotFound, "ERR-1101")
	if want := predecessorErrors + "/ERR-1101"; e.Error.SupportURL != want {
		t.Errorf("%s, want %s", e.Error.SupportURL, want)
	}
	ours := startAPI(t, nil)
	e = ours.get(path).wantError(t, http.StatusNotFound, "ERR-1101")
	page := ours.get(e.Error.SupportURL, as(""), header("Accept", "text/html")).want(t, http.StatusOK)
	if !strings.Contains(string(page.body), "Prediction not found") {
		t.Errorf("%s: %.200s", e.Error.SupportURL, page.body)
	}
}

// The error of an answer has the predecessor's four fields in its order and no others; what is more stands beside it.
func TestB19Envelope(t *testing.T) {
	a := startAPI(t, nil)
	for _, r := range []answer{
		a.get("/predictions/" + uuid.NewString()), a.get("/nothing"), a.get("/predictions", as("")),
		a.post("/upload", "a,b\n1,2\n"), a.post("/upload?filename=data.xlsx", telecom),
	} {
		var envelope map[string]json.RawMessage
		if err := json.Unmarshal(r.body, &envelope); err != nil {
			t.Fatalf("%s: %v", r.body, err)
		}
		if got := slices.Sorted(maps.Keys(envelope)); !slices.Equal(got, []string{"error", "request_id", "retryable"}) {
			t.Errorf("the answer has %v", got)
		}
		form := regexp.MustCompile(`^\{"code":"ERR-\d{4}","message":".+","details":\{.*\},"support_url":"[^"]+/ERR-\d{4}"\}$`)
		if !form.Match(envelope["error"]) {
			t.Errorf("the error is %s", envelope["error"])
		}
		var object map[string]any
		if err := json.Unmarshal(envelope["error"], &object); err != nil || len(object) != 4 {
			t.Errorf("the error has %d fields: %v", len(object), err)
		}
	}
}

// Where the predecessor wrote hashes of personal data into its log, there is none of it: users are keyed hashes, which
// say nothing without the key, and the rest is left out.
func TestB23NoPersonalDataInTheLog(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	const subject, customer, file = "user_ada@example.com", "CUST-ada-0001", "ada-lovelace.csv"
	who := as(a.token(subject))
	text := strings.ReplaceAll(telecom, "A-1", customer)
	a.finished(text, who)
	if r := a.post("/upload?filename="+file, text, who); r.status/100 != 2 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	a.post("/upload?filename="+file, "customerID,"+customer+"\n1,2\n", who)
	log := a.log.String()
	for _, word := range []string{subject, "ada@example.com", customer, file, "ada-lovelace"} {
		if strings.Contains(log, word) {
			t.Errorf("the log has %q", word)
		}
	}
	if users := regexp.MustCompile(`"user":"([0-9a-f]{8,})"`).FindAllStringSubmatch(log, -1); len(users) < 3 {
		t.Errorf("%d lines name the user by a hash:\n%.2000s", len(users), log)
	}
}

// The document has the predecessor's title, version and licence.
func TestB25Document(t *testing.T) {
	doc := startAPI(t, nil).get("/openapi.json", as("")).want(t, http.StatusOK).object(t)
	info := doc["info"].(map[string]any)
	licence, _ := info["license"].(map[string]any)
	if info["title"] != "RetainWise Analytics API" || info["version"] != "1.0.0" || licence["name"] != "Proprietary" {
		t.Errorf("%v %v %v", info["title"], info["version"], licence)
	}
	if version, _ := doc["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		t.Errorf("OpenAPI %s", version)
	}
}
