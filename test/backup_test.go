package test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/storetest"
)

// copyObjects copies a directory of objects while it is written to, without the files that are deleted meanwhile.
func copyObjects(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = os.WriteFile(target, content, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBackupAndRestore follows docs/operations.md: it saves the database and then the objects of a server under load.
// Restored elsewhere and adopted, every prediction of the dump completes with the bytes of the original.
func TestBackupAndRestore(t *testing.T) {
	database, dir := storetest.Postgres(t), t.TempDir()
	config := func(c *serve.RunConfig) {
		c.DatabaseURL, c.DataDir, c.Lease, c.SweepAfter = database, dir, 2*time.Second, time.Millisecond
		c.CustomerSecret = strings.Repeat("s", 32)
		c.Worker.Limits = ingest.Limits{RowsMax: 100_000, PartBytes: 64 << 10, ChunkBytes: 8 << 10}
		c.API.UploadLimits = c.Worker.Limits
		c.API.Rates = &serve.RateLimits{}
	}
	original := start(t, config)
	var load sync.WaitGroup
	file := sampleFile(t, "telecom_10k.csv")
	original.upload(t, file)
	load.Go(func() {
		for range 8 {
			original.upload(t, file)
		}
	})
	time.Sleep(time.Second)
	dump, copied := storetest.RestoredDump(t, database), t.TempDir()
	copyObjects(t, filepath.Join(dir, "objects"), filepath.Join(copied, "objects"))
	load.Wait()

	flags := []string{"--data-dir", copied, "--database-url", dump}
	if status, out, messages := millrace(t, append([]string{"store", "adopt"}, flags...)...); status != 0 {
		t.Fatalf("adopt: %s%s", out, messages)
	}
	database, dir = dump, copied
	restored := start(t, config)
	ids := strings.Fields(storetest.Ask(t, dump, `SELECT string_agg(public_id::text, ' ') FROM predictions`))
	if len(ids) == 0 {
		t.Fatal("the dump is empty")
	}
	for _, id := range ids {
		original.wait(t, id)
		restored.wait(t, id)
		path := "/predictions/" + id + "/download"
		_, want := original.Do(t, http.MethodGet, path, nil)
		if status, got := restored.Do(t, http.MethodGet, path, nil); status != http.StatusOK || !bytes.Equal(got, want) {
			t.Errorf("%s: status %d, %d bytes, want %d", id, status, len(got), len(want))
		}
	}
	status, out, messages := millrace(t, append([]string{"store", "check"}, flags...)...)
	if status != 0 {
		t.Errorf("check: %s%s", out, messages)
	}
}
