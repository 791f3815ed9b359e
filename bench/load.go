package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// latency is how long requests of one kind took.
type latency struct {
	Name string `json:"name"`
	Note string `json:"note,omitempty"`
	// PerSecond is how many were due in a second; 0: one behind the other.
	PerSecond float64 `json:"per_second,omitempty"`
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"` // answered with another status, or not at all; their times count too
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	Max       float64 `json:"max_ms"`
	// RowsPerSecond is the rows of a request over the median; 0: it has none.
	RowsPerSecond float64 `json:"rows_per_second,omitempty"`
}

// call is a request that is sent again and again.
type call struct {
	name, method, path string
	body               []byte
	header             map[string]string
	status             int // that a good answer has
	rows               int
	done               bool // the answer must be a prediction that is completed
}

// send sends the request once and reads the whole answer.
func (s *server) send(ctx context.Context, c call) error {
	req, err := http.NewRequestWithContext(ctx, c.method, s.url+c.path, bytes.NewReader(c.body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "text/csv")
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != c.status {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s %s: %s: %s", c.method, c.path, resp.Status, text)
	}
	if c.done {
		return completed(resp.Body)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func completed(answer io.Reader) error {
	var p struct{ Status string }
	if err := json.NewDecoder(answer).Decode(&p); err != nil {
		return err
	}
	if p.Status != "completed" {
		return fmt.Errorf("the prediction is %s", p.Status)
	}
	return nil
}

// sample is one request's time.
type sample struct {
	took time.Duration
	err  error
}

// arrivals sends the calls in turn, so many a second, whether answers come or not. A request's time begins when it was
// due: one that had to wait for a late server, or for a connection, counts as slow (no coordinated omission). The
// samples are by call.
func (s *server) arrivals(ctx context.Context, calls []call, perSecond float64, n int) [][]sample {
	samples := make([]sample, n)
	var next atomic.Int64
	begin := time.Now()
	var senders sync.WaitGroup
	for range min(serverConnections, n) {
		senders.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				due := begin.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
				time.Sleep(time.Until(due))
				samples[i].err = s.send(ctx, calls[int(i)%len(calls)])
				samples[i].took = time.Since(due)
			}
		})
	}
	senders.Wait()
	byCall := make([][]sample, len(calls))
	for i, one := range samples {
		byCall[i%len(calls)] = append(byCall[i%len(calls)], one)
	}
	return byCall
}

// repeat sends a call n times, one behind the other.
func (s *server) repeat(ctx context.Context, c call, n int) []sample {
	samples := make([]sample, n)
	for i := range samples {
		begin := time.Now()
		samples[i].err = s.send(ctx, c)
		samples[i].took = time.Since(begin)
	}
	return samples
}

// addLatency adds what was measured of one kind of request. It fails if all have failed.
func (r *Report) addLatency(l latency, rows int, samples []sample) error {
	times := make([]float64, len(samples))
	var failed error
	for i, one := range samples {
		times[i] = float64(one.took) / float64(time.Millisecond)
		if one.err != nil {
			l.Failed++
			failed = one.err
		}
	}
	if l.Failed == len(samples) {
		return errors.Join(fmt.Errorf("%s: every request failed", l.Name), failed)
	}
	slices.Sort(times)
	l.Requests = len(samples)
	l.P50, l.P95, l.P99, l.Max = quantile(times, 0.5), quantile(times, 0.95), quantile(times, 0.99), times[len(times)-1]
	l.RowsPerSecond = float64(rows) / l.P50 * 1000
	r.Latencies = append(r.Latencies, l)
	return nil
}

// quantile is the smallest of the sorted values that so large a share of them does not exceed.
func quantile(sorted []float64, share float64) float64 {
	return sorted[max(0, int(share*float64(len(sorted))+0.999999)-1)]
}

// findLatency returns what was measured under a name, nil if nothing was.
func (r *Report) findLatency(name string) *latency {
	i := slices.IndexFunc(r.Latencies, func(l latency) bool { return l.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Latencies[i]
}
