package server_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/cli/server"
	"github.com/retainwise/millrace/store/storetest"
)

// run runs a command line in this process.
func run(t *testing.T, ctx context.Context, stdin string, args ...string) (status int, out, messages string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = server.Full().Run(ctx, args, cli.Streams{In: strings.NewReader(stdin), Out: &stdout, Err: &stderr})
	return status, stdout.String(), stderr.String()
}

const header = "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n"

// TestExitStatuses provokes every exit status but those of signals, which TestExitStatusOfProcess has.
func TestExitStatuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := at("good.csv", header+"a,1,2,3,One year\n")
	half := at("half.csv", header+"a,1,2,3,One year\nb,many,2,3,One year\n")
	few := at("few.csv", header+"a,1,2,3,One year\nb,many,2,3,One year\nc,many,2,3,One year\n")
	out, matrix := filepath.Join(dir, "out.csv"), at("x.tsv", "1\t2\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().String()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":{"code":"ERR-1404","message":"busy"}}`))
	}))
	defer busy.Close()
	database := storetest.Postgres(t)
	const broken = "postgres://u@127.0.0.1:1/x"
	const forest = "testdata/forest/lightgbm/binary/model.txt"
	serve := []string{"serve", "--data-dir", filepath.Join(dir, "data"), "--database-url", database}
	for _, test := range []struct {
		status int
		want   string
		args   []string
	}{
		{0, "1 scored", []string{"score", "--model", "telecom", "--out", out, good}},
		{0, "1 rejected", []string{"score", "--model", "telecom", "--out", out, half}},
		{0, "", []string{"validate", "--model", "telecom", good}},
		{64, "see --help", []string{"no-such-command"}},
		{64, "see --help", []string{"score"}},
		{64, "must be one of", []string{"score", "--model", "telecom", "--scorer", "guess", good}},
		{64, "a file that is read", []string{"score", "--model", "telecom", "--out", good, good}},
		{64, "TLS: a certificate and a key belong together", append(serve, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tls-cert", "x")},
		{65, "only 1 of 3 rows could be scored", []string{"score", "--model", "telecom", "--out", out, few}},
		{0, "1 scored, 2 rejected", []string{"score", "--model", "telecom", "--out", out, "--allow-rejects", few}},
		{0, "1 scored, 2 rejected", []string{"score", "--model", "telecom", "--out", out, "--max-rejected", "2", few}},
		{65, "ERR-1107", []string{"score", "--model", "telecom", "--out", out, "--max-rejected", "0", half}},
		{65, "ERR-1005", []string{"score", "--model", "telecom", "--out", out, matrix}},
		{65, "ERR-1107", []string{"validate", "--model", "telecom", half}},
		{65, "ERR-1703", []string{"model", "verify", good}},
		{65, "line 1", []string{"model", "predict", "--kind", "raw", "--data", matrix, forest}},
		{66, "absent.csv: no such file", []string{"score", "--model", "telecom", "absent.csv"}},
		{66, "is a directory", []string{"score", "--model", "telecom", dir}},
		{66, "absent.csv: no such file", []string{"score", "--model", "telecom", "--changes-from", "absent.csv", good}},
		{66, "neither a directory", []string{"score", "--model", "absent", good}},
		{66, "absent.tsv: no such file", []string{"model", "predict", "--kind", "raw", "--data", "absent.tsv", forest}},
		{66, "absent.txt: no such file", []string{"model", "predict", "--kind", "raw", "--data", matrix, "absent.txt"}},
		{66, "absent.csv: no such file", append(serve, "--sample", "absent.csv")},
		{69, "no server answers", []string{"jobs", "dead", "--admin", "http://127.0.0.1:1"}},
		{69, "127.0.0.1", []string{"migrate", "status", "--database-url", broken}},
		{69, "127.0.0.1", []string{"serve", "--data-dir", filepath.Join(dir, "data"), "--database-url", broken}},
		{74, "no directory", []string{"score", "--model", "telecom", "--out", filepath.Join(dir, "none", "x"), good}},
		{75, "What you can do: Wait", []string{"jobs", "dead", "--admin", busy.URL}},
		{75, port + " is in use by another program: stop it, or choose another address with --listen", append(serve, "--listen", port, "--admin-listen", "127.0.0.1:0")},
		{75, port + " is in use by another program: stop it, or choose another address with --admin-listen", append(serve, "--admin-listen", port)},
	} {
		status, _, messages := run(t, t.Context(), "", test.args...)
		if status != test.status || !strings.Contains(messages, test.want) || strings.Contains(messages, "ERR-1500") {
			t.Errorf("%q: status %d, want %d and %q:\n%s", test.args, status, test.status, test.want, messages)
		}
	}
}

// A bucket that is not there yet is no mistake on the command line: a supervisor starts the process again.
func TestExitStatus_AbsentBucket(t *testing.T) {
	bucket := storetest.S3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", bucket.AccessKey)
	serve := []string{"serve", "--data-dir", t.TempDir(), "--database-url", storetest.EmptyPostgres(t), "--s3-endpoint", bucket.Endpoint}
	t.Setenv("AWS_SECRET_ACCESS_KEY", bucket.SecretKey)
	status, _, messages := run(t, t.Context(), "", append(serve, "--s3-bucket", bucket.Bucket+"-absent")...)
	if status != 69 {
		t.Errorf("status %d: %s", status, messages)
	}
}

// TestTooFewRowsLeaveTheResult checks that a file of which too few rows could be scored changes no result: only its
// rejected rows are written.
func TestTooFewRowsLeaveTheResult(t *testing.T) {
	dir := t.TempDir()
	out, rejects := filepath.Join(dir, "out.csv"), filepath.Join(dir, "rejects.csv")
	if err := os.WriteFile(out, []byte("yesterday"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, messages := run(t, t.Context(), header+"a,x,2,3,One year\n", "score", "--model", "telecom", "--out", out,
		"--rejects", rejects, "--summary", filepath.Join(dir, "summary.json"), "-")
	kept, _ := os.ReadFile(out)
	refused, _ := os.ReadFile(rejects)
	entries, _ := os.ReadDir(dir)
	if status != 65 || string(kept) != "yesterday" || strings.Count(string(refused), "\n") != 2 || len(entries) != 2 ||
		strings.Contains(messages, "not whole") {
		t.Errorf("status %d, result %q, rejects %q, %d files: %s", status, kept, refused, len(entries), messages)
	}
	status, printed, messages := run(t, t.Context(), header+"a,x,2,3,One year\n", "score", "--model", "telecom", "-")
	if status != 65 || printed != "" {
		t.Errorf("status %d: %s%s", status, printed, messages)
	}
}

// TestHelpListsExitStatuses checks that every command's help and docs/commands.md have the same table.
func TestHelpListsExitStatuses(t *testing.T) {
	page, err := os.ReadFile("docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--help"}, {"score", "--help"}, {"store", "check", "--help"}, {}} {
		status, help, messages := run(t, t.Context(), "", args...)
		if status != 0 || messages != "" {
			t.Errorf("%q: status %d: %s", args, status, messages)
		}
		_, table, found := strings.Cut(help, "\nExit status:\n")
		if !found {
			t.Errorf("%q has no exit statuses", args)
		}
		for _, line := range strings.Split(table, "\n") {
			number, meaning, _ := strings.Cut(strings.TrimSpace(line), "  ")
			if number == "" || number[0] < '0' || number[0] > '9' {
				continue // a wrapped line
			}
			if want := "| " + number + " | " + strings.TrimSpace(meaning); !strings.Contains(string(page), want) {
				t.Errorf("docs/commands.md has no line %q", want)
			}
		}
	}
}
