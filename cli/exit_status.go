package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
)

// Exit statuses of all commands, with the numbers of sysexits.h.
const (
	exitDone        = 0
	exitUsage       = 64
	exitData        = 65
	exitNoInput     = 66
	exitUnavailable = 69 // the Makefile installs PostgreSQL and tries again
	exitSoftware    = 70
	exitIO          = 74
	exitTryAgain    = 75
	exitSignal      = 128 // plus the signal's number
)

// exitStatuses is the published table: in --help, in the man page and, compared by a test, in docs/operations.md.
var exitStatuses = []struct {
	status  string
	meaning string
}{
	{"0", "Done."},
	{"64", "Usage: the command line or the configuration is wrong."},
	{"65", "Data: a file or a model cannot be used, too few rows could be scored, or a check found something."},
	{"66", "Input missing: a file that is read does not exist or cannot be opened."},
	{"69", "Unavailable: PostgreSQL is not installed, or a server that is needed does not answer."},
	{"70", "Internal error: a fault of millrace."},
	{"74", "Input or output failed: an output cannot be written, a disk is full, a read failed."},
	{"75", "Try again later: a port or directory is in use, or a server is too busy."},
	{"130, 143", "Ended by SIGINT (Ctrl-C) or SIGTERM. 141: the reader of a pipe ended."},
}

// plainError is an error in plain words without a published code. It is a mistake on the command line, unless a
// causedError around it says otherwise.
type plainError struct{ text string }

func (e *plainError) Error() string { return e.text }

// plain returns an error in plain words with an exit status.
func plain(status int, format string, args ...any) error {
	return caused(status, &plainError{fmt.Sprintf(format, args...)})
}

// usage returns an error of the command line.
func usage(format string, args ...any) error { return plain(exitUsage, format, args...) }

// causedError is an error with the exit status of its cause, for errors without a published code.
type causedError struct {
	err    error
	status int
}

func (e *causedError) Error() string { return e.err.Error() }
func (e *causedError) Unwrap() error { return e.err }

// caused marks an error, if it is one, with the exit status that it has unless more is known about it.
func caused(status int, err error) error {
	if err == nil {
		return nil
	}
	return &causedError{err, status}
}

// codedError is an error that a server answered with.
type codedError struct {
	about string // empty, or in front of the code: "sample: "
	code  string // "ERR-1101"
	text  string
}

func (e *codedError) Error() string { return e.about + e.code + ": " + e.text }

// exitStatus returns the exit status of an error: the one place that decides it.
func exitStatus(err error) int {
	var (
		words  *plainError
		output *outputError
		cause  *causedError
	)
	code := publishedCode(err)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &words) && errors.As(err, &cause):
		return cause.status
	case words != nil:
		return exitUsage
	case errors.As(err, &output) && errors.Is(err, syscall.EPIPE):
		return exitSignal + int(syscall.SIGPIPE)
	case errors.As(err, &output):
		return exitIO
	case errors.Is(err, cluster.ErrNotInstalled), errors.Is(err, cluster.ErrNotRunning):
		return exitUnavailable
	case errors.Is(err, cluster.ErrInUse), errors.Is(err, syscall.EADDRINUSE):
		return exitTryAgain
	case code != "":
		return statusOfCode(code)
	case errors.Is(err, fs.ErrNotExist):
		return exitNoInput
	case errors.As(err, &cause):
		return cause.unlessKnown()
	}
	return statusOfFault(err)
}

// unlessKnown returns the status of the cause, unless the operating system or a server says more.
func (e *causedError) unlessKnown() int {
	if status := statusOfFault(e.err); status != exitSoftware && e.status != exitNoInput {
		return status
	}
	return e.status
}

// statusOfFault returns the exit status of an error of the operating system, PostgreSQL, S3 or SQS.
func statusOfFault(err error) int {
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return exitIO
	case store.FaultOf(err) == store.FaultOutage:
		return exitUnavailable
	}
	return exitSoftware
}

// publishedCode returns the code of an error that has a published one; empty for others, and for internal errors.
func publishedCode(err error) string {
	if answer := (*codedError)(nil); errors.As(err, &answer) {
		return answer.code
	}
	if err == nil || errors.Is(err, cluster.ErrNotInstalled) || errors.Is(err, cluster.ErrNotRunning) {
		return ""
	}
	if code := serve.CodeOf(err); code != internalCode {
		return code
	}
	return ""
}

const internalCode = "ERR-1500"

// statusOfCode returns the exit status of an error with a published code.
func statusOfCode(code string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(code, "ERR-"))
	page, _ := serve.ErrorPageOf(code)
	switch {
	case n == 1500, n == 1504:
		return exitSoftware
	case n >= 1501 && n <= 1503, n == 1205:
		return exitUnavailable
	case n == 1505, n == 1506:
		return exitIO
	case page.Retryable:
		return exitTryAgain
	case n >= 1200 && n < 1400:
		return exitUsage
	}
	return exitData
}

// fail prints an error in one line, and what can be done about its code, and returns the exit status.
func fail(std streams, err error) int {
	status := exitStatus(err)
	line, code := err.Error(), publishedCode(err)
	var (
		words  *plainError
		output *outputError
		answer *codedError
	)
	switch {
	case errors.As(err, &words):
		line, code = words.text, ""
	case errors.As(err, &output):
		line, code = output.Error(), ""
	case errors.As(err, &answer):
		line = answer.Error()
	case code != "", status == exitSoftware:
		line = serve.ErrorLine(err)
	}
	if status == exitSoftware && code == "" && words == nil {
		code = internalCode
	}
	_, _ = fmt.Fprintln(std.err, "millrace:", line)
	_, _ = fmt.Fprint(std.err, wayOut(code))
	return status
}

// wayOut returns lines that say what can be done about a code; empty without one.
func wayOut(code string) string {
	page, ok := serve.ErrorPageOf(code)
	if !ok {
		return ""
	}
	return wrapped("  ", "What you can do: "+page.Advice) + "  More: millrace explain " + page.Code + "\n"
}
