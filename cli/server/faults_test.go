package server

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
)

// failing is a command that returns an error.
type failing struct{ err error }

// Run implements a command.
func (f *failing) Run() error { return f.err }

// TestExitStatusOfServers checks the status and the first line of errors that only commands for servers return. A machine
// without PostgreSQL is not an internal error, and no published code adds anything to its sentence.
func TestExitStatusOfServers(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, test := range []struct {
		err    error
		status int
		want   string // all of it, if it ends a line
	}{
		{fmt.Errorf("start: %w", cluster.ErrNotInstalled), 69, "start: " + cluster.ErrNotInstalled.Error() + "\n"},
		{fmt.Errorf("%w: FATAL", cluster.ErrNotRunning), 69, cluster.ErrNotRunning.Error() + ": FATAL\n"},
		{fmt.Errorf("x is %w", cluster.ErrInUse), 75, "x is in use by another millrace"},
		{fmt.Errorf("listen: %w", syscall.EADDRINUSE), 75, "listen: "},
		{cli.Caused(cli.ExitUsage, refused), 69, "dial: connection refused"},
		{refused, 69, "dial: connection refused"},
		{store.ErrAccounting, 70, "ERR-1504: "},
		{store.ErrNotFound, 65, "ERR-1101: "},
		{ingest.ErrEmpty, 65, "ERR-1005: "},
	} {
		p := Full()
		commands := &struct {
			Fail failing `cmd:""`
		}{failing{test.err}}
		p.Commands = commands
		var out bytes.Buffer
		status := p.Run(t.Context(), []string{"fail"}, cli.Streams{Out: &out, Err: &out})
		got, whole := out.String(), strings.HasSuffix(test.want, "\n")
		if status != test.status || !strings.HasPrefix(got, "millrace: "+test.want) || whole && got != "millrace: "+test.want {
			t.Errorf("%v: status %d, %q, want %d and %q", test.err, status, got, test.status, test.want)
		}
	}
}
