package server

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/cli"
)

// childVariable makes the test binary run as millrace, for tests that need its process.
const childVariable = "MILLRACE_TEST_CHILD"

// TestMain runs the tests in the root of the repository, where the paths in them begin.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(Full().Main())
	}
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// command runs a command line and returns what it printed.
func command(t *testing.T, stdin string, args ...string) (status int, out, messages string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = Full().Run(t.Context(), args, cli.Streams{In: strings.NewReader(stdin), Out: &stdout, Err: &stderr})
	return status, stdout.String(), stderr.String()
}

// fullDisk is a writer that fails like a full disk.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// commandOnFullDisk runs a command whose standard output cannot be written.
func commandOnFullDisk(t *testing.T, args ...string) (status int, messages string) {
	t.Helper()
	var stderr bytes.Buffer
	status = Full().Run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: fullDisk{}, Err: &stderr})
	return status, stderr.String()
}

func readSample(t *testing.T, name string) string {
	t.Helper()
	file, err := os.ReadFile("testdata/samples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}
