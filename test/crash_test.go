package test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/storetest"
)

// child is a millrace in a separate process.
type child struct {
	running
	command *exec.Cmd
}

// startChild runs serve with further arguments and reads its addresses.
func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)
	command := exec.CommandContext(context.Background(), os.Args[0], args...)
	command.Env = append(os.Environ(), childEnv+"=1")
	command.Stderr = t.Output()
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{command: command}
	t.Cleanup(func() { c.end(syscall.SIGTERM) })
	for scan := bufio.NewScanner(out); c.Token == "" && scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		if url, ok := strings.CutPrefix(line, "API"); ok {
			c.API = strings.TrimSpace(url)
		}
		if file, ok := strings.CutPrefix(line, "export MILLRACE_TOKEN=$(cat "); ok {
			token, err := os.ReadFile(strings.TrimSuffix(file, ")"))
			if err != nil {
				t.Fatal(err)
			}
			c.Token = strings.TrimSpace(string(token))
		}
	}
	if c.API == "" || c.Token == "" {
		t.Fatal("the child did not say where it is")
	}
	return c
}

// end stops the child and returns its exit status.
func (c *child) end(signal syscall.Signal) int {
	_ = c.command.Process.Signal(signal)
	_ = c.command.Wait()
	return c.command.ProcessState.ExitCode()
}

// TestKilledProcessLosesNoUpload kills a process after it has answered an upload: the next process completes it, with the
// same bytes.
func TestKilledProcessLosesNoUpload(t *testing.T) {
	args := []string{"--data-dir", t.TempDir(), "--database-url", storetest.Postgres(t), "--lease", "2s"}
	file := sampleFile(t, "telecom_10k.csv")
	first := startChild(t, args...)
	var ids []string
	for range 4 {
		ids = append(ids, first.upload(t, file).ID)
	}
	first.end(syscall.SIGKILL)
	second := startChild(t, args...)
	want := scoredOffline(t, "telecom", file)
	for _, id := range ids {
		second.wait(t, id)
		_, result := second.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil)
		if string(result) != want {
			t.Errorf("prediction %s: %d bytes, want %d", id, len(result), len(want))
		}
	}
	if status := second.end(syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}

// TestEmbeddedServersPersistData starts twice without configuration: the second start finds the data of the first, and no
// process is left.
func TestEmbeddedServersPersistData(t *testing.T) {
	args := []string{"--data-dir", t.TempDir()}
	file := sampleFile(t, "saas_sample.csv")
	first := startChild(t, args...)
	id := first.upload(t, file).ID
	first.wait(t, id)
	if status := first.end(syscall.SIGINT); status != 0 {
		t.Errorf("Ctrl-C ended it with status %d", status)
	}
	second := startChild(t, args...)
	status, result := second.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil)
	if status != http.StatusOK || string(result) != scoredOffline(t, "saas", file) {
		t.Errorf("after a restart: status %d", status)
	}
	other := exec.CommandContext(t.Context(), os.Args[0], append([]string{
		"serve", "--listen", "127.0.0.1:0",
		"--admin-listen", "127.0.0.1:0",
	}, args...)...)
	other.Env = append(os.Environ(), childEnv+"=1")
	if out, err := other.CombinedOutput(); err == nil {
		t.Errorf("a second millrace took the same directory: %s", out)
	}
}

// TestRolesInSeparateProcesses runs an API and two workers in separate processes that share only the storage.
func TestRolesInSeparateProcesses(t *testing.T) {
	database, bucket := storetest.Postgres(t), storetest.S3(t)
	api := start(t, func(c *serve.RunConfig) {
		c.Role, c.DatabaseURL, c.S3 = serve.RoleAPI, database, bucket
		c.API.UploadLimits.PartBytes, c.API.UploadLimits.ChunkBytes = 128<<10, 32<<10
	})
	for range 2 {
		start(t, func(c *serve.RunConfig) {
			c.Role, c.DatabaseURL, c.S3 = serve.RoleWorker, database, bucket
			c.Worker.Limits.ChunkBytes = 32 << 10
		})
	}
	file := sampleFile(t, "telecom_10k.csv")
	begin := time.Now()
	p := api.wait(t, api.upload(t, file).ID)
	t.Logf("scored by two workers in %s", time.Since(begin))
	_, result := api.Do(t, http.MethodGet, "/predictions/"+p.ID+"/download", nil)
	if string(result) != scoredOffline(t, "telecom", file) {
		t.Error("other bytes than the command line makes")
	}
}
