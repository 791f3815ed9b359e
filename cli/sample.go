package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
)

// samplePrediction holds the fields of a prediction that the sample's report needs.
type samplePrediction struct {
	ID       string `json:"prediction_id"`
	Status   string `json:"status"`
	RowCount int64  `json:"row_count"`
	Rows     struct {
		Scored   int64 `json:"scored"`
		Rejected int64 `json:"rejected"`
	} `json:"rows"`
	Model   string            `json:"model"`
	Summary engine.Summary    `json:"summary"`
	Links   map[string]string `json:"links"`
	Error   *struct{ Code, Message string }
}

// failure returns the error of a prediction that has not completed.
func (p *samplePrediction) failure() error {
	if p.Error != nil {
		return &codedError{"sample: ", p.Error.Code, p.Error.Message}
	}
	return plain(exitTryAgain, "sample: prediction %s is %s after a minute", p.ID, p.Status)
}

// uploadSample uploads a file through the API and prints a report of its result.
func uploadSample(ctx context.Context, out io.Writer, s serve.Started, name string) error {
	body, contentType, err := sampleForm(name)
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	begin := time.Now()
	p, err := postSample(ctx, s, body, contentType)
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	if p.Status != "completed" {
		return p.failure()
	}
	took := time.Since(begin)
	_, err = fmt.Fprintf(out,
		"\nsample %s: %d rows scored and explained with model %s, %d rejected, in %s: %.0f rows/s\n"+
			"%s%s\n  result    curl -H \"Authorization: Bearer $MILLRACE_TOKEN\" %s\n\nCtrl-C stops everything.\n",
		filepath.Base(name), p.Rows.Scored, p.Model, p.Rows.Rejected, took.Round(time.Millisecond),
		float64(p.RowCount)/took.Seconds(), bandTable(&p.Summary), summaryTables(&p.Summary),
		s.API+"/predictions/"+p.ID+"/download")
	return err
}

func sampleForm(name string) (io.Reader, string, error) {
	file, err := os.ReadFile(name)
	if err != nil {
		return nil, "", caused(exitNoInput, err)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", filepath.Base(name))
	if err != nil {
		return nil, "", err
	}
	if _, err := part.Write(file); err != nil {
		return nil, "", err
	}
	return &body, form.FormDataContentType(), form.Close()
}

// postSample uploads and waits for the finished prediction in one request.
func postSample(ctx context.Context, s serve.Started, body io.Reader, contentType string) (*samplePrediction, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.API+"/upload", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Prefer", "wait=60")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		if refused := refusal(text); refused != nil {
			refused.about = "sample: "
			return nil, refused
		}
		return nil, plain(exitUnavailable, "sample: the upload was answered with %s", resp.Status)
	}
	p := new(samplePrediction)
	return p, json.Unmarshal(text, p)
}
