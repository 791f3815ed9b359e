package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/logging"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// origin is the application that test tokens are made for, and the one that CORS lets in.
const origin = "https://retainwiseanalytics.com"

// api is a running server on a fresh database and an empty directory of objects.
type testAPI struct {
	t       *testing.T
	url     string
	address string
	server  *api.Server
	store   *store.Store
	objects objects.Store
	dir     string // of the objects
	models  *engine.Registry
	metrics *metrics.Metrics
	log     *logBuffer
	issuer  *issuer
	clock   *clock

	customers customer.Key
}

// logBuffer is a log that tests can search.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// baselines are opened once: that takes longer than most tests.
var baselines = sync.OnceValues(func() (*engine.Registry, error) {
	var bundles []*engine.Bundle
	for _, name := range engine.BaselineNames() {
		b, err := engine.OpenBaseline(name)
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, b)
	}
	return engine.NewRegistry(bundles...)
})

func startAPI(t *testing.T, change func(*api.Config, *api.Parts)) *testAPI {
	t.Helper()
	models, err := baselines()
	if err != nil {
		t.Fatal(err)
	}
	a := &testAPI{
		t: t, store: storetest.Open(t, store.Config{URL: storetest.Postgres(t)}), dir: t.TempDir(), models: models,
		metrics: metrics.NewMetrics(), log: &logBuffer{}, clock: newClock(), issuer: newIssuer(t, publicJWK("k1", keyPair())),
	}
	if a.objects, err = objects.OpenDirectory(a.dir); err != nil {
		t.Fatal(err)
	}
	if a.customers, err = customer.NewKey(make([]byte, customer.SecretMin)); err != nil {
		t.Fatal(err)
	}
	unlimited := limit.Rates{}
	cfg := api.Config{Origins: []string{origin}, Rates: &unlimited}
	parts := api.Parts{
		Store: a.store, Objects: a.objects, Models: models, Metrics: a.metrics,
		Auth: newVerifier(t, a.issuer, a.clock, nil), Log: logging.NewLogger(a.log, slog.LevelInfo),
		CustomerKey: a.customers,
		Samples: func(model string) ([]byte, bool) {
			text, err := os.ReadFile("../testdata/samples/" + model + "_sample.csv")
			return text, err == nil
		},
	}
	if change != nil {
		change(&cfg, &parts)
	}
	a.store = parts.Store
	a.server = api.NewServer(cfg, parts)
	a.listen()
	return a
}

// restart serves the same store and objects with other models, on another port.
func (a *testAPI) restart(models *engine.Registry) {
	unlimited := limit.Rates{}
	a.server = api.NewServer(api.Config{Rates: &unlimited}, api.Parts{
		Store: a.store, Objects: a.objects, Models: models, Metrics: metrics.NewMetrics(),
		Auth: newVerifier(a.t, a.issuer, a.clock, nil), CustomerKey: a.customers,
	})
	a.listen()
}

func (a *testAPI) listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.t.Fatal(err)
	}
	a.address = l.Addr().String()
	a.url = "http://" + a.address
	done, server := make(chan error, 1), a.server
	go func() { done <- server.Serve(l) }()
	a.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			a.t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			a.t.Errorf("serve: %v", err)
		}
	})
}

// work runs a worker until it is stopped or the test ends.
func (a *testAPI) work() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve.RunWorker(ctx, a.store, a.objects, a.models, a.metrics, slog.New(slog.DiscardHandler), a.customers)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	a.t.Cleanup(stop)
	return stop
}

// token is an Authorization header of a user.
func (a *testAPI) token(subject string) string {
	return "Bearer " + signRS256(keyPair(), goodHeader, with(goodClaims(a.clock), "sub", subject))
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
	closes bool // the server ends the connection
}

// call is a request under way: options change it before it is sent.
type option func(*http.Request)

func header(name, value string) option { return func(r *http.Request) { r.Header.Set(name, value) } }

func as(authorization string) option { return header("Authorization", authorization) }

