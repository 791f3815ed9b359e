package serve_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that have outlived all tests.
func TestMain(m *testing.M) {
	status := m.Run()
	if status == 0 {
		status = leaks()
	}
	os.Exit(status)
}

func leaks() int {
	err := goleak.Find(
		// The servers of storetest end with the process; each has one that waits for its exit.
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"),
		// Idle connections of HTTP clients, which tests keep.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		// fasthttp's pool of workers and its clock look only now and then whether they are to end.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
