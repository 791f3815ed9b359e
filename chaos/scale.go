package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// scaleRows is the size of the file that is scored, unless SCALE_ROWS says otherwise.
const scaleRows = 400_000

// scale scores one large file with 1, 2 and 4 workers that share nothing but PostgreSQL, S3 and SQS, first on this
// host, then each in a network namespace of its own, and compares the results with what the command line makes of the file.
func scale(ctx context.Context, c config) error {
	rows := scaleRows
	if text := os.Getenv("SCALE_ROWS"); text != "" {
		var err error
		if rows, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("SCALE_ROWS: %w", err)
		}
	}
	c.Lease, c.PartBytes, c.Cores = 30*time.Second, 2<<20, 1
	in, err := largeInput(ctx, c, rows)
	if err != nil {
		return err
	}
	fmt.Printf("one file of %d rows, %d MB, parts of %d MiB; workers of one core each, on a machine with %d cores\n",
		rows, len(in.CSV)>>20, c.PartBytes>>20, runtime.NumCPU())
	if err := idle(ctx, c); err != nil {
		return err
	}
	if err := scaleOn(ctx, c, in, nil); err != nil {
		return err
	}
	hosts, err := newHosts(4)
	if err != nil {
		fmt.Printf("SKIPPED: workers in network namespaces of their own, which need root and CAP_NET_ADMIN: %v\n", err)
		return nil
	}
	defer hosts.close()
	return scaleOn(ctx, c, in, hosts)
}

// largeInput makes the file and scores it on the command line, which also says how long one process takes.
func largeInput(ctx context.Context, c config, rows int) (*input, error) {
	dir, err := os.MkdirTemp("", "millrace-scale-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	name := filepath.Join(dir, "input.csv")
	in := &input{explain: "all"}
	in.CSV = customers(rand.New(rand.NewPCG(c.Seed, 3)), rows, func(int) bool { return false })
	if err := os.WriteFile(name, in.CSV, 0o600); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, c.Millrace, "score", "--model", "telecom", "--out", name+".result", name)
	if text, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("score: %w\n%s", err, text)
	}
	in.Result, err = os.ReadFile(name + ".result")
	return in, err
}

func scaleOn(ctx context.Context, c config, in *input, h *hosts) error {
	fmt.Printf("%-22s %8s %12s %10s %12s %14s\n", "", "workers", "wall s", "rows/s", "CPU s", "sha256")
	rows := float64(countLines(in.CSV) - 1)
	for _, workers := range []int{1, 2, 4, 1, 2, 4} { // twice, interleaved: the machine has other things to do
		c.Workers = workers
		took, cpu, sum, err := scaleOnce(ctx, c, in, h)
		if err != nil {
			return err
		}
		if want := sha256.Sum256(in.Result); sum != want {
			return fmt.Errorf("%d workers make %x, the command line %x", workers, sum[:6], want[:6])
		}
		fmt.Printf("%-22s %8d %12.2f %10.0f %12.2f %14x\n", h.name(), workers, took.Seconds(), rows/took.Seconds(),
			cpu.Seconds(), sum[:6])
	}
	return nil
}

// scaleOnce starts everything, sends the file and waits. took is from its acceptance to its publication.
func scaleOnce(ctx context.Context, c config, in *input, h *hosts) (
	took, cpu time.Duration, sum [sha256.Size]byte, err error,
) {
	w, err := newWorld(ctx, c, func(s *servers) (*network, error) { return newNetwork(s, h.address()) })
	if err != nil {
		return 0, 0, sum, err
	}
	defer w.close()
	w.hosts = h.prefixes()
	if err := w.start(ctx); err != nil {
		return 0, 0, sum, err
	}
	workers := w.workers
	if err := w.ready(ctx); err != nil {
		return 0, 0, sum, err
	}
	w.client.http.Timeout = 5 * time.Minute
	const name = "large.csv"
	if _, err := w.client.upload(ctx, name, "telecom", in); err != nil {
		return 0, 0, sum, err
	}
	begin := time.Now()
	log, err := w.writeAhead(ctx)
	if err != nil {
		return 0, 0, sum, err
	}
	for {
		list, err := w.checker.Predictions(ctx, name)
		if err != nil || len(list) != 1 {
			return 0, 0, sum, fmt.Errorf("%d predictions: %w", len(list), err)
		}
		if p := list[0]; p.Status == "completed" {
			took = time.Since(begin)
			if sum, err = w.checker.SHA256(ctx, p.ResultKey); err != nil {
				return 0, 0, sum, err
			}
			break
		} else if p.Done() {
			return 0, 0, sum, fmt.Errorf("prediction is %s", p.Status)
		}
		wait(ctx, 20*time.Millisecond)
	}
	if h == nil && c.Workers == 1 { // elsewhere its metrics are out of reach
		all, err := readLoad(ctx, workers)
		if err != nil {
			return 0, 0, sum, err
		}
		parts := float64(len(in.CSV)) / float64(c.PartBytes)
		fmt.Printf("a part, of about %.0f, with its share of the start and the end: %s\n", parts, all.each(parts))
		end, err := w.writeAhead(ctx)
		if err != nil {
			return 0, 0, sum, err
		}
		fmt.Printf("a row: %.1f bytes of PostgreSQL's log, %.0f of the result object\n",
			(end-log)/float64(countLines(in.CSV)-1), float64(len(in.Result))/float64(countLines(in.CSV)-1))
	}
	w.stop()
	for _, p := range workers {
		cpu += p.cpu
	}
	return took, cpu, sum, ctx.Err()
}

// writeAhead is how many bytes PostgreSQL has logged so far.
func (w *world) writeAhead(ctx context.Context) (bytes float64, err error) {
	err = w.db.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8`).Scan(&bytes)
	return bytes, err
}

func countLines(file []byte) (n int) {
	quoted := false
	for _, b := range file {
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n' && !quoted:
			n++
		}
	}
	return n
}
