package server

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// serveIn starts and ends a server with the sample in a data directory.
func serveIn(t *testing.T, dir string, flags ...string) (status int, messages string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := &printed{until: "Ctrl-C stops everything.", seen: cancel}
	var stderr bytes.Buffer
	status = Full().Run(ctx, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--canary", "off", "--data-dir", dir,
		"--sample", "testdata/samples/telecom_sample.csv",
	}, flags...), cli.Streams{In: strings.NewReader(""), Out: stdout, Err: &stderr})
	return status, stderr.String()
}

// TestServeRefusesStoreOfOtherDatabase starts with an existing data directory and a different database: the start is
// refused and no file is deleted.
func TestServeRefusesStoreOfOtherDatabase(t *testing.T) {
	dir := t.TempDir()
	first, second := storetest.EmptyPostgres(t), storetest.EmptyPostgres(t)
	if status, messages := serveIn(t, dir, "--database-url", first); status != 0 {
		t.Fatal(messages)
	}
	files := filesBelow(t, dir)
	status, messages := serveIn(t, dir, "--database-url", second)
	if status != cli.ExitUsage || !strings.Contains(messages, "millrace store adopt") ||
		!regexp.MustCompile(`belongs to installation [0-9a-f-]{36}, the database to no installation`).MatchString(messages) {
		t.Errorf("status %d: %s", status, messages)
	}
	status, out, messages := command(t, "", "store", "check", "--data-dir", dir, "--database-url", first)
	if status != 0 || out != "" || !strings.Contains(messages, " 0 problems") {
		t.Errorf("status %d: %s%s", status, out, messages)
	}
	status, out, messages = command(t, "", "store", "check", "--data-dir", dir, "--database-url", second)
	if status != 0 { // its objects are too new to be reported
		t.Errorf("status %d: %s%s", status, out, messages)
	}
	if after := filesBelow(t, dir); after != files {
		t.Errorf("before\n%s\nafter\n%s", files, after)
	}
	status, out, messages = command(t, "", "store", "adopt", "--data-dir", dir, "--database-url", second)
	if status != 0 || !strings.Contains(out, "(stranger)") || !strings.Contains(out, "owns both") {
		t.Errorf("status %d: %s%s", status, out, messages)
	}
	if status, messages := serveIn(t, dir, "--database-url", second); status != 0 {
		t.Error(messages)
	}
	if status, messages := serveIn(t, dir, "--database-url", first); status != cli.ExitUsage {
		t.Errorf("after the adoption the first database starts: %s", messages)
	}
}

// filesBelow lists the files of the object store.
func filesBelow(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

// TestStoreCommands checks that missing objects are reported, and that a stopped sweep is listed and confirmed.
func TestStoreCommands(t *testing.T) {
	dir, database := t.TempDir(), storetest.EmptyPostgres(t)
	flags := []string{"--data-dir", dir, "--database-url", database}
	if status, messages := serveIn(t, dir, flags[2:]...); status != 0 {
		t.Fatal(messages)
	}
	run := func(args ...string) (int, string) {
		status, out, messages := command(t, "", append(append([]string{"store"}, args...), flags...)...)
		return status, out + messages
	}
	result := strings.Fields(filesBelow(t, dir))
	for _, path := range result {
		if filepath.Base(path) == objects.ResultName {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if status, said := run("check", "--no-digests"); status != cli.ExitData || !strings.Contains(said, "missing\tresult\tresults/") ||
		!strings.Contains(said, "do not agree in 1 places") {
		t.Errorf("status %d: %s", status, said)
	}
	s := storetest.Open(t, store.Config{URL: database})
	o, err := objects.OpenDirectory(filepath.Join(dir, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	for range 21 {
		key := objects.InputKey(store.NewID())
		if _, err := o.Put(t.Context(), key, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, "objects", key), old, old); err != nil {
			t.Fatal(err)
		}
	}
	owner := store.NewOwner(s, o, nil)
	if _, err := owner.SweepOrphans(t.Context(), 24*time.Hour); err == nil {
		t.Fatal("the sweep was not stopped")
	}
	status, said := run("orphans")
	if status != 0 || strings.Count(said, "unknown owner\tuploads/")+strings.Count(said, "unknown owner  uploads/") != 21 ||
		!strings.Contains(said, "--confirm 21") {
		t.Errorf("status %d: %s", status, said)
	}
	if status, said := run("orphans", "--confirm", "20"); status != cli.ExitData || !strings.Contains(said, "21 objects") {
		t.Errorf("status %d: %s", status, said)
	}
	if status, said := run("orphans", "--confirm", "21"); status != 0 {
		t.Errorf("status %d: %s", status, said)
	}
	if n, err := owner.SweepOrphans(t.Context(), 24*time.Hour); n != 21 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestStoreCommandsOnPrivatePostgres checks that the commands work while a server runs, and start the private PostgreSQL
// if none does.
func TestStoreCommandsOnPrivatePostgres(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() == 0 { // its server's user must reach it
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		status, out, messages := command(t, "", "store", "check", "--data-dir", dir)
		if status != 0 || !strings.Contains(messages, " 0 problems") {
			t.Errorf("%s: status %d: %s%s", when, status, out, messages)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, isReady := context.WithCancel(t.Context())
	stdout := &printed{until: "millrace is ready", seen: isReady}
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- Full().Run(ctx, []string{
			"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", dir, "--canary", "off",
		}, cli.Streams{In: strings.NewReader(""), Out: stdout, Err: &stderr})
	}()
	select {
	case <-ready.Done():
		check("beside a server")
	case status := <-done:
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	cancel()
	if status := <-done; status != 0 {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	check("afterwards")
}

// TestStoreCommandsCreateNothing checks that a mistyped data directory or database is an error rather than a new
// installation, and that check does not migrate.
func TestStoreCommandsCreateNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mistyped")
	database := storetest.EmptyPostgres(t)
	for _, args := range []string{"check", "adopt", "orphans", "orphans --confirm 0"} {
		for _, flags := range []string{"", " --database-url " + database, " --s3-bucket none"} {
			status, out, messages := command(t, "", strings.Fields("store "+args+" --data-dir "+dir+flags)...)
			if status != cli.ExitUsage || out != "" || !strings.Contains(messages, "there is no "+dir) {
				t.Errorf("%s%s: status %d: %s%s", args, flags, status, out, messages)
			}
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("made: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	status, _, messages := command(t, "", "store", "check", "--data-dir", dir, "--database-url", database)
	if status != cli.ExitUsage || !strings.Contains(messages, "run millrace migrate up") {
		t.Errorf("status %d: %s", status, messages)
	}
}
