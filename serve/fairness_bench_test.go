package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
)

// BenchmarkSmallBesideLarge times uploads of 1,000 rows from request to finished prediction, in turns: on an idle
// worker, and while it has five files of 100,000 rows in hand. Server, worker and database share the cores. It reports the ratio of the 95th percentiles, once with
// the small files of another user and once with those of the same.
func BenchmarkSmallBesideLarge(b *testing.B) {
	a := startBench(b)
	var err error
	if a.customers, err = store.NewCustomerKey(make([]byte, store.CustomerSecretMin)); err != nil {
		b.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + 2)) // as the program does
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() {
		serve.RunWorker(ctx, a.store, a.objects, a.models, a.metrics, slog.New(slog.DiscardHandler), a.customers)
	})
	b.Cleanup(worker.Wait)
	b.Cleanup(cancel)
	small, large := rowsOfTelecom(b, 1_000), rowsOfTelecom(b, 100_000)
	for _, who := range []string{"another", "owner"} {
		b.Run("user="+who, func(b *testing.B) {
			quiet, busy := &timesOfJobs{}, &timesOfJobs{}
			rows := 0
			var took time.Duration
			for b.Loop() {
				for range 10 {
					quiet.add(a.timeJob(b, who, small))
				}
				if b.Failed() {
					b.FailNow()
				}
				var running sync.WaitGroup
				begin := time.Now()
				for range 5 {
					running.Go(func() { a.timeJob(b, "owner", large) })
				}
				time.Sleep(300 * time.Millisecond) // they are received by then
				var ended atomic.Bool
				go func() { running.Wait(); ended.Store(true) }()
				for range 20 {
					if job := a.timeJob(b, who, small); !ended.Load() {
						busy.add(job)
					}
				}
				running.Wait()
				took += time.Since(begin)
				rows += 5 * 100_000
			}
			b.ReportMetric(quiet.quantile(0.5), "quiet-p50-ms")
			b.ReportMetric(quiet.quantile(0.95), "quiet-p95-ms")
			b.ReportMetric(float64(len(busy.list))/float64(b.N), "busy-jobs/op")
			b.ReportMetric(busy.quantile(0.5), "busy-p50-ms")
			b.ReportMetric(busy.quantile(0.95), "busy-p95-ms")
			b.ReportMetric(busy.quantile(0.95)/quiet.quantile(0.95), "p95-ratio")
			b.ReportMetric(float64(rows)/took.Seconds(), "large-rows/s")
		})
	}
}

type timesOfJobs struct{ list []time.Duration }

func (t *timesOfJobs) add(d time.Duration) { t.list = append(t.list, d) }

func (t *timesOfJobs) quantile(share float64) float64 {
	slices.Sort(t.list)
	return float64(t.list[int(share*float64(len(t.list)-1))].Microseconds()) / 1000
}

// timeJob uploads a file and waits until it is scored.
func (a *api) timeJob(b *testing.B, user string, file []byte) time.Duration {
	begin := time.Now()
	req, _ := http.NewRequest(http.MethodPost, a.url+"/upload", bytes.NewReader(file))
	req.Header.Set("Authorization", a.token(user))
	req.Header.Set("Content-Type", "text/csv")
	req.Header.Set("Prefer", "wait=60")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Error(err)
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Status string }
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || answer.Status != "completed" {
		b.Errorf("%d %s: %v", resp.StatusCode, text, err)
	}
	return time.Since(begin)
}

// rowsOfTelecom makes a file of so many rows out of the sample, each with an id of its own.
func rowsOfTelecom(b *testing.B, n int) []byte {
	text, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	var file bytes.Buffer
	file.WriteString(lines[0])
	for i := range n {
		fmt.Fprintf(&file, "%d-%s", i/10_000, lines[1+i%10_000])
	}
	return file.Bytes()
}
