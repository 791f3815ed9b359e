package server

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/serve"
)

// TestUploadSample_Errors has a server that answers the sample's requests with errors, or with what is not an answer: the
// exit status and the words say which, and nothing is reported as scored.
func TestUploadSample_Errors(t *testing.T) {
	const empty, sample = `{"predictions":[]}`, "testdata/samples/telecom_sample.csv"
	for name, test := range map[string]struct {
		list, upload string // answers; one that is no JSON comes with status 500
		file         string
		status       int
		message      string
	}{
		"the prediction failed": {
			empty, `{"status":"failed","error":{"code":"ERR-1102","message":"It went wrong."}}`, sample,
			cli.ExitData, "sample: ERR-1102: It went wrong.",
		},
		"it is not done in time": {
			empty, `{"prediction_id":"p1","status":"running"}`, sample,
			cli.ExitTryAgain, "sample: prediction p1 is running after a minute",
		},
		"the list is refused":   {"<html>", empty, sample, cli.ExitUnavailable, "sample: the server answered with 500"},
		"the upload is refused": {empty, "<html>", sample, cli.ExitUnavailable, "sample: the server answered with 500"},
		"the list is no list":   {`{"predictions":1}`, empty, sample, -1, "cannot unmarshal number"},
		"there is no file":      {empty, empty, "nowhere.csv", cli.ExitNoInput, "nowhere.csv"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := map[string]string{"/predictions": test.list, "/upload": test.upload}[r.URL.Path]
			if !strings.HasPrefix(text, "{") {
				w.WriteHeader(http.StatusInternalServerError)
			}
			_, _ = w.Write([]byte(text))
		}))
		var out bytes.Buffer
		err := uploadSample(t.Context(), &out, serve.Started{API: server.URL, Token: "t"}, test.file)
		server.Close()
		if err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: %v, want %q", name, err, test.message)
			continue
		}
		if got := Full().ExitStatus(err); test.status >= 0 && got != test.status {
			t.Errorf("%s: status %d, want %d", name, got, test.status)
		}
		if out.Len() > 0 {
			t.Errorf("%s: reported %s", name, &out)
		}
	}
	if err := uploadSample(t.Context(), new(bytes.Buffer), serve.Started{API: "http://127.0.0.1:1"}, sample); err == nil {
		t.Error("no server, no error")
	}
}
