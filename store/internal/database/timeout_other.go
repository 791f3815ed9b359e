//go:build !linux

package database

import (
	"syscall"
	"time"
)

// setTCPUserTimeout does nothing: a host that is gone is noticed by the deadline of whoever waits for it.
func setTCPUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}
