package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/servetest"
	"github.com/retainwise/millrace/store/storetest"
)

// copyTelecom writes a version of a copy of telecom.
func copyTelecom(t *testing.T, name, version string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS("engine/baseline/telecom")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bundle.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("name: telecom\nversion: '1'"), fmt.Appendf(nil, "name: %s\nversion: '%s'", name, version), 1)
	old, err := os.ReadFile("engine/baseline/telecom/bundle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, engine.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) []byte { return fmt.Appendf(nil, "%x", sha256.Sum256(b)) }
	manifest = bytes.Replace(manifest, sum(old), sum(text), 1)
	for name, content := range map[string][]byte{file: text, filepath.Join(dir, engine.ManifestFile): manifest} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestModelCatalog pushes, names, takes back and retires versions in a running server, as an operator does.
func TestModelCatalog(t *testing.T) {
	p := servetest.Start(t, func(c *serve.RunConfig) { c.DatabaseURL = storetest.Postgres(t) })
	first, second := copyTelecom(t, "mine", "1"), copyTelecom(t, "mine", "2")
	b, err := engine.OpenBundleKept(os.DirFS(second))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := b.Archive()
	if err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "mine.zip")
	if err := os.WriteFile(packed, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := copyTelecom(t, "mine", "3")
	if err := os.WriteFile(filepath.Join(broken, "model.txt"), []byte("tree"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args   string
		want   string
		status int
	}{
		{"push " + first, "mine@1 pushed, as the first mine: ?model=mine names it (sha256 ", 0},
		{"push " + first, "mine@1 exists already: nothing has changed (sha256 ", 0},
		{"push " + packed, "mine@2 pushed (sha256 " + b.SHA256(), 0},
		{"push " + broken, "model.txt has another sha256", cli.ExitData},
		{"push " + broken + "/nothing", "no such file", cli.ExitNoInput},
		{"push " + copyTelecom(t, "telecom", "1") + " ", "telecom@1 pushed (sha256 ", 0}, // the content of the baseline
		{"alias champion mine@1", "champion names mine@1\n", 0},
		{"alias champion mine@2", "champion names mine@2, before mine@1\n", 0},
		{"alias champion mine:2", "champion names mine@2 already: nothing has changed\n", 0},
		{"alias champion mine@9", "ERR-1701", cli.ExitData},
		{"alias champion", "or --remove", cli.ExitUsage},
		{"alias champion mine@1 --remove", "or --remove", cli.ExitUsage},
		{"default champion --dataset north", "the default for dataset north names champion\n", 0},
		{"default", "or --remove", cli.ExitUsage},
		{"list", "champion  mine@2", 0},
		{"list", "dataset north", 0},
		{"rollback champion", "champion names mine@1, before mine@2\n", 0},
		{"rollback champion", "ERR-1713", cli.ExitData},
		{"retire mine@1", "ERR-1713", cli.ExitData},
		{"retire mine@2", "mine@2 retired\n", 0},
		{"retire mine@2", "mine@2 was retired before: nothing has changed\n", 0},
		{"push " + second, "mine@2 exists already and is retired: millrace model retire --undo mine@2", 0},
		{"list", "retired", 0},
		{"retire --undo mine@2", "mine@2 active again\n", 0},
		{"retire --undo mine@2", "mine@2 was not retired: nothing has changed\n", 0},
		{"alias champion --remove", "ERR-1713", cli.ExitData},
		{"default --remove --dataset north", "the default for dataset north removed\n", 0},
		{"alias champion --remove", "champion removed, before mine@1\n", 0},
	} {
		var out bytes.Buffer
		args := append([]string{"model"}, strings.Fields(step.args)...)
		status := Full().Run(t.Context(), append(args, "--admin", p.Admin), cli.Streams{Out: &out, Err: &out})
		if status != step.status || !strings.Contains(out.String(), step.want) {
			t.Errorf("%s: status %d, want %d with %q: %s", step.args, status, step.status, step.want, out.String())
		}
	}
}
