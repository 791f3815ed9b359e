package server

import (
	"errors"
	"syscall"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
)

// faults explains the errors of all commands, those of the store and of the private PostgreSQL among them.
type faults struct{}

// CodeOf implements [cli.Faults].
func (faults) CodeOf(err error) string { return serve.CodeOf(err) }

// Line implements [cli.Faults].
func (faults) Line(err error) string { return serve.ErrorLine(err) }

// Status implements [cli.Faults].
func (faults) Status(err error) int {
	switch {
	case errors.Is(err, cluster.ErrNotInstalled), errors.Is(err, cluster.ErrNotRunning):
		return cli.ExitUnavailable
	case errors.Is(err, cluster.ErrInUse), errors.Is(err, syscall.EADDRINUSE):
		return cli.ExitTryAgain
	}
	return 0
}

// Outage implements [cli.Faults]. What a bucket refuses counts too: rights and keys are renewed, and buckets made, while a
// process that has not started is started again.
func (faults) Outage(err error) bool {
	fault := store.FaultOf(err)
	return fault == store.FaultOutage || fault == store.FaultRefused
}
