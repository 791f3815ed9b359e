package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/retainwise/millrace/cli"
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
	Model         string `json:"model"`
	ModelSHA256   string `json:"model_sha256"`
	EngineVersion string `json:"engine_version"`
	Source        struct{ SHA256 string }
	ExpiresAt     *time.Time        `json:"expires_at"`
	Summary       engine.Summary    `json:"summary"`
	Links         map[string]string `json:"links"`
	Error         *struct{ Code, Message string }
}

// expired reports whether the results are deleted, or will be within the hour.
func (p *samplePrediction) expired() bool {
	return p.ExpiresAt != nil && time.Until(*p.ExpiresAt) < time.Hour
}

// failure returns the error of a prediction that has not completed.
func (p *samplePrediction) failure() error {
	if p.Error != nil {
		return &cli.CodedError{About: "sample: ", Code: p.Error.Code, Text: p.Error.Message}
	}
	return cli.Plain(cli.ExitTryAgain, "sample: prediction %s is %s after a minute", p.ID, p.Status)
}

// uploadSample uploads a file through the API and prints a report of its result. If an earlier start has scored the same
// file with the same model, it reports that instead.
func uploadSample(ctx context.Context, out io.Writer, s serve.Started, name string) error {
	file, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("sample: %w", cli.Caused(cli.ExitNoInput, err))
	}
	begin := time.Now()
	p, err := earlierSample(ctx, s, file)
	speed := "at an earlier start"
	if err == nil && p == nil {
		if p, err = postSample(ctx, s, filepath.Base(name), file); err == nil && p.Status == "completed" {
			took := time.Since(begin)
			speed = fmt.Sprintf("in %s: %.0f rows/s", took.Round(time.Millisecond), float64(p.RowCount)/took.Seconds())
		}
	}
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	if p.Status != "completed" {
		return p.failure()
	}
	_, err = fmt.Fprintf(out,
		"\nsample %s: %d rows scored and explained\nwith model %s, %d rejected, %s\n%s%s\n"+
			"  result    curl -o scored.csv -H \"Authorization: Bearer $MILLRACE_TOKEN\" \\\n    %s\n\nCtrl-C stops everything.\n",
		filepath.Base(name), p.Rows.Scored, p.Model, p.Rows.Rejected, speed,
		cli.BandTable(&p.Summary), cli.SummaryTables(&p.Summary), s.API+"/predictions/"+p.ID+"/download")
	return err
}

// samplePagesMax is how many pages of predictions, of 100 each, are searched for the sample.
const samplePagesMax = 5

// earlierSample returns the latest completed prediction of a file with the model and the format of results that the server
// has now; nil if there is none.
func earlierSample(ctx context.Context, s serve.Started, file []byte) (*samplePrediction, error) {
	sum := fmt.Sprintf("%x", sha256.Sum256(file))
	cursor := ""
	for range samplePagesMax {
		var page struct {
			Predictions []samplePrediction
			NextCursor  string `json:"next_cursor"`
		}
		if err := getJSON(ctx, s, "/predictions?cursor="+url.QueryEscape(cursor), &page); err != nil {
			return nil, err
		}
		for i := range page.Predictions {
			p := &page.Predictions[i]
			if p.Source.SHA256 != sum || p.Status != "completed" || p.EngineVersion != engine.Version || p.expired() {
				continue
			}
			var model struct{ SHA256 string }
			if err := getJSON(ctx, s, "/models/"+url.PathEscape(p.Model), &model); err != nil || model.SHA256 != p.ModelSHA256 {
				continue // the model has changed or is gone
			}
			return p, getJSON(ctx, s, "/predictions/"+p.ID, p)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	return nil, nil
}

// getJSON requests a resource of the API.
func getJSON(ctx context.Context, s serve.Started, path string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.API+path, nil)
	if err != nil {
		return err
	}
	return askSample(req, s, answer)
}

func sampleForm(name string, file []byte) (io.Reader, string, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return nil, "", err
	}
	if _, err := part.Write(file); err != nil {
		return nil, "", err
	}
	return &body, form.FormDataContentType(), form.Close()
}

// postSample uploads and waits for the finished prediction in one request.
func postSample(ctx context.Context, s serve.Started, name string, file []byte) (*samplePrediction, error) {
	body, contentType, err := sampleForm(name, file)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.API+"/upload", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Prefer", "wait=60")
	p := new(samplePrediction)
	return p, askSample(req, s, p)
}

// askSample sends a request with the development token and decodes the answer, or returns its error.
func askSample(req *http.Request, s serve.Started, answer any) error {
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode < 300 {
		return json.Unmarshal(text, answer)
	}
	if refused := refusal(text); refused != nil {
		refused.About = "sample: "
		return refused
	}
	return cli.Plain(cli.ExitUnavailable, "sample: the server answered with %s", resp.Status)
}
