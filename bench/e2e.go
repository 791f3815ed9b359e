package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

const (
	bigUploads     = 8
	bigUploadBytes = 50 << 20
	memoryLimit    = 512 // MiB
)

// runE2E measures uploads from the first byte sent to the completed prediction: through the API, the store and the
// workers, with every row explained.
func runE2E(ctx context.Context, o Options, r *Report) error {
	if err := r.measureUploads(ctx, o); err != nil {
		return err
	}
	return r.measureBigUploads(ctx, o)
}

func (r *Report) measureUploads(ctx context.Context, o Options) (err error) {
	s, err := startServer(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, rows := range []int{o.pick(1000, 20), o.pick(10_000, 50), o.pick(100_000, 100)} {
		c := customersOf(o.Sample, rows).uploadCall()
		s.repeat(ctx, c, 2)
		l := latency{Name: c.name, Note: "upload to completed, all explained"}
		if err := r.addLatency(l, c.rows, s.repeat(ctx, c, o.pick(int(40*o.Seconds), 2))); err != nil {
			return err
		}
	}
	r.addUsage(s)
	r.atMost("upload to completed, 10,000 rows, P95", 150, "ms", r.Latencies[len(r.Latencies)-2].P95)
	r.atMost("upload to completed, 100,000 rows, P95", 1000, "ms", r.Latencies[len(r.Latencies)-1].P95)
	return nil
}

// measureBigUploads sends large files at once to a service with a small GOMEMLIMIT.
func (r *Report) measureBigUploads(ctx context.Context, o Options) (err error) {
	limit := fmt.Sprintf("GOMEMLIMIT=%dMiB", memoryLimit*3/4)
	s, err := startServer(ctx, []string{limit}, "--upload-rows-max=10000000")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	c := customersOfBytes(o.Sample, o.pick(bigUploadBytes-1<<20, 1<<20)).uploadCall()
	samples := make([]sample, bigUploads)
	var senders sync.WaitGroup
	for i := range samples {
		senders.Go(func() { samples[i] = s.repeat(ctx, c, 1)[0] })
	}
	senders.Wait()
	l := latency{
		Name: fmt.Sprintf("%d uploads at once", bigUploads),
		Note: fmt.Sprintf("%d MB, %d rows each, upload to completed", len(c.body)/1e6, c.rows),
	}
	if err := r.addLatency(l, c.rows, samples); err != nil {
		return err
	}
	if failed := r.Latencies[len(r.Latencies)-1].Failed; failed > 0 {
		return fmt.Errorf("%d of %d large uploads failed", failed, bigUploads)
	}
	if peak := s.used().peakBytes; peak > 0 {
		r.atMost("8 uploads of 50 MB at once, peak memory", memoryLimit, "MiB", float64(peak)/(1<<20))
	}
	r.addUsage(s)
	return nil
}

// addUsage adds what a service has used to the report.
func (r *Report) addUsage(s *server) {
	used := s.used()
	r.Processes = append(r.Processes, process{
		CPUSeconds: used.cpu.Seconds(), PeakMiB: float64(used.peakBytes) / (1 << 20),
	})
}

// customerRows is a CSV of telecom customers.
type customerRows struct {
	text []byte
	rows int
}

func (c customerRows) uploadCall() call {
	return call{
		name: "upload/" + strconv.Itoa(c.rows), method: http.MethodPost, path: "/upload?model=telecom", body: c.text,
		header: map[string]string{"Prefer": "wait=60"}, status: http.StatusOK, rows: c.rows, done: true,
	}
}

// customersOf repeats the sample's customers, each time under new ids, until there are so many.
func customersOf(sample []byte, rows int) customerRows {
	header, customers, _ := bytes.Cut(sample, []byte("\n"))
	c := customerRows{text: append(bytes.Clone(header), '\n')}
	for round := 0; c.rows < rows; round++ {
		for line := range bytes.Lines(customers) {
			if c.rows == rows {
				break
			}
			id, rest, _ := bytes.Cut(line, []byte(","))
			c.text = fmt.Appendf(c.text, "%s-%d,", id, round)
			c.text = append(c.text, rest...)
			c.rows++
		}
	}
	return c
}

// customersOfBytes is as large as can be without being larger.
func customersOfBytes(sample []byte, size int) customerRows {
	perRow := len(sample)/bytes.Count(sample, []byte("\n")) + 4
	return customersOf(sample, size/perRow)
}
