package serve_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// putTo sends a file to a link as a customer would, without a token.
func putTo(t *testing.T, link map[string]any, text string, change func(*http.Request)) int {
	t.Helper()
	req, err := http.NewRequest(link["method"].(string), link["url"].(string), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range link["headers"].(map[string]any) {
		req.Header.Set(name, value.(string))
	}
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func startAPIOnS3(t *testing.T) *testAPI {
	t.Helper()
	objects, err := objects.OpenS3(t.Context(), storetest.S3(t))
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(c *api.Config, p *api.Parts) {
		p.Objects, c.UploadBytesMax, c.DirectBytesMax = objects, 200, 1<<20
	})
	a.objects = objects
	return a
}

// TestUploadLink takes a file that the API would not through the bucket, from the link to the result.
func TestUploadLink(t *testing.T) {
	storetest.SkipOnS3(t, "moto", "checks no signatures, so a link takes any file")
	a := startAPIOnS3(t)
	large := telecom + strings.Repeat("A-4,1,2,3,One year\n", 50)
	a.post("/upload", large).wantError(t, http.StatusRequestEntityTooLarge, "ERR-1002")
	path := fmt.Sprintf("/upload-links?filename=march.csv&model=telecom&guard=off&bytes=%d", len(large))
	link := a.do(http.MethodPost, path, nil).want(t, http.StatusCreated).object(t)
	expires, err := time.Parse(time.RFC3339, link["expires_at"].(string))
	if left := time.Until(expires); err != nil || left < 14*time.Minute || left > 16*time.Minute {
		t.Errorf("expires in %v: %v", left, err)
	}
	complete := link["links"].(map[string]any)["complete"].(string)
	a.do(http.MethodPost, complete, nil).wantError(t, http.StatusConflict, "ERR-1106")
	if got := putTo(t, link, large+"more", nil); got < 400 {
		t.Errorf("a longer file was taken: %d", got)
	}
	if got := putTo(t, link, large, func(r *http.Request) { r.Header.Del("If-None-Match") }); got < 400 {
		t.Errorf("a put that may overwrite was taken: %d", got)
	}
	if got := putTo(t, link, large, func(r *http.Request) { r.URL.Path += "x" }); got < 400 {
		t.Errorf("another key was taken: %d", got)
	}
	if got := putTo(t, link, large, nil); got != http.StatusOK {
		t.Fatalf("put: %d", got)
	}
	if got := putTo(t, link, large, nil); got != http.StatusPreconditionFailed {
		t.Errorf("the link worked twice: %d", got)
	}
	a.do(http.MethodPost, complete, nil, as(a.token("somebody"))).wantError(t, http.StatusNotFound, "ERR-1101")
	first := a.do(http.MethodPost, complete, nil).want(t, http.StatusOK).object(t)
	a.work()
	done := a.do(http.MethodPost, complete, nil, header("Prefer", "wait=30")).want(t, http.StatusOK).object(t)
	if done["prediction_id"] != first["prediction_id"] || done["upload_id"] != first["upload_id"] || done["status"] != "completed" ||
		done["row_count"] != 53.0 || done["filename"] != "march.csv" {
		t.Errorf("%v", done)
	}
	result := a.get(done["links"].(map[string]any)["download"].(string)).want(t, http.StatusOK)
	if result.header.Get("Csv-Guard") != "off" || strings.Count(string(result.body), "\n") != 54 {
		t.Errorf("result %v", result.header)
	}
	for _, key := range a.objectKeys() {
		if strings.HasPrefix(key, objects.DirectPrefix) {
			t.Errorf("%s is left behind", key)
		}
	}
}

func TestUploadLinkRefused(t *testing.T) {
	a := startAPIOnS3(t)
	for query, want := range map[string]struct {
		status int
		code   string
	}{
		"":                         {422, "ERR-1302"},
		"?bytes=0":                 {422, "ERR-1302"},
		"?bytes=x":                 {422, "ERR-1302"},
		"?bytes=1048577":           {413, "ERR-1002"},
		"?bytes=9&filename=a.xlsx": {400, "ERR-1001"},
		"?bytes=9&model=none":      {404, "ERR-1701"},
		"?bytes=9&explain=some":    {422, "ERR-1302"},
		"?bytes=9&guard=some":      {422, "ERR-1302"},
	} {
		a.do(http.MethodPost, "/upload-links"+query, nil).wantError(t, want.status, want.code)
	}
	for _, id := range []string{"x", uuid.NewString()} {
		a.do(http.MethodPost, "/upload-links/"+id+"/complete", nil).wantError(t, http.StatusNotFound, "ERR-1101")
	}
	startAPI(t, nil).do(http.MethodPost, "/upload-links?bytes=9", nil).wantError(t, http.StatusConflict, "ERR-1318")
}

// TestUploadLink_SweepsAbandoned are swept with their files.
func TestUploadLink_SweepsAbandoned(t *testing.T) {
	a := startAPIOnS3(t)
	link := a.do(http.MethodPost, fmt.Sprintf("/upload-links?bytes=%d", len(telecom)), nil).want(t, http.StatusCreated).object(t)
	if got := putTo(t, link, telecom, nil); got != http.StatusOK {
		t.Fatalf("put: %d", got)
	}
	for i, age := range []time.Duration{time.Hour, -time.Hour} {
		if err := errors.Join(a.store.UploadLinks.Sweep(t.Context(), age),
			a.store.Upkeep.SweepDeletions(t.Context(), a.objects)); err != nil {
			t.Fatal(err)
		}
		if keys := a.objectKeys(); len(keys) != 1-i {
			t.Errorf("after %s %v are left", age, keys)
		}
	}
	complete := link["links"].(map[string]any)["complete"].(string)
	a.do(http.MethodPost, complete, nil).wantError(t, http.StatusNotFound, "ERR-1101")
}
