package serve_test

import (
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestValidate_ReportsDataQuality expects what the summary of a score says of the columns.
func TestValidate_ReportsDataQuality(t *testing.T) {
	a := startAPI(t, nil)
	for _, model := range []string{"telecom", "saas"} {
		text := csvText(t, dirtySample(t, model))
		said := a.post("/validate?model="+model, text).want(t, http.StatusOK).object(t)["quality"]
		scored := a.post("/score?format=json&model="+model, text).want(t, http.StatusOK).object(t)
		if done := scored["summary"].(map[string]any)["quality"]; !reflect.DeepEqual(said, done) {
			t.Errorf("validate says %v, score %v", said, done)
		}
	}
}

// TestValidate_ChecksContentNotExtension sends what people call CSV.
func TestValidate_ChecksContentNotExtension(t *testing.T) {
	a := startAPI(t, nil)
	for content, kind := range map[string]string{
		"PK\x03\x04\x14\x00\x06\x00":       "Excel",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "Excel",
		"\xff\xfec\x00u\x00":               "UTF-16",
	} {
		for _, path := range []string{"/upload", "/score", "/validate"} {
			e := a.post(path+"?filename=customers.csv", content+strings.Repeat("x", 100)).
				wantError(t, http.StatusBadRequest, "ERR-1007")
			if !strings.Contains(e.Error.Message, kind) || !strings.Contains(e.Error.Message, "Save it as CSV") {
				t.Errorf("%s: %s", path, e.Error.Message)
			}
		}
	}
	if files, err := os.ReadDir(a.dir); err != nil || len(a.objectKeys()) != 0 {
		t.Errorf("%d left over: %v", len(files), err)
	}
}
