package test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/storetest"
)

// balancer sends requests to those of its processes that were ready when it last asked, in turn. It keeps connections.
type balancer struct {
	mu      sync.Mutex
	seats   []*child // nil: being started
	ready   []bool
	next    int
	clients http.Client

	answers  int
	failures []string
}

// pick returns the next process that is ready, nil if none is.
func (b *balancer) pick() *child {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.seats {
		b.next = (b.next + 1) % len(b.seats)
		if b.ready[b.next] {
			return b.seats[b.next]
		}
	}
	return nil
}

// follow asks every process whether it is ready, until ctx ends.
func (b *balancer) follow(ctx context.Context) {
	for ctx.Err() == nil {
		for i := range b.seats {
			b.mu.Lock()
			c := b.seats[i]
			b.mu.Unlock()
			ready := c != nil && b.ask(ctx, c, http.MethodGet, "/ready", "") == http.StatusOK
			b.mu.Lock()
			b.ready[i] = ready && c == b.seats[i]
			b.mu.Unlock()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ask returns the status of an answer that arrived in full, else 0.
func (b *balancer) ask(ctx context.Context, c *child, method, path, body string) int {
	req, err := http.NewRequestWithContext(ctx, method, c.API+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "text/csv")
	resp, err := b.clients.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

// load sends requests of a kind one after the other until ctx ends.
func (b *balancer) load(ctx context.Context, method, path, body string) {
	for ctx.Err() == nil {
		status := 0
		if c := b.pick(); c != nil {
			status = b.ask(context.WithoutCancel(ctx), c, method, path, body)
		}
		b.mu.Lock()
		b.answers++
		if status != http.StatusOK {
			b.failures = append(b.failures, http.StatusText(status)+" "+method+" "+path)
		}
		b.mu.Unlock()
	}
}

// TestRestartsUnderLoad restarts each of three APIs while a balancer that follows /ready sends requests without a pause: no
// connection is refused, and no request fails.
func TestRestartsUnderLoad(t *testing.T) {
	args := []string{
		"--role", "api", "--data-dir", t.TempDir(), "--database-url", storetest.Postgres(t), "--drain-delay", "3s",
		"--rate-upload", "0", "--rate-default", "0", "--rate-score", "0", "--canary", "off",
	}
	b := &balancer{seats: make([]*child, 3), ready: make([]bool, 3)}
	for i := range b.seats {
		b.seats[i] = startChild(t, args...)
	}
	following, stop := context.WithCancel(t.Context())
	loaded, end := context.WithCancel(t.Context())
	defer stop()
	defer end()
	var followers, load sync.WaitGroup
	followers.Go(func() { b.follow(following) })
	for b.pick() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	sample := sampleFile(t, "telecom_10k.csv")
	for range 2 {
		load.Go(func() { b.load(loaded, http.MethodGet, "/predictions", "") })
	}
	load.Go(func() { b.load(loaded, http.MethodPost, "/score", sample) })
	load.Go(func() { b.load(loaded, http.MethodPost, "/upload", sample) })
	for i := range b.seats {
		begin := time.Now()
		if status := b.seats[i].end(syscall.SIGTERM); status != 0 || time.Since(begin) < 3*time.Second {
			t.Errorf("status %d after %s", status, time.Since(begin))
		}
		again := startChild(t, args...)
		b.mu.Lock()
		b.seats[i] = again
		b.mu.Unlock()
	}
	end()
	load.Wait()
	stop()
	followers.Wait()
	if t.Logf("%d answers", b.answers); b.answers < 100 || len(b.failures) > 0 {
		t.Errorf("%d answers, %d failures: %.20q", b.answers, len(b.failures), b.failures)
	}
}
