package serve_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store/objects"
)

// TestReady_StuckStore: a directory whose file system does not answer, here a mark that is a pipe without a writer, takes
// neither the metrics of the other dependencies nor /ready with it.
func TestReady_StuckStore(t *testing.T) {
	var parts api.Parts
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { parts = *p })
	mark := filepath.Join(a.dir, objects.MarkKey)
	if err := syscall.Mkfifo(mark, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { serve.WatchDependencies(ctx, parts) })
	defer watch.Wait()
	defer cancel()
	until := func(want string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if strings.Contains(a.scrape(), want) {
				return
			}
		}
		t.Fatalf("no %s", want)
	}
	until(`millrace_dependency_up{dependency="object_store"} 0`)
	until(`millrace_dependency_up{dependency="database"} 1`)
	for range 2 { // the second does not wait for the first one's check
		if status := a.get("/ready").status; status != 503 {
			t.Errorf("/ready: %d", status)
		}
	}
	writer, err := os.OpenFile(mark, os.O_WRONLY, 0) // the checks return
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	until(`millrace_dependency_up{dependency="object_store"} 1`)
}
