package store_test

import (
	"fmt"
	"os"

	"go.uber.org/goleak"
)

// leaks looks for goroutines that have outlived all tests, and gives the exit status.
func leaks(status int) int {
	if status != 0 {
		return status
	}
	err := goleak.Find(
		// The servers of storetest end with the process; each has one that waits for its exit or reads its output.
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Start.func2"),
		// Idle connections of HTTP clients, which tests and AWS' library keep.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
