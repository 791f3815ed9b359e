package work

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// cancelsVariable is how many scores TestWorker_CancelDuringScoring ends in the middle.
const cancelsVariable = "CANCELLED_SCORES"

// trickle passes a bucket's answers on in small pieces, so that a reader stands in Read most of the time.
func trickle(t *testing.T, endpoint string) string {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error {
			r.Body = io.NopCloser(smallReads{r.Body})
			return nil
		},
		FlushInterval: -1, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn),
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

type smallReads struct{ io.Reader }

func (r smallReads) Read(p []byte) (int, error) {
	time.Sleep(50 * time.Microsecond)
	return r.Reader.Read(p[:min(len(p), 512)])
}

// Claims end in the middle of a part that is read from a bucket and written to it: leases are lost, predictions are
// cancelled, processes stop. Each ends its one score: no panic, no race, no goroutine and no put left, and nothing that
// the bucket would be blamed for.
func TestWorker_CancelDuringScoring(t *testing.T) {
	cancels := 300
	if text := os.Getenv(cancelsVariable); text != "" {
		var err error
		if cancels, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var circuits circuit.Group
	config := storetest.S3(t)
	config.Endpoint, config.Circuits = trickle(t, config.Endpoint), &circuits
	objects, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	models, err := plan.OpenModels("", "", metrics.NewMetrics(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	bundle, ok := models.Registry.Get("telecom")
	if !ok {
		t.Fatal("no model")
	}
	limits := ingest.Limits{ChunkBytes: 4 << 10}
	w := New(Config{Name: "w", Cores: 1, Limits: limits}, nil, objects, nil, metrics.NewMetrics(),
		slog.New(slog.DiscardHandler))
	next := partsOf(t, objects)

	begin := time.Now()
	var started, ended, whole atomic.Int64
	var scorers sync.WaitGroup
	for range 12 {
		scorers.Go(func() {
			for k := started.Add(1); k <= int64(cancels); k = started.Add(1) {
				err := scoreAndCancel(t.Context(), w, next(k), bundle, k)
				switch {
				case err == nil:
					whole.Add(1)
				case errors.Is(err, context.Canceled), errors.Is(err, io.ErrClosedPipe):
					ended.Add(1)
				default:
					t.Errorf("score %d: %v", k, err)
				}
			}
		})
	}
	scorers.Wait()
	t.Logf("%d cancelled, %d were done before, in %v", ended.Load(), whole.Load(), time.Since(begin).Round(time.Second))
	if ended.Load() < int64(cancels)/2 {
		t.Errorf("%d of %d scores were ended", ended.Load(), cancels)
	}
	if c := circuits.Of(circuit.Objects); c.State != circuit.Closed || c.Opens != 0 {
		t.Errorf("the bucket is blamed: %+v", c)
	}
	if left := goroutinesLeft(); len(left) > 0 {
		t.Errorf("%d goroutines are left, the first:\n%s", len(left), left[0])
	}
}

// partsOf uploads a file and gives claims of its first part and of one behind it in turn.
func partsOf(t *testing.T, o objects.Store) func(k int64) *store.Claim {
	t.Helper()
	file, err := os.ReadFile("../../../testdata/samples/telecom_sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	header, _, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rows := file[header.Bytes:]
	whole := append(bytes.Clone(file), bytes.Repeat(rows, 1+(64<<10)/len(rows))...)
	id := store.NewID()
	info, err := o.Put(t.Context(), objects.InputKey(id), bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	return func(k int64) *store.Claim {
		c := &store.Claim{
			PredictionID: k, PublicID: store.NewID(), UploadID: id, Generation: 1, Explain: string(engine.ExplainNone),
			ObjectKey: info.Key, ObjectETag: info.ETag,
			Header: store.Header{
				Columns: header.Names, Delimiter: header.Delimiter, Bytes: header.Bytes, Lines: header.Lines,
			},
			Part: store.Part{
				Planned: true, Offset: header.Bytes, Bytes: info.Bytes - header.Bytes, FirstRow: 1, FirstLine: 2,
			},
		}
		if k%4 != 0 { // most parts have others before them, and a body that is read as it comes from the bucket
			c.Part.No, c.Part.Offset, c.Part.Bytes = 1, int64(len(file)), info.Bytes-int64(len(file))
			c.Part.FirstRow, c.Part.FirstLine = 1000, 1001
		}
		return c
	}
}

// scoreAndCancel does what scorePart does with objects; the claim ends at one of many moments.
func scoreAndCancel(ctx context.Context, w *Worker, c *store.Claim, b *engine.Bundle, k int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	causes := []error{store.ErrLeaseLost, errDrained, nil}
	timer := time.AfterFunc(time.Duration(k*37%97)*200*time.Microsecond, func() { cancel(causes[k%3]) })
	defer timer.Stop()
	out := w.newPartSink(ctx, c, b)
	defer out.abandon()
	opt := engine.Options{Workers: 1, Explain: engine.ExplainNone, WithHeader: c.Part.No == 0}
	_, err := w.scoreBody(ctx, c, b, opt, out)
	_, err = out.close(err)
	return err
}

// goroutinesLeft waits until no goroutine of a score or of its calls to the bucket runs, and gives the stacks of those
// that do not end. Idle connections are none of them.
func goroutinesLeft() (left []string) {
	buf := make([]byte, 16<<20)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		left = nil
		for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			ours := strings.Contains(stack, "/millrace/engine.") || strings.Contains(stack, "/millrace/store.") ||
				strings.Contains(stack, "/millrace/serve.(*") || strings.Contains(stack, "/s3/manager.")
			if ours {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}
