package server

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

// printed collects the output of a running command, and calls seen once it contains a text.
type printed struct {
	mu    sync.Mutex
	text  bytes.Buffer
	until string
	seen  context.CancelFunc
}

func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(text)
	if strings.Contains(p.text.String(), p.until) {
		p.seen()
	}
	return len(text), nil
}

// serveSample runs serve with a sample until the sample's report is printed, or serve ends by itself.
func serveSample(t *testing.T, sample string) (status int, out, messages string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := &printed{until: "Ctrl-C stops everything.", seen: cancel}
	var stderr bytes.Buffer
	status = Full().Run(ctx, []string{
		"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", t.TempDir(),
		"--database-url", storetest.EmptyPostgres(t), "--sample", sample,
	}, cli.Streams{In: strings.NewReader(""), Out: stdout, Err: &stderr})
	return status, stdout.text.String(), stderr.String()
}

// TestServeScoresSampleAndPrintsAddresses checks the output of make run: addresses, a token, and the sample's report.
func TestServeScoresSampleAndPrintsAddresses(t *testing.T) {
	status, out, messages := serveSample(t, "testdata/samples/telecom_sample.csv")
	if status != 0 {
		t.Fatalf("status %d: %s", status, messages)
	}
	for _, want := range []string{
		"millrace is ready after ", "\n  API       http://127.0.0.1:", "\n  docs      http://", "\n  sign in   file:///", "\n  metrics   http://",
		"\nDEVELOPMENT MODE", "\n  export MILLRACE_TOKEN=$(cat /",
		"\nsample telecom_sample.csv: 20 rows scored and explained\nwith model telecom, 0 rejected, in ",
		"\nMost likely to leave\n", "/download\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	banner, _, _ := strings.Cut(out, "\nsample ")
	if lines := strings.Count(banner, "\n"); lines > 15 {
		t.Errorf("%d lines:\n%s", lines, banner)
	}
	if strings.Contains(out, "eyJ") {
		t.Errorf("the token is printed:\n%s", out)
	}
}

// TestServeFindsEarlierSample starts twice: the second start reports the prediction of the first, and uploads the sample
// again only if the file is another.
func TestServeFindsEarlierSample(t *testing.T) {
	dir, database := t.TempDir(), storetest.EmptyPostgres(t)
	sample := filepath.Join(dir, "sample.csv")
	text := readSample(t, "telecom_sample.csv")
	for _, step := range []struct {
		file, want  string
		predictions int64
	}{
		{text, "0 rejected, in ", 1},
		{text, "0 rejected, at an earlier start\n", 1},
		{strings.ReplaceAll(text, "Two year", "One year"), "0 rejected, in ", 2},
		{text, "0 rejected, at an earlier start\n", 2},
	} {
		if err := os.WriteFile(sample, []byte(step.file), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stdout := &printed{until: "Ctrl-C stops everything.", seen: cancel}
		var stderr bytes.Buffer
		status := Full().Run(ctx, []string{
			"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--canary", "off", "--data-dir", dir,
			"--database-url", database, "--sample", sample,
		}, cli.Streams{In: strings.NewReader(""), Out: stdout, Err: &stderr})
		cancel()
		out := stdout.text.String()
		if status != 0 || !strings.Contains(out, step.want) || !strings.Contains(out, "20 rows scored and explained") ||
			!strings.Contains(out, "\nMost likely to leave\n") {
			t.Fatalf("status %d, want %q: %s%s", status, step.want, out, stderr.String())
		}
		s := storetest.Open(t, store.Config{URL: database})
		user, err := s.Accounts.EnsureUser(t.Context(), "developer")
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.Predictions.List(t.Context(), user.ID, store.ListQuery{Limit: 10})
		if err != nil || int64(len(list)) != step.predictions {
			t.Fatalf("%d predictions, want %d (%v)", len(list), step.predictions, err)
		}
	}
}

// TestKeepToken checks that the token is in files that only this user can read, and that the page opens the server's with it.
func TestKeepToken(t *testing.T) {
	dir := t.TempDir()
	token, page, err := keepToken(dir, serve.Started{API: "http://127.0.0.1:1", Token: "ey.J-_"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		token: "ey.J-_\n", page: `<meta http-equiv="refresh" content="0;url=http://127.0.0.1:1/#token=ey.J-_">`,
	} {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q (%v)", name, text, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v (%v)", name, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v (%v)", entries, err)
	}
	if _, _, err := keepToken(filepath.Join(dir, "none"), serve.Started{}); err == nil {
		t.Error("a directory that does not exist")
	}
	for text, want := range map[string]string{"/a/b-c.d": "/a/b-c.d", "/a b": "'/a b'", "/it's": `'/it'\''s'`, "": "''"} {
		if got := shellWord(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestServeExitsWhenSampleIsRefused checks that a refused sample is an error on standard error, not only in the log.
func TestServeExitsWhenSampleIsRefused(t *testing.T) {
	sample := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(sample, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, messages := serveSample(t, sample)
	if status != cli.ExitData || !strings.Contains(messages, "\nmillrace: sample: ERR-1004: Missing required columns") ||
		!strings.HasSuffix(messages, "\n  More: millrace explain ERR-1004\n") || strings.Contains(out, "rows scored") {
		t.Errorf("status %d: %s%s", status, out, messages)
	}
}

func TestServeConfiguration(t *testing.T) {
	c := serveCommand{
		storeFlags: storeFlags{DataDir: "data"}, PartBytes: 64 << 10, UploadRowsMax: 1, UploadBytesMax: 2, DirectRowsMax: 3, DirectBytesMax: 4,
		Cores: 5, TrustedProxies: []string{"10.0.0.0/8"}, TLSCert: "cert.pem", TLSKey: "key.pem",
	}
	got, err := c.config(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	upload := ingest.Limits{RowsMax: 1, BytesMax: 2, PartBytes: 64 << 10, ChunkBytes: 8 << 10}
	direct := ingest.Limits{RowsMax: 3, BytesMax: 4, PartBytes: 64 << 10, ChunkBytes: 8 << 10}
	if got.API.UploadLimits != upload || got.Worker.Limits != direct || got.API.Cores != 5 || got.Worker.Cores != 5 {
		t.Errorf("%+v", got)
	}
	if !filepath.IsAbs(got.DataDir) || filepath.Base(got.DataDir) != "data" || len(got.API.TrustedProxies) != 1 ||
		got.TLS != (serve.TLSFiles{Certificate: "cert.pem", Key: "key.pem"}) {
		t.Errorf("%+v", got)
	}
	c.TrustedProxies = []string{"10.0.0.0/800"}
	if _, err := c.config(nil); err == nil || !strings.HasPrefix(err.Error(), "--trusted-proxies: ") {
		t.Errorf("a wrong network: %v", err)
	}
}

// TestDrainDelay checks the default of each role, that a flag replaces it, and that a negative one is refused.
func TestDrainDelay(t *testing.T) {
	span := func(d time.Duration) *time.Duration { return &d }
	for _, test := range []struct {
		role  string
		given *time.Duration
		want  time.Duration
	}{
		{"all", nil, 0},
		{"worker", nil, 0},
		{"api", nil, 5 * time.Second},
		{"api", span(0), 0},
		{"all", span(20 * time.Second), 20 * time.Second},
	} {
		c := serveCommand{storeFlags: storeFlags{DataDir: "data"}, PartBytes: 64 << 10, Role: test.role, DrainDelay: test.given}
		got, err := c.config(slog.New(slog.DiscardHandler))
		if err != nil || got.DrainDelay != test.want {
			t.Errorf("%s, %v: %s, %v", test.role, test.given, got.DrainDelay, err)
		}
	}
	c := serveCommand{storeFlags: storeFlags{DataDir: "data"}, PartBytes: 64 << 10, DrainDelay: span(-time.Second)}
	if _, err := c.config(nil); err == nil || !strings.HasPrefix(err.Error(), "--drain-delay") {
		t.Errorf("a negative delay: %v", err)
	}
}

// TestB16Origins checks the default origins: the customer's two, and localhost with development tokens.
func TestB16Origins(t *testing.T) {
	const two = "https://retainwiseanalytics.com https://www.retainwiseanalytics.com"
	const local = "http://localhost:3000"
	given := []string{"https://a.example"}
	for _, test := range []struct {
		command serveCommand
		want    string
	}{
		{serveCommand{}, two + " " + local},
		{serveCommand{AuthJWKSURL: "https://id.example/keys"}, two},
		{serveCommand{CORSOrigins: given}, "https://a.example " + local},
		{serveCommand{CORSOrigins: []string{local, "https://a.example"}}, local + " https://a.example"},
		{serveCommand{CORSOrigins: given, AuthJWKSURL: "https://id.example/keys"}, "https://a.example"},
	} {
		config, err := func() (serve.RunConfig, error) {
			test.command.PartBytes = partBytesMin
			return test.command.config(slog.New(slog.DiscardHandler))
		}()
		if got := strings.Join(config.API.Origins, " "); err != nil || got != test.want {
			t.Errorf("%+v: %q (%v), want %q", test.command, got, err, test.want)
		}
	}
	if given[0] != "https://a.example" || len(given) != 1 {
		t.Errorf("the list that was given became %q", given)
	}
}

// TestB2Parties checks which applications' tokens are accepted: those in AUTH_PARTIES, else in CORS_ORIGINS, else any,
// which is printed at startup.
func TestB2Parties(t *testing.T) {
	const keys = "https://id.example/keys"
	for _, test := range []struct {
		command    serveCommand
		want, said string
	}{
		{serveCommand{AuthJWKSURL: keys, AuthIssuer: "https://id.example"}, "", "AUTH_PARTIES or CORS_ORIGINS"},
		{
			serveCommand{AuthJWKSURL: keys, CORSOrigins: []string{"https://a.example", "https://b.example"}},
			"https://a.example https://b.example", "for https://a.example, https://b.example",
		},
		{
			serveCommand{
				AuthJWKSURL: keys, AuthParties: []string{"https://c.example"}, CORSOrigins: []string{"https://a.example"},
				RequireSession: true,
			},
			"https://c.example", "for https://c.example",
		},
	} {
		test.command.PartBytes = partBytesMin
		config, err := test.command.config(slog.New(slog.DiscardHandler))
		if got := strings.Join(config.Auth.Parties, " "); err != nil || got != test.want ||
			config.Auth.RequireSession != test.command.RequireSession {
			t.Errorf("%+v: %q (%v), want %q", test.command, got, err, test.want)
		}
		var out bytes.Buffer
		if err := test.command.announce(cli.Streams{Out: &out}, t.TempDir(), serve.Started{API: "http://127.0.0.1:1"}, 0); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), test.said) {
			t.Errorf("%+v says\n%s", test.command, out.String())
		}
		out.Reset()
		started := serve.Started{API: "http://127.0.0.1:1", Token: "x"}
		if err := test.command.announce(cli.Streams{Out: &out}, t.TempDir(), started, 0); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "  tokens ") {
			t.Errorf("development says\n%s", out.String())
		}
	}
}

func TestDefaultDataDir(t *testing.T) {
	for _, test := range []struct {
		user       int
		home, want string
	}{
		{0, "/srv/operator", "/var/lib/millrace"},
		{1000, "/srv/operator", "/srv/operator/.local/share/millrace"},
		{1000, "", "millrace-data"},
	} {
		if got := defaultDataDir(test.user, test.home); got != test.want {
			t.Errorf("user %d at %q: %s, want %s", test.user, test.home, got, test.want)
		}
	}
}

// TestServeUnreachableDatabaseError checks that the error does not contain the URL, which may hold a password.
func TestServeUnreachableDatabaseError(t *testing.T) {
	for _, args := range [][]string{
		{"migrate", "up"},
		{"migrate", "status"},
		{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", t.TempDir()},
	} {
		status, _, messages := command(t, "", append(args, "--database-url", "postgres://u:secret@127.0.0.1:1/x")...)
		if status != cli.ExitUnavailable || !strings.Contains(messages, "millrace: ") || strings.Contains(messages, "secret") {
			t.Errorf("%v: status %d: %s", args, status, messages)
		}
	}
}

func TestMigrate(t *testing.T) {
	url := storetest.EmptyPostgres(t)
	status, before, messages := command(t, "", "migrate", "status", "--database-url", url)
	if status != 0 || !strings.HasPrefix(before, "00001 ") || strings.Contains(before, "applied") {
		t.Errorf("status %d: %s%s", status, before, messages)
	}
	for range 2 { // the second has nothing to do
		status, after, messages := command(t, "", "migrate", "up", "--database-url", url)
		if status != 0 || after != strings.ReplaceAll(before, "pending", "applied") {
			t.Errorf("status %d: %s%s", status, after, messages)
		}
	}
	if status, messages := commandOnFullDisk(t, "migrate", "status", "--database-url", url); status != cli.ExitIO {
		t.Errorf("a full disk went unnoticed: %s", messages)
	}
}

func TestServeRefusesPartsTooSmallForChunks(t *testing.T) {
	status, _, messages := command(t, "", "serve", "--data-dir", t.TempDir(), "--part-bytes", "16383")
	if status == 0 || !strings.Contains(messages, "--part-bytes must be at least 16384") {
		t.Errorf("status %d: %s", status, messages)
	}
}
