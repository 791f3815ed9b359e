package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/retainwise/millrace/serve/codes"
)

// Exit statuses of all commands, with the numbers of sysexits.h.
const (
	ExitDone        = 0
	ExitUsage       = 64
	ExitData        = 65
	ExitNoInput     = 66
	ExitUnavailable = 69 // the Makefile installs PostgreSQL and tries again
	ExitSoftware    = 70
	ExitIO          = 74
	ExitTryAgain    = 75
	ExitSignal      = 128 // plus the signal's number
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

// Plain returns an error in plain words with an exit status.
func Plain(status int, format string, args ...any) error {
	return Caused(status, &plainError{fmt.Sprintf(format, args...)})
}

// Usage returns an error of the command line.
func Usage(format string, args ...any) error { return Plain(ExitUsage, format, args...) }

// causedError is an error with the exit status of its cause, for errors without a published code.
type causedError struct {
	err    error
	status int
}

func (e *causedError) Error() string { return e.err.Error() }
func (e *causedError) Unwrap() error { return e.err }

// Caused marks an error, if it is one, with the exit status that it has unless more is known about it.
func Caused(status int, err error) error {
	if err == nil {
		return nil
	}
	return &causedError{err, status}
}

// CodedError is an error that a server answered with.
type CodedError struct {
	About string // empty, or in front of the code: "sample: "
	Code  string // "ERR-1101"
	Text  string
}

func (e *CodedError) Error() string { return e.About + e.Code + ": " + e.Text }

// Faults explains the errors that the commands of a program return.
type Faults interface {
	// CodeOf returns the published code of an error; "ERR-1500" for one that has none.
	CodeOf(err error) string
	// Line returns an error as one line: its published code and a sentence.
	Line(err error) string
	// Status returns the exit status of an error of a server's own parts, whatever else is known of it; 0 for others.
	Status(err error) int
	// Outage reports whether an error is one of a server that is needed.
	Outage(err error) bool
}

// fileFaults explains the errors of commands that need files only.
type fileFaults struct{}

func (fileFaults) CodeOf(err error) string { return codes.Of(err) }
func (fileFaults) Line(err error) string   { return codes.Line(err) }
func (fileFaults) Status(error) int        { return 0 }
func (fileFaults) Outage(error) bool       { return false }

// ExitStatus returns the exit status of an error: the one place that decides it.
func (p Program) ExitStatus(err error) int {
	var (
		words  *plainError
		output *outputError
		cause  *causedError
	)
	if err == nil {
		return ExitDone
	}
	code, ofServer := p.publishedCode(err), p.Faults.Status(err)
	switch {
	case errors.As(err, &words) && errors.As(err, &cause):
		return cause.status
	case words != nil:
		return ExitUsage
	case errors.As(err, &output) && errors.Is(err, syscall.EPIPE):
		return ExitSignal + int(syscall.SIGPIPE)
	case errors.As(err, &output):
		return ExitIO
	case ofServer != 0:
		return ofServer
	case code != "":
		return statusOfCode(code)
	case errors.Is(err, fs.ErrNotExist):
		return ExitNoInput
	case errors.As(err, &cause):
		return p.unlessKnown(cause)
	}
	return p.statusOfFault(err)
}

// unlessKnown returns the status of the cause, unless the operating system or a server says more.
func (p Program) unlessKnown(e *causedError) int {
	if status := p.statusOfFault(e.err); status != ExitSoftware && e.status != ExitNoInput {
		return status
	}
	return e.status
}

// statusOfFault returns the exit status of an error of the operating system, or of a server.
func (p Program) statusOfFault(err error) int {
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return ExitIO
	case p.Faults.Outage(err):
		return ExitUnavailable
	}
	return ExitSoftware
}

// publishedCode returns the code of an error that has a published one; empty for others, and for internal errors.
func (p Program) publishedCode(err error) string {
	if answer := (*CodedError)(nil); errors.As(err, &answer) {
		return answer.Code
	}
	if err == nil || p.Faults.Status(err) != 0 {
		return ""
	}
	if code := p.Faults.CodeOf(err); code != internalCode {
		return code
	}
	return ""
}

const internalCode = "ERR-1500"

// statusOfCode returns the exit status of an error with a published code.
func statusOfCode(code string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(code, "ERR-"))
	page, _ := codes.PageOf(code)
	switch {
	case n == 1500, n == 1504:
		return ExitSoftware
	case n >= 1501 && n <= 1503, n == 1205:
		return ExitUnavailable
	case n == 1505, n == 1506:
		return ExitIO
	case page.Retryable:
		return ExitTryAgain
	case n >= 1200 && n < 1400:
		return ExitUsage
	}
	return ExitData
}

// fail prints an error in one line, and what can be done about its code, and returns the exit status.
func (p Program) fail(std Streams, err error) int {
	status := p.ExitStatus(err)
	line, code := err.Error(), p.publishedCode(err)
	var (
		words  *plainError
		output *outputError
		answer *CodedError
	)
	switch {
	case errors.As(err, &words):
		line, code = words.text, ""
	case errors.As(err, &output):
		line, code = output.Error(), ""
	case errors.As(err, &answer):
		line = answer.Error()
	case code != "", status == ExitSoftware:
		line = p.Faults.Line(err)
	}
	if status == ExitSoftware && code == "" && words == nil {
		code = internalCode
	}
	if p.json {
		_, _ = std.Err.Write(errorJSON(code, line, codes.Details(err)))
		return status
	}
	_, _ = fmt.Fprintln(std.Err, "millrace:", line)
	_, _ = fmt.Fprint(std.Err, wayOut(code))
	return status
}

// errorJSON returns an error as one line in the form of the API's answers.
func errorJSON(code, line string, details map[string]any) []byte {
	type object struct {
		Code    string         `json:"code,omitempty"` // absent for an error without a published one
		Message string         `json:"message"`
		Details map[string]any `json:"details,omitempty"`
	}
	o := object{code, strings.TrimPrefix(line, code+": "), details}
	if code == "" {
		o.Message, o.Details = line, nil
	}
	text, err := json.Marshal(map[string]object{"error": o})
	if err != nil { // details hold plain values only
		text, _ = json.Marshal(map[string]object{"error": {Code: code, Message: o.Message}})
	}
	return append(text, '\n')
}

// wayOut returns lines that say what can be done about a code; empty without one.
func wayOut(code string) string {
	page, ok := codes.PageOf(code)
	if !ok {
		return ""
	}
	return wrapped("  ", "What you can do: "+page.Advice) + "  More: millrace explain " + page.Code + "\n"
}
