package test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/cli/server"
)

// childEnv makes the test binary run as millrace, for tests that kill a process.
const childEnv = "MILLRACE_TEST_CHILD"

// TestMain runs the tests in the root of the repository, where the paths in them begin.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(server.Full().Main())
	}
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// millrace runs a command line in this process and returns what it printed.
func millrace(t *testing.T, args ...string) (status int, out, messages string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = server.Full().Run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	return status, stdout.String(), stderr.String()
}

func sampleFile(t *testing.T, name string) string {
	t.Helper()
	file, err := os.ReadFile("testdata/samples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}
