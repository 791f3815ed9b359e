package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/codes"
)

// TestExitStatusOfErrors checks the status and the first line of every kind of error, also of those that no test can cause.
func TestExitStatusOfErrors(t *testing.T) {
	_, absent := os.Open("absent.csv")
	for _, test := range []struct {
		err    error
		status int
		line   string
	}{
		{errors.New("broken"), 70, "ERR-1500: broken"},
		{Caused(ExitData, errors.New("broken")), 65, "broken"},
		{fmt.Errorf("serve: %w", Usage("no %s", "flag")), 64, "no flag"},
		{Caused(ExitUsage, Plain(ExitData, "no row")), 64, "no row"},
		{absent, 66, "open absent.csv: no such file or directory"},
		{Caused(ExitData, absent), 66, "open absent.csv: no such file or directory"},
		{&fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}, 74, "read x: input/output error"},
		{Caused(ExitNoInput, &fs.PathError{Op: "read", Path: "x", Err: syscall.EISDIR}), 66, "read x: is a directory"},
		{Caused(ExitUsage, &fs.PathError{Op: "mkdir", Path: "x", Err: syscall.EACCES}), 74, "mkdir x: permission denied"},
		{&outputError{"--out x", syscall.ENOSPC}, 74, "--out x: no space left on device"},
		{&outputError{"standard output", syscall.EPIPE}, 141, "standard output: broken pipe"},
		{ingest.ErrEmpty, 65, "ERR-1005: The file has no rows to score."},
		{context.DeadlineExceeded, 75, "ERR-1404: "},
		{&CodedError{"sample: ", "ERR-1501", "Our database is not available."}, 69, "sample: ERR-1501: Our database is not available."},
		{&CodedError{Code: "ERR-1505", Text: "Full."}, 74, "ERR-1505: Full."},
		{&CodedError{Code: "ERR-1302", Text: "Invalid."}, 64, "ERR-1302: Invalid."},
		{&CodedError{Code: "ERR-1403", Text: "Wait."}, 75, "ERR-1403: Wait."},
	} {
		var messages bytes.Buffer
		status := Slim().fail(Streams{Err: &messages}, test.err)
		line, more, _ := strings.Cut(messages.String(), "\n")
		if status != test.status || !strings.HasPrefix(line, "millrace: "+test.line) {
			t.Errorf("%v: status %d, %q, want %d and %q", test.err, status, line, test.status, test.line)
		}
		if coded := strings.Contains(line, "ERR-"); coded != strings.Contains(more, "What you can do: ") {
			t.Errorf("%v: a code without a way out, or the reverse: %s", test.err, messages.String())
		}
	}
	if status := Slim().ExitStatus(nil); status != 0 {
		t.Errorf("no error: status %d", status)
	}
}

// TestExitStatusOfEveryCode checks that every published code has one of the published statuses.
func TestExitStatusOfEveryCode(t *testing.T) {
	published := map[int]bool{ExitUsage: true, ExitData: true, ExitUnavailable: true, ExitSoftware: true, ExitIO: true, ExitTryAgain: true}
	used := map[int]bool{}
	for _, page := range codes.Pages() {
		status := statusOfCode(page.Code)
		if used[status] = true; !published[status] {
			t.Errorf("%s: %d", page.Code, status)
		}
	}
	if len(used) != len(published) {
		t.Errorf("statuses of all codes: %v", used)
	}
}

func TestWrapped(t *testing.T) {
	long := strings.Repeat("x", 90)
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{" a  b\nc ", "  a b c\n"},
		{strings.Repeat("ü", 38) + " " + strings.Repeat("y", 39), "  " + strings.Repeat("ü", 38) + " " + strings.Repeat("y", 39) + "\n"},
		{strings.Repeat("ü", 39) + " " + strings.Repeat("y", 39), "  " + strings.Repeat("ü", 39) + "\n  " + strings.Repeat("y", 39) + "\n"},
		{"a " + long + " b", "  a\n  " + long + "\n  b\n"},
	} {
		if got := wrapped("  ", test.text); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

// TestErrorsAsJSON checks that programs get the code, the sentence and the details of an error in one line, and the same
// exit status.
func TestErrorsAsJSON(t *testing.T) {
	const samples = "testdata/samples/"
	for _, test := range []struct {
		status int
		want   string // the beginning of the line
		args   []string
	}{
		{65, `{"error":{"code":"ERR-1004","message":"Missing required column 'Contract'. `, []string{"score", "--model", "telecom", samples + "bad/missing_column.csv"}},
		{65, `{"error":{"code":"ERR-1005","message":"The file has no rows to score."}}` + "\n", []string{"score", "--model", "telecom", samples + "bad/empty.csv"}},
		{65, `{"error":{"code":"ERR-1703","message":"`, []string{"model", "verify", samples + "telecom_sample.csv"}},
		{66, `{"error":{"message":"model \"absent\" is neither a directory, `, []string{"score", "--model", "absent", "x.csv"}},
		{66, `{"error":{"message":"open absent.csv: no such file or directory"}}` + "\n", []string{"score", "--model", "telecom", "absent.csv"}},
		{64, `{"error":{"message":"there is no error code \"9999\": `, []string{"explain", "9999"}},
		{64, "millrace: unknown flag --nope; see --help\n", []string{"score", "--nope"}}, // no command was chosen
	} {
		status, out, messages := command(t, "", append([]string{"--errors", "json"}, test.args...)...)
		if status != test.status || out != "" || !strings.HasPrefix(messages, test.want) || strings.Count(messages, "\n") != 1 {
			t.Errorf("%q: status %d, want %d and %s: %s%s", test.args, status, test.status, test.want, out, messages)
		}
	}
	_, _, messages := command(t, "", "score", "--model", "telecom", "--errors=json", samples+"bad/missing_column.csv")
	var answer struct {
		Error struct {
			Details struct {
				Columns []struct{ Column, Label string }
			}
		}
	}
	if err := json.Unmarshal([]byte(messages), &answer); err != nil || len(answer.Error.Details.Columns) != 1 ||
		answer.Error.Details.Columns[0].Column != "Contract" {
		t.Errorf("%v: %s", err, messages)
	}
	if line := string(errorJSON("ERR-1302", "ERR-1302: Bad.", map[string]any{"f": func() {}})); line != `{"error":{"code":"ERR-1302","message":"Bad."}}`+"\n" {
		t.Errorf("details that cannot be encoded: %s", line)
	}
}
