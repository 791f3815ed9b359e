package cli

import (
	"os"
	"testing"
)

// childVariable makes the test binary run as millrace, for tests that kill a process.
const childVariable = "MILLRACE_TEST_CHILD"

// TestMain runs the tests in the root of the repository, where the paths in them begin.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(Slim().Main())
	}
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func readSample(t *testing.T, name string) string {
	t.Helper()
	file, err := os.ReadFile("testdata/samples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}