func (a *testAPI) do(method, path string, body io.Reader, options ...option) answer {
	a.t.Helper()
	req, err := http.NewRequest(method, a.url+path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", a.token("owner"))
	req.Header.Set("Accept-Encoding", "identity")
	for _, o := range options {
		o(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatalf("%s %s: read answer: %v", method, path, err)
	}
	r := answer{resp.StatusCode, resp.Header, text, resp.Close}
	checkAnswer(a.t, method, path, r)
	return r
}

func (a *testAPI) get(path string, options ...option) answer {
	return a.do(http.MethodGet, path, nil, options...)
}

// post sends a CSV as the whole body.
func (a *testAPI) post(path, text string, options ...option) answer {
	return a.do(http.MethodPost, path, strings.NewReader(text), append([]option{header("Content-Type",
		"text/csv")}, options...)...)
}

// form makes a multipart body of fields and one file.
func form(t *testing.T, filename string, content []byte, fields ...string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.CreateFormFile("file", filename)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

func (a *testAPI) postForm(path string, body []byte, contentType string, options ...option) answer {
	return a.do(http.MethodPost, path, bytes.NewReader(body), append([]option{header("Content-Type", contentType)},
		options...)...)
}

// object reads the answer as a JSON object.
func (r answer) object(t *testing.T) map[string]any {
	t.Helper()
	v := map[string]any{}
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("answer %d is no JSON object: %.200s", r.status, r.body)
	}
	return v
}

// errorBody is the published form of an error.
type errorBody struct {
	Error struct {
		Code       string         `json:"code"`
		Message    string         `json:"message"`
		Details    map[string]any `json:"details"`
		SupportURL string         `json:"support_url"`
	} `json:"error"`
	RequestID string `json:"request_id"`
	Retryable bool   `json:"retryable"`
}

// wantError checks status and code of an answer, its form, and gives the error.
func (r answer) wantError(t *testing.T, status int, code string) errorBody {
	t.Helper()
	var e errorBody
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatalf("status %d: error body: %v: %.300s", r.status, err, r.body)
	}
	if r.status != status || e.Error.Code != code {
		t.Errorf("got %d %s (%s), want %d %s", r.status, e.Error.Code, e.Error.Message, status, code)
	}
	if e.Error.Message == "" || e.Error.Details == nil || e.RequestID == "" ||
		!strings.HasSuffix(e.Error.SupportURL, "/errors/"+e.Error.Code) {
		t.Errorf("incomplete error: %s", r.body)
	}
	if !bytes.HasPrefix(r.body, []byte(`{"error":{"code":"`+code+`","message":`)) {
		t.Errorf("order of members: %s", r.body)
	}
	if id := r.header.Get("X-Request-Id"); id != e.RequestID {
		t.Errorf("request id %q in the header, %q in the body", id, e.RequestID)
	}
	return e
}

func (r answer) want(t *testing.T, status int) answer {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %.500s", r.status, status, r.body)
	}
	return r
}

// telecom is a small good file.
const telecom = "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" +
	"A-1,5,70.35,350.5,Month-to-month\n" +
	"A-2,40,20.1,804,Two year\n" +
	"A-3,12,99.9,1198.8,One year\n"

// withoutContract lacks what every baseline needs.
const withoutContract = "customerID,tenure,MonthlyCharges,TotalCharges\nA-1,5,70.35,350.5\n"

// bad is telecom with a rejected second row.
const bad = "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" +
	"A-1,5,70.35,350.5,Month-to-month\n" +
	"A-2,forty,20.1,804,Two year\n" +
	"A-3,12,99.9,1198.8,One year\n"

// upload sends a good file and gives the id of its prediction.
func (a *testAPI) upload(text string, options ...option) string {
	a.t.Helper()
	r := a.post("/upload?filename=march.csv", text, options...).want(a.t, http.StatusOK)
	return r.object(a.t)["prediction_id"].(string)
}

// finished uploads a file and waits for the end of its prediction; it needs a worker.
func (a *testAPI) finished(text string, options ...option) map[string]any {
	a.t.Helper()
	r := a.post("/upload?filename=march.csv", text, append(options, header("Prefer", "wait=60"))...)
	return r.want(a.t, http.StatusOK).object(a.t)
}

// address is a link without its query.
func address(link any) string {
	path, _, _ := strings.Cut(link.(string), "?")
	return path
}

// objectKeys lists what lies in the object store, without kept models.
func (a *testAPI) objectKeys() []string {
	a.t.Helper()
	var keys []string
	for info, err := range a.objects.List(context.Background(), "") {
		if err != nil {
			a.t.Fatal(err)
		}
		if !strings.HasPrefix(info.Key, objects.ModelsPrefix) {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

// leftovers lists every file in the directory of objects, hidden ones too, without kept models.
func (a *testAPI) leftovers() []string {
	a.t.Helper()
	var files []string
	err := filepath.WalkDir(a.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(path, filepath.Join(a.dir, objects.ModelsPrefix)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return files
}

func smallLimits(c *api.Config, _ *api.Parts) {
	c.UploadBytesMax = 1 << 20
	c.UploadLimits = ingest.Limits{RowsMax: 1000}
}

// withdraw withdraws the model in use with a name, as an operator does.
func (a *testAPI) withdraw(name string) {
	a.t.Helper()
	b, ok := a.models.Get(name)
	if !ok {
		all, err := baselines()
		if err != nil {
			a.t.Fatal(err)
		}
		b, _ = all.Get(name)
	}
	if _, err := a.store.Upkeep.WithdrawModel(a.t.Context(), b.SHA256(), store.Failure{Code: "ERR-1702"}); err != nil {
		a.t.Fatal(err)
	}
}
